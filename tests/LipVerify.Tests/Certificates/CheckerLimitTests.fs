/// What the checker's program does with files that are none, too large, or describe an absurd network.
module LipVerify.Tests.CheckerLimitTests

open System
open System.IO
open System.Text.RegularExpressions
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Checker
open LipVerify.Formats
open LipVerify.Tests.CheckerRuns

let private inFolder (work: string -> unit) =
    let folder = Directory.CreateTempSubdirectory "lipverify-checker-"

    try
        work folder.FullName
    finally
        folder.Delete true

/// Runs the program's work in this process: exit code and lines on standard error.
let private run certificate network input =
    let error = Console.Error
    use told = new StringWriter()

    try
        Console.SetError told
        let code = Program.run None certificate network input ignore

        code,
        told.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries)
        |> List.ofArray
    finally
        Console.SetError error

let private isRefused (parts: string list) outcome =
    match outcome with
    | 2, [ line: string ] ->
        for part in parts do
            Expect.stringContains line part "line"
    | code, lines -> failtest $"exit code {code}, {lines}"

let private small =
    Network.create [ 2 ] (Step("relu", Layer.relu)) |> Result.toOption |> Option.get

/// A certificate that is accepted, its network and its input.
let private goodFiles folder =
    let at name = Path.Combine(folder, name)
    let input = Tensor.create [ 2 ] 1.0
    let radius = Radius.create 0.5 |> Result.toOption |> Option.get

    let certificate =
        analytic Nominal small input radius
        |> CertificateFile.write small input
        |> Result.toOption
        |> Option.get

    File.WriteAllBytes(at "certificate.json", certificate)
    File.WriteAllBytes(at "network.safetensors", CanonicalNetwork.write small)
    File.WriteAllBytes(at "input.npy", Npy.write input)
    at "certificate.json", at "network.safetensors", at "input.npy"

// -- networks -----------------------------------------------------------------------------------------------------

/// Every kind of line with integers.
let private lines =
    [
        "input 2 6 6"
        "series 6"
        "affine 1 conv2d 2 4 2 6 3 1 1 0 1 0 6 2 2 0 0 1 0"
        "relu"
        "maxpool2d 4 5 2 2 1 0 1 1 3 1 1 0 0 1 0"
        "affine 0 avgpool2d 4 3 1 1 0 0 1 0 3 3 1 0 0 1 0 1"
        "sum 2"
        "affine 0 diagonal 12"
        "identity"
        "affine 0 dense 3 12"
    ]

let private tensors =
    [| 24; 60; 60; 12; 12; 12; 36; 3 |]
    |> Array.map (fun length -> Array.create length 0.5)

let private parse lines =
    LipVerify.Checker.Network.parse lines tensors

let private telling =
    [|
        "-2147483648"
        "-1"
        "0"
        "1"
        "3"
        "2097152"
        "134217728"
        "2147483647"
        "99999999999"
    |]

let private ofDepth depth =
    (Step("relu", Layer.relu), seq { 1..depth })
    ||> Seq.fold (fun block _ -> Series [ block ])

[<Tests>]
let tests =
    testSequenced
    <| testList
        "CheckerLimit"
        [
            testCase "devices, pipes, sockets, folders and empty files are refused in each place" (fun () ->
                inFolder (fun folder ->
                    let certificate, network, input = goodFiles folder
                    let code, _ = run certificate network (Some input)
                    Expect.equal code 0 "code"

                    SpecialFiles.each ".npy" (fun path ->
                        run path network (Some input) |> isRefused [ path ]
                        run certificate path (Some input) |> isRefused [ path ]
                        run certificate network (Some path) |> isRefused [ path ])))

            testCase "a link to a regular file is read, and a Git LFS pointer is told" (fun () ->
                inFolder (fun folder ->
                    let certificate, network, input = goodFiles folder
                    let link = Path.Combine(folder, "link")
                    File.CreateSymbolicLink(link, network) |> ignore
                    let code, _ = run certificate link (Some input)
                    Expect.equal code 0 "code"
                    File.WriteAllText(certificate, SpecialFiles.pointer)

                    run certificate network (Some input)
                    |> isRefused [ certificate; "git lfs pull" ]))

            testCase "a certificate of a hundred megabytes is not read" (fun () ->
                inFolder (fun folder ->
                    let certificate, network, input = goodFiles folder

                    // Sparse: it takes no space.
                    using (File.OpenWrite certificate) (fun stream -> stream.SetLength 100_000_000L)
                    let before = GC.GetAllocatedBytesForCurrentThread()

                    run certificate network (Some input)
                    |> isRefused [ certificate; "at most 33554432" ]

                    Expect.isLessThan
                        (GC.GetAllocatedBytesForCurrentThread() - before)
                        (8L <<< 20)
                        "GC.GetAllocatedBytesForCurrentThread() - before"))

            testCase "the engine writes no certificate that the checker does not read" (fun () ->
                Expect.equal CertificateText.mostBytes Files.mostOfCertificate "most bytes")

            testCase "the network with every kind of line is read" (fun () -> parse lines |> ignore)

            testCase "a network with absurd integers is read or refused" (fun () ->
                let text = String.Join("\n", lines)
                let integers = Regex.Matches(text, @"(?<= )\d+") |> Array.ofSeq
                let random = Random 7

                let check (changes: (int * string) list) =
                    let changed =
                        (text, changes |> List.distinctBy fst |> List.sortByDescending fst)
                        ||> List.fold (fun text (at, number) ->
                            text.Remove(integers[at].Index, integers[at].Length).Insert(integers[at].Index, number))

                    let before = GC.GetAllocatedBytesForCurrentThread()

                    try
                        parse (List.ofArray (changed.Split '\n')) |> ignore
                    with Json.Unreadable problem ->
                        Expect.isNonEmpty problem "problem"

                    Expect.isLessThan (GC.GetAllocatedBytesForCurrentThread() - before) (64L <<< 20) changed

                for at in 0 .. integers.Length - 1 do
                    for number in telling do
                        check [ at, number ]

                for _ in 1..2000 do
                    check
                        [
                            for _ in 1 .. random.Next(2, 5) ->
                                random.Next integers.Length, telling[random.Next telling.Length]
                        ])

            testTheory
                "a network that is nested a million deep is refused"
                [ "series 1"; "sum 1" ]
                (fun (line: string) ->
                    let lines = "input 2" :: List.replicate 1_000_000 line @ [ "relu" ]

                    match
                        try
                            LipVerify.Checker.Network.parse lines [||] |> Ok
                        with Json.Unreadable problem ->
                            Error problem
                    with
                    | Ok _ -> failtest "expected a refusal"
                    | Error problem -> Expect.stringContains problem "nested more than 256 deep" "problem")

            testCase "the largest networks that the engine takes are checked" (fun () ->
                for block in
                    [
                        ofDepth Network.mostNesting
                        Series(List.replicate Network.mostLayers (Step("relu", Layer.relu)))
                    ] do
                    let network = Network.create [ 2 ] block |> Result.toOption |> Option.get
                    let input = Tensor.create [ 2 ] 1.0

                    for certificate in certificates network input (Radius.create 0.5 |> Result.toOption |> Option.get) do
                        shouldBeAccepted network input certificate)
        ]
