/// Writers of small files for the tests of the readers.
module LipVerify.Tests.FormatsWriters

open System
open System.Buffers.Binary
open System.IO
open System.IO.Compression
open System.Text
open Expecto
open LipVerify.Core.Computation
open LipVerify.Formats

let private littleEndian (count: int) (number: uint64) =
    Array.init count (fun i -> byte (number >>> (8 * i)))

let float32Bytes (values: float seq) =
    values
    |> Seq.collect (fun value -> BitConverter.GetBytes(float32 value))
    |> Array.ofSeq

/// Instructions of pickles; each value leaves itself on the stack.
module PickleCode =
    let op (code: char) = [| byte code |]

    let str (text: string) =
        let bytes = Encoding.UTF8.GetBytes text
        Array.concat [ op 'X'; littleEndian 4 (uint64 bytes.Length); bytes ]

    let int (number: int64) =
        Array.concat [ [| 0x8auy; 8uy |]; littleEndian 8 (uint64 number) ]

    let none = op 'N'

    let globalOf modul name =
        Encoding.UTF8.GetBytes $"c{modul}\n{name}\n"

    let tuple items =
        Array.concat [ op '('; Array.concat items; op 't' ]

    let call callee arguments =
        Array.concat [ callee; tuple arguments; op 'R' ]

    let private filled empty pairs =
        let items = pairs |> Seq.map (fun (key, value) -> Array.append (str key) value)
        Array.concat [ empty; op '('; Array.concat items; op 'u' ]

    let dict pairs = filled (op '}') pairs

    let orderedDict pairs =
        filled (call (globalOf "collections" "OrderedDict") []) pairs

    let list items =
        Array.concat [ op ']'; op '('; Array.concat items; op 'e' ]

    let program body =
        Array.concat [ [| 0x80uy; 2uy |]; body; op '.' ]

    /// A storage of `count` floats.
    let storageOf kind key (count: int64) =
        let identifier =
            tuple [ str "storage"; globalOf "torch" kind; str key; str "cpu"; int count; none ]

        Array.append identifier (op 'Q')

    let storage key count = storageOf "FloatStorage" key count

    let view storage offset sizes strides =
        call
            (globalOf "torch._utils" "_rebuild_tensor_v2")
            [
                storage
                int offset
                tuple (List.map int sizes)
                tuple (List.map int strides)
                op '\u0089'
                call (globalOf "collections" "OrderedDict") []
            ]

/// The older form of torch: a stream of pickles, then the storages.
let torchStream (value: byte[]) (storages: (string * int64 * byte[]) list) =
    let magic =
        [|
            0x80uy
            2uy
            0x8auy
            10uy
            0x6cuy
            0xfcuy
            0x9cuy
            0x46uy
            0xf9uy
            0x20uy
            0x6auy
            0xa8uy
            0x50uy
            0x19uy
            byte '.'
        |]

    Array.concat
        [
            magic
            PickleCode.program (PickleCode.int 1001L)
            PickleCode.program (PickleCode.dict [ "little_endian", PickleCode.op '\u0088' ])
            PickleCode.program value
            PickleCode.program (PickleCode.list [ for key, _, _ in storages -> PickleCode.str key ])
            for _, count, bytes in storages do
                littleEndian 8 (uint64 count)
                bytes
        ]

/// A zip archive of these entries.
let zip level (entries: (string * byte[]) list) =
    use target = new MemoryStream()

    using (new ZipArchive(target, ZipArchiveMode.Create, leaveOpen = true)) (fun archive ->
        for name, content in entries do
            use stream = archive.CreateEntry(name, level).Open()
            stream.Write(content, 0, content.Length))

    target.ToArray()

/// The present form of torch.
let torchZip (value: byte[]) (storages: (string * byte[]) list) =
    zip
        CompressionLevel.NoCompression
        [
            "model/data.pkl", PickleCode.program value
            "model/byteorder", "little"B
            for key, bytes in storages do
                $"model/data/{key}", bytes
            "model/version", "3\n"B
        ]

