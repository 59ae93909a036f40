/// Damaged files: every load is a value with finite numbers or one line of error, in bounded memory.
module LipVerify.Tests.FormatsFuzzTests

open System
open System.IO.Compression
open System.Text
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Core.Computation
open LipVerify.Formats
open LipVerify.Tests.FormatsWriters
open LipVerify.Tests.FormatsWriters.PickleCode

// -- valid files --------------------------------------------------------------------------------------------------

let private checkpoint =
    let weights = view (storage "a" 12L) 0L [ 3L; 4L ] [ 4L; 1L ]
    let bias = view (storage "a" 12L) 2L [ 3L ] [ 3L ]

    dict
        [
            "epoch", int 12L
            "net",
            orderedDict
                [
                    "fc.weight", weights
                    "fc.bias", bias
                    "steps", view (storageOf "LongStorage" "b" 1L) 0L [] []
                ]
        ]

let private twelve = float32Bytes [ for i in 1..12 -> float i / 7.0 ]

let private arrays =
    [
        "a.npy", Npy.write (Tensor.create [ 2; 5 ] 0.25)
        "b.npy", Npy.write (Tensor.vector [| 3.0 |])
    ]

let private picture channels =
    Png.write
        {
            Width = 9
            Height = 7
            Channels = channels
            Pixels = Array.init (63 * channels) (fun i -> byte (i * 37))
        }

let private seeds: Map<string, byte[]> =
    Map
        [
            "torch stream", torchStream checkpoint [ "a", 12L, twelve; "b", 1L, BitConverter.GetBytes 5L ]
            "torch zip", torchZip checkpoint [ "a", twelve; "b", BitConverter.GetBytes 5L ]
            "torch zip without checksums",
            withoutChecksums (torchZip checkpoint [ "a", twelve; "b", BitConverter.GetBytes 5L ])
            "safetensors",
            safetensors
                "{\"w\":{\"dtype\":\"F32\",\"shape\":[3,4],\"data_offsets\":[0,48]},\"b\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[48,52]}}"
                (Array.append twelve [| 0uy; 0x3Cuy; 1uy; 0uy |])
            "npy", Npy.write (Tensor.create [ 3; 4 ] 0.1)
            "npy by columns", npy 2 "{'descr': '>f4', 'fortran_order': True, 'shape': (3, 4), }" twelve
            "npz", withoutChecksums (zip CompressionLevel.NoCompression arrays)
            "npz deflated", withoutChecksums (zip CompressionLevel.Optimal arrays)
            "csv", Encoding.ASCII.GetBytes "x, y, z\n1.5,-2,3e-4\n0.25,7,8\n# end\n"
            "png grey", picture 1
            "png rgb", picture 3
        ]

/// Every tensor that a file of this kind holds.
let private load (kind: string) (bytes: byte[]) : Result<Tensor list, LoadError> =
    match kind.Split(' ')[0] with
    | "npy" -> parseWith Npy.parse bytes |> Result.map List.singleton
    | "csv" -> parseWith Csv.parse bytes |> Result.map List.singleton
    | "png" ->
        parseWith Png.parse bytes
        |> Result.bind (Image.toTensor "file")
        |> Result.map List.singleton
    | _ ->
        parseWith StateDict.parse bytes
        |> Result.map (fun state -> [ for _, tensor in state.Tensors -> tensor ])

// -- damage -------------------------------------------------------------------------------------------------------

let private telling =
    [| 0uy; 1uy; 0x7Fuy; 0x80uy; 0xFFuy; byte '('; byte '.'; byte '9'; byte '-' |]

let private damage (random: Random) (bytes: byte[]) =
    let at = random.Next bytes.Length
    let length = random.Next(1, 1 + min 32 (bytes.Length - at))
    let block = Array.sub bytes at length

    match random.Next 7 with
    | 0 -> patch at [| bytes[at] ^^^ (1uy <<< random.Next 8) |] bytes
    | 1 -> patch at [| byte (random.Next 256) |] bytes
    | 2 -> patch at (Array.create (min length 8) telling[random.Next telling.Length]) bytes
    | 3 -> Array.truncate at bytes
    | 4 -> Array.insertManyAt (random.Next bytes.Length) block bytes
    | 5 -> Array.removeManyAt at length bytes
    | _ -> Array.insertManyAt at (Array.init length (fun _ -> byte (random.Next 256))) bytes

let private damaged (random: Random) (kind: string) (bytes: byte[]) =
    let mutable result = bytes

    for _ in 1 .. random.Next(1, 4) do
        if result.Length > 0 then
            result <- damage random result

    // Half of the pictures get their checksums back, so that damage reaches the pixels.
    if kind.StartsWith("png", StringComparison.Ordinal) && random.Next 2 = 0 then
        repairChecksums result
    else
        result

let private check kind description (bytes: byte[]) =
    let before = GC.GetAllocatedBytesForCurrentThread()

    let outcome =
        try
            load kind bytes
        with failure ->
            failwith $"{kind}, {description}: {failure}"

    let allocated = GC.GetAllocatedBytesForCurrentThread() - before
    let allowed = 64L * 1024L * 1024L + 200L * int64 bytes.Length
    Expect.isLessThanOrEqual allocated allowed $"{kind}, {description}: allocation"

    match outcome with
    | Ok tensors -> Expect.isTrue (List.forall Tensor.isFinite tensors) $"{kind}, {description}: not finite"
    | Error error ->
        let text = LoadError.text error
        Expect.isTrue (text <> "" && text |> Seq.forall (Char.IsControl >> not)) $"{kind}, {description}: {text}"

// -- properties ---------------------------------------------------------------------------------------------------

/// Names of the valid files.
let private kinds = List.ofSeq seeds.Keys

// LIPVERIFY_FUZZ sets another number for long runs.
let private rounds =
    match Int32.TryParse(Environment.GetEnvironmentVariable "LIPVERIFY_FUZZ") with
    | true, rounds -> rounds
    | _ -> 400

[<Tests>]
let tests =
    testList
        "FormatsFuzz"
        [
            testTheory "FormatsFuzz: an undamaged file loads" kinds (fun (kind: string) ->
                Expect.isTrue (Result.isOk (load kind seeds[kind])) "Result.isOk (load kind seeds[kind])")

            testTheory "FormatsFuzz: a damaged file is a value or one line of error" kinds (fun (kind: string) ->
                for round in 1..rounds do
                    let random = Random(round)
                    check kind $"round {round}" (damaged random kind seeds[kind]))

            testTheory
                "FormatsFuzz: a file with one flipped bit is a value or one line of error"
                kinds
                (fun (kind: string) ->
                    let bytes = seeds[kind]

                    for at in 0..3 .. bytes.Length - 1 do
                        check kind $"bit {at % 8} of byte {at}" (patch at [| bytes[at] ^^^ (1uy <<< at % 8) |] bytes))
        ]
