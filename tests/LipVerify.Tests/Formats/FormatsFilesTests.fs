module LipVerify.Tests.FormatsFilesTests

open System
open System.IO
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Core.Computation
open LipVerify.Formats
open LipVerify.Tests.FormatsWriters

let private inFolder (action: string -> unit) =
    let folder = Directory.CreateTempSubdirectory "lipverify-"

    try
        action folder.FullName
    finally
        folder.Delete true

let private content = Files.parse (fun _ bytes -> Ok(bytes.ToArray()))

[<Tests>]
let tests =
    testSequenced
    <| testList
        "FormatsFiles"
        [
            testCase "files that cannot be read say why" (fun () ->
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
                    StateDict.load "a\000b" |> shouldFail [ "a?b" ]))

            testCase "only regular files with content are read, and no other is opened" (fun () ->
                SpecialFiles.each ".pt" (fun path ->
                    match content path with
                    | Ok _ -> failtest path
                    | Error error ->
                        Expect.equal error.File path "file"
                        Expect.isMatch error.Problem "regular file with content|folder" "problem"))

            testCase
                "pipes and sockets are not replaced, links to devices stay links, and empty files are written"
                (fun () ->
                    SpecialFiles.each ".txt" (fun path ->
                        let name = string (Path.GetFileName path)
                        let written = Files.write path (ReadOnlyMemory "content"B)

                        match name with
                        | "pipe.txt"
                        | "socket.txt"
                        | "link-to-pipe.txt" ->
                            written |> shouldFail [ path; "pipe or socket" ]
                            Expect.isLessThan (FileInfo(path).Length) 100L "length"
                            Expect.isTrue (Files.isPipeOrSocket path) name
                        | "folder.txt" -> written |> shouldFail [ "folder" ]
                        | "empty.txt" ->
                            Expect.isTrue
                                (File.ReadAllBytes path = "content"B)
                                "File.ReadAllBytes path = \"content\"B"
                        | _ ->
                            // What is written to a device is gone, and the device still there.
                            Expect.isTrue (Result.isOk written) path
                            Expect.equal (FileInfo("/dev/zero").Length) 0 "length"))

            testCase "a link to a regular file is read" (fun () ->
                inFolder (fun folder ->
                    let target, link = Path.Combine(folder, "target"), Path.Combine(folder, "link")
                    File.WriteAllText(target, "content")
                    File.CreateSymbolicLink(link, "target") |> ignore
                    Expect.isTrue ((content link |> valueOf) = "content"B) "(content link |> valueOf) = \"content\"B"))

            testCase "a Git LFS pointer is told apart in every format" (fun () ->
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

                    told "a.json" (ArchitectureFile.load >> Result.map ignore)))

            testCase "a file over the limit is refused without reading it" (fun () ->
                inFolder (fun folder ->
                    let path = Path.Combine(folder, "large.pt")

                    // Sparse: it takes no space.
                    using (File.Create path) (fun stream -> stream.SetLength(Files.limit + 1L))
                    StateDict.load path |> shouldFail [ "larger than 2 GiB" ]))

            testCase "writing replaces a file and leaves nothing beside it" (fun () ->
                inFolder (fun folder ->
                    let path = Path.Combine(folder, "a.npy")

                    for value in [ 1.0; 2.0 ] do
                        Npy.write (Tensor.vector [| value |])
                        |> ReadOnlyMemory
                        |> Files.write path
                        |> valueOf

                        let tensor = Npy.load path |> valueOf
                        shouldEqual [| value |] (Tensor.values tensor)

                    Expect.hasLength (Directory.GetFiles folder) 1 "Directory.GetFiles folder"
                    Files.write folder ReadOnlyMemory.Empty |> shouldFail [ "folder" ]

                    Files.write (Path.Combine(folder, "no", "a.npy")) ReadOnlyMemory.Empty
                    |> shouldFail [ "no such" ]))

            testCase "writing through a link replaces its target" (fun () ->
                inFolder (fun folder ->
                    let target, link = Path.Combine(folder, "target"), Path.Combine(folder, "link")
                    File.WriteAllText(target, "old")
                    File.CreateSymbolicLink(link, target) |> ignore
                    Files.write link (ReadOnlyMemory "new"B) |> valueOf
                    Expect.equal (File.ReadAllText target) "new" "File.ReadAllText target"
                    Expect.isNotNull (File.ResolveLinkTarget(link, false)) "the link"))

            testCase "content that is no state dict says what it is" (fun () ->
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
                |> shouldFail [ "TorchScript" ])
        ]
