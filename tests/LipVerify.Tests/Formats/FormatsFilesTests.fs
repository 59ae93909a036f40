module LipVerify.Tests.FormatsFilesTests

open System
open System.IO
open NUnit.Framework
open LipVerify.Core.Computation
open LipVerify.Formats
open LipVerify.Tests.FormatsWriters

let private inFolder (action: string -> unit) =
    let folder = Directory.CreateTempSubdirectory "lipverify-"

    try
        action folder.FullName
    finally
        folder.Delete true

[<Test>]
let ``files that cannot be read say why`` () =
    inFolder (fun folder ->
        let empty = Path.Combine(folder, "empty.pt")
        File.WriteAllBytes(empty, [||])

        StateDict.load (Path.Combine(folder, "missing.pt"))
        |> shouldFail [ "missing.pt: there is no such file" ]

        StateDict.load (Path.Combine(folder, "no", "missing.pt"))
        |> shouldFail [ "there is no such file" ]

        StateDict.load folder |> shouldFail [ "folder" ]
        StateDict.load empty |> shouldFail [ "empty.pt: the file is empty" ]
        StateDict.load "" |> shouldFail [ "a file name is needed" ]
        StateDict.load "a\000b" |> shouldFail [ "a?b" ])

let private content = Files.parse (fun _ bytes -> Ok(bytes.ToArray()))

[<Test>]
let ``only regular files with content are read, and no other is opened`` () =
    SpecialFiles.each ".pt" (fun path ->
        match content path with
        | Ok _ -> Assert.Fail path
        | Error error ->
            Assert.That(error.File, Is.EqualTo path)
            Assert.That(error.Problem, Does.Contain("regular file with content").Or.Contain "folder"))

[<Test>]
let ``pipes and sockets are not replaced, links to devices stay links, and empty files are written`` () =
    SpecialFiles.each ".txt" (fun path ->
        let name = string (Path.GetFileName path)
        let written = Files.write path (ReadOnlyMemory "content"B)

        match name with
        | "pipe.txt"
        | "socket.txt"
        | "link-to-pipe.txt" ->
            written |> shouldFail [ path; "pipe or socket" ]
            Assert.That(FileInfo(path).Length, Is.LessThan 100L)
            Assert.That(Files.isPipeOrSocket path, name)
        | "folder.txt" -> written |> shouldFail [ "folder" ]
        | "empty.txt" -> Assert.That((File.ReadAllBytes path = "content"B))
        | _ ->
            // What is written to a device is gone, and the device still there.
            Assert.That(Result.isOk written, path)
            Assert.That(FileInfo("/dev/zero").Length, Is.Zero))

[<Test>]
let ``a link to a regular file is read`` () =
    inFolder (fun folder ->
        let target, link = Path.Combine(folder, "target"), Path.Combine(folder, "link")
        File.WriteAllText(target, "content")
        File.CreateSymbolicLink(link, "target") |> ignore
        Assert.That((content link |> valueOf) = "content"B))

[<Test>]
let ``a Git LFS pointer is told apart in every format`` () =
    inFolder (fun folder ->
        let told name (load: string -> Result<unit, LoadError>) =
            let path = Path.Combine(folder, name)
            File.WriteAllText(path, SpecialFiles.pointer)
            load path |> shouldFail [ name; "Git LFS pointer"; "git lfs pull" ]

        for name in [ "m.onnx"; "m.pt"; "m.safetensors" ] do
            let architecture = if name = "m.onnx" then None else Some "mnist-net"
            told name (fun path -> ModelSource.load path architecture |> Result.map ignore)

        for name in [ "x.png"; "x.npy"; "x.npz"; "x.csv" ] do
            told name (InputSource.load [ 4 ] Preprocessing.none >> Result.map ignore)

        told "a.json" (ArchitectureFile.load >> Result.map ignore))

[<Test>]
let ``a file over the limit is refused without reading it`` () =
    inFolder (fun folder ->
        let path = Path.Combine(folder, "large.pt")

        // Sparse: it takes no space.
        using (File.Create path) (fun stream -> stream.SetLength(Files.limit + 1L))
        StateDict.load path |> shouldFail [ "larger than 2 GiB" ])

[<Test>]
let ``writing replaces a file and leaves nothing beside it`` () =
    inFolder (fun folder ->
        let path = Path.Combine(folder, "a.npy")

        for value in [ 1.0; 2.0 ] do
            Npy.write (Tensor.vector [| value |])
            |> ReadOnlyMemory
            |> Files.write path
            |> valueOf

            let tensor = Npy.load path |> valueOf
            shouldEqual [| value |] (Tensor.values tensor)

        Assert.That(Directory.GetFiles folder, Has.Length.EqualTo 1)
        Files.write folder ReadOnlyMemory.Empty |> shouldFail [ "folder" ]

        Files.write (Path.Combine(folder, "no", "a.npy")) ReadOnlyMemory.Empty
        |> shouldFail [ "no such" ])

[<Test>]
let ``writing through a link replaces its target`` () =
    inFolder (fun folder ->
        let target, link = Path.Combine(folder, "target"), Path.Combine(folder, "link")
        File.WriteAllText(target, "old")
        File.CreateSymbolicLink(link, target) |> ignore
        Files.write link (ReadOnlyMemory "new"B) |> valueOf
        Assert.That(File.ReadAllText target, Is.EqualTo "new")
        Assert.That(File.ResolveLinkTarget(link, false), Is.Not.Null))

[<Test>]
let ``content that is no state dict says what it is`` () =
    let parse (bytes: byte[]) = parseWith StateDict.parse bytes

    parse "hello, world"B
    |> shouldFail [ "neither of torch.save, nor safetensors, nor npz" ]

    parse (Npy.write (Tensor.vector [| 1.0 |])) |> shouldFail [ "single array" ]

    parse [| 0x80uy; 4uy; byte 'N'; byte '.' |]
    |> shouldFail [ "a pickle that torch.save did not write" ]

    zip IO.Compression.CompressionLevel.Fastest [ "readme.txt", "hello"B ]
    |> parse
    |> shouldFail [ "neither data.pkl" ]

    zip IO.Compression.CompressionLevel.Fastest [ "m/data.pkl", "N."B; "m/constants.pkl", "N."B ]
    |> parse
    |> shouldFail [ "TorchScript" ]