/// Every offset at which four bytes occur.
let occurrences (pattern: byte[]) (bytes: byte[]) =
    [
        for at in 0 .. bytes.Length - pattern.Length do
            if ReadOnlySpan(bytes, at, pattern.Length).SequenceEqual(ReadOnlySpan pattern) then
                at
    ]

/// A copy of the file with bytes overwritten.
let patch (at: int) (content: byte[]) (bytes: byte[]) =
    let copy = Array.copy bytes
    content.CopyTo(copy, at)
    copy

/// The archive with checksums of 0, which stand for none, so that damage reaches the content.
let withoutChecksums (archive: byte[]) =
    (archive, occurrences [| byte 'P'; byte 'K'; 1uy; 2uy |] archive)
    ||> List.fold (fun bytes at -> patch (at + 16) [| 0uy; 0uy; 0uy; 0uy |] bytes)

let safetensors (header: string) (data: byte[]) =
    let header = Encoding.UTF8.GetBytes header
    Array.concat [ littleEndian 8 (uint64 header.Length); header; data ]

let npy (version: int) (header: string) (data: byte[]) =
    let header = Encoding.UTF8.GetBytes(header + "\n")

    Array.concat
        [
            [|
                0x93uy
                byte 'N'
                byte 'U'
                byte 'M'
                byte 'P'
                byte 'Y'
                byte version
                0uy
            |]
            littleEndian (if version = 1 then 2 else 4) (uint64 header.Length)
            header
            data
        ]

/// The picture with the checksums of its chunks made right.
let repairChecksums (png: byte[]) =
    let crc (bytes: byte[]) =
        let mutable crc = 0xFFFFFFFFu

        for value in bytes do
            crc <- crc ^^^ uint32 value

            for _ in 1..8 do
                crc <- (crc >>> 1) ^^^ (if crc &&& 1u = 1u then 0xEDB88320u else 0u)

        ~~~crc

    let copy = Array.copy png
    let mutable at = 8

    while at + 12 <= copy.Length do
        let length = int64 (BinaryPrimitives.ReadUInt32BigEndian(ReadOnlySpan(copy, at, 4)))

        if length > int64 (copy.Length - at - 12) then
            at <- copy.Length
        else
            let length = Operators.int length
            let checksum = crc (Array.sub copy (at + 4) (length + 4))
            BinaryPrimitives.WriteUInt32BigEndian(copy.AsSpan(at + 8 + length), checksum)
            at <- at + 12 + length

    copy

/// Parses with the name `file`.
let parseWith (parser: string -> ReadOnlyMemory<byte> -> Result<'a, LoadError>) (bytes: byte[]) =
    parser "file" (ReadOnlyMemory<byte> bytes)

/// The value, or a failed test.
let valueOf (outcome: Result<'a, LoadError>) =
    match outcome with
    | Ok value -> value
    | Error error -> failwith $"unexpected error: {LoadError.text error}"

/// The one line of the error must hold each of these parts.
let shouldFail (parts: string list) (outcome: Result<'a, LoadError>) =
    match outcome with
    | Ok _ -> failtest "an error was expected"
    | Error error ->
        let text = LoadError.text error

        for part in parts do
            Expect.stringContains text part "text"

        Expect.isFalse (Seq.exists System.Char.IsControl text) text

/// Equality that shows both sides.
let shouldEqual (expected: 'a) (actual: 'a) =
    if actual <> expected then
        failtest $"expected %A{expected}, got %A{actual}"

/// The tensor of a name must have this shape and these values.
let shouldHold name shape (values: float list) (state: StateDict) =
    match state.TryFind name with
    | None -> failtest $"no tensor {name}"
    | Some tensor ->
        Expect.isTrue (tensor.Shape = shape) $"{name} has shape {Shape.text tensor.Shape}"
        shouldEqual (Array.ofList values) (Tensor.values tensor)
