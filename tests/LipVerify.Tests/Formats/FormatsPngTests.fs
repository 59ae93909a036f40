module LipVerify.Tests.FormatsPngTests

open System
open System.Buffers.Binary
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Core.Computation
open LipVerify.Formats
open LipVerify.Tests.FormatsWriters

let private parse bytes = parseWith Png.parse bytes

let private image width height channels =
    {
        Width = width
        Height = height
        Channels = channels
        Pixels = Array.init (width * height * channels) (fun i -> byte (i * i + 31 * i))
    }

let private overwriteHeader at (value: byte[]) =
    Png.write (image 3 2 1) |> patch (16 + at) value |> repairChecksums

/// Where the content of IDAT starts, behind signature and header.
let private startOfPixels = 41

let private extent (value: uint32) =
    let bytes = Array.zeroCreate<byte> 4
    BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(), value)
    bytes

[<Tests>]
let tests =
    testList
        "FormatsPng"
        [
            testProperty
                "what is written is read back"
                (fun (width: FsCheck.PositiveInt) (height: FsCheck.PositiveInt) ->
                    [ 1..4 ]
                    |> List.forall (fun channels ->
                        let picture = image (width.Get % 40 + 1) (height.Get % 40 + 1) channels
                        valueOf (parse (Png.write picture)) = picture))

            testCase "a tensor holds the channels one after the other" (fun () ->
                let tensor =
                    {
                        Width = 2
                        Height = 1
                        Channels = 3
                        Pixels = [| 1uy; 2uy; 3uy; 4uy; 5uy; 6uy |]
                    }
                    |> Image.toTensor "file"
                    |> valueOf

                Expect.isTrue (tensor.Shape = [ 3; 1; 2 ]) "tensor.Shape = [ 3; 1; 2 ]"
                shouldEqual [| 1.0; 4.0; 2.0; 5.0; 3.0; 6.0 |] (Tensor.values tensor))

            testCase "alpha is dropped where it is opaque and refused where it is not" (fun () ->
                let picture alpha =
                    {
                        Width = 2
                        Height = 1
                        Channels = 2
                        Pixels = [| 9uy; 255uy; 8uy; alpha |]
                    }

                let opaque = picture 255uy |> Image.toTensor "file" |> valueOf
                Expect.isTrue (opaque.Shape = [ 1; 1; 2 ]) "opaque.Shape = [ 1; 1; 2 ]"
                shouldEqual [| 9.0; 8.0 |] (Tensor.values opaque)

                picture 254uy
                |> Image.toTensor "file"
                |> shouldFail [ "pixel (1, 0)"; "transparent" ])

            testCase "sizes are refused before anything is allocated for them" (fun () ->
                overwriteHeader 0 (extent 0u) |> parse |> shouldFail [ "0×2 pixels" ]

                overwriteHeader 0 (extent 0x80000000u)
                |> parse
                |> shouldFail [ "2147483648×2 pixels" ]

                overwriteHeader 4 (extent 1_000_000u)
                |> parse
                |> shouldFail [ "cannot come from" ]

                overwriteHeader 4 (extent 1u) |> parse |> shouldFail [ "more than the 4 bytes" ]
                overwriteHeader 4 (extent 3u) |> parse |> shouldFail [ "where 12 are needed" ])

            testCase "what is not supported says what would be right" (fun () ->
                overwriteHeader 8 [| 16uy |]
                |> parse
                |> shouldFail [ "bit depth 16; save it with 8 bits a channel" ]

                overwriteHeader 12 [| 1uy |]
                |> parse
                |> shouldFail [ "interlaced; save it without interlacing" ]

                overwriteHeader 9 [| 5uy |] |> parse |> shouldFail [ "colour type 5" ]
                overwriteHeader 9 [| 3uy |] |> parse |> shouldFail [ "no palette" ])

            testCase "damage shows in the checksums" (fun () ->
                let file = Png.write (image 3 2 1)

                patch 19 [| 4uy |] file
                |> parse
                |> shouldFail [ "chunk IHDR at byte 8"; "checksum" ]

                patch 1 [| 4uy |] file |> parse |> shouldFail [ "signature" ])

            testCase "pixels that need a preset dictionary are refused" (fun () ->
                Png.write (image 3 2 1)
                |> patch startOfPixels [| 0x78uy; 0x20uy |]
                |> repairChecksums
                |> parse
                |> shouldFail [ "compressed data is damaged" ])

            testCase "a file cut anywhere is an error" (fun () ->
                let file = Png.write (image 5 4 3)

                for length in 0 .. file.Length - 1 do
                    parse (Array.truncate length file) |> shouldFail [ "file: " ])

            testCase "a transparent colour becomes alpha" (fun () ->
                let file =
                    Png.write
                        {
                            Width = 2
                            Height = 1
                            Channels = 1
                            Pixels = [| 7uy; 8uy |]
                        }

                let key =
                    [|
                        0uy
                        0uy
                        0uy
                        2uy
                        byte 't'
                        byte 'R'
                        byte 'N'
                        byte 'S'
                        0uy
                        7uy
                        0uy
                        0uy
                        0uy
                        0uy
                    |]

                let picture =
                    Array.concat [ Array.take 33 file; key; Array.skip 33 file ]
                    |> repairChecksums
                    |> parse
                    |> valueOf

                Expect.equal picture.Channels 2 "channels"
                shouldEqual [| 7uy; 0uy; 8uy; 255uy |] picture.Pixels)

            testCase "many chunks are no burden" (fun () ->
                let file = Png.write (image 3 2 1)

                let empty =
                    [|
                        0uy
                        0uy
                        0uy
                        0uy
                        byte 't'
                        byte 'E'
                        byte 'X'
                        byte 't'
                        0uy
                        0uy
                        0uy
                        0uy
                    |]

                let picture =
                    Array.concat
                        [
                            Array.take 33 file
                            Array.concat (Array.replicate 100_000 empty)
                            Array.skip 33 file
                        ]
                    |> repairChecksums
                    |> parse
                    |> valueOf

                Expect.equal picture (image 3 2 1) "picture")

            testCase "a small file does not unfold to a huge picture" (fun () ->
                let blank =
                    {
                        Width = 8000
                        Height = 8000
                        Channels = 1
                        Pixels = Array.zeroCreate (8000 * 8000)
                    }

                let file = Png.write blank
                let before = GC.GetAllocatedBytesForCurrentThread()
                parse file |> shouldFail [ "8000×8000"; "too many" ]
                // The file is copied a few times; the picture would take 64 MB, and 512 MB as a tensor.
                Expect.isLessThan
                    (GC.GetAllocatedBytesForCurrentThread() - before)
                    (8L * int64 file.Length + 1_000_000L)
                    "GC.GetAllocatedBytesForCurrentThread() - before")
        ]
