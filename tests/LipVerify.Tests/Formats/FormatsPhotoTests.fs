/// Pictures that are not PNG, and pictures that are scaled.
module LipVerify.Tests.FormatsPhotoTests

open System
open System.Buffers.Binary
open System.IO
open Expecto
open SixLabors.ImageSharp
open SixLabors.ImageSharp.Formats.Jpeg
open SixLabors.ImageSharp.Formats.Webp
open SixLabors.ImageSharp.PixelFormats
open LipVerify.Propositions.Expectations
open LipVerify.Core.Computation
open LipVerify.Formats
open LipVerify.Tests.FormatsWriters

type private Picture = LipVerify.Formats.Image

let private parse bytes = parseWith Photo.parse bytes

let private level x y channel =
    byte (128.0 + 100.0 * sin (float (x + 2 * y) / 9.0 + float channel))

/// A smooth picture, so that JPEG loses little.
let private smooth width height =
    let picture = new Image<Rgb24>(width, height)

    for y in 0 .. height - 1 do
        for x in 0 .. width - 1 do
            picture[x, y] <- Rgb24(level x y 0, level x y 1, level x y 2)

    picture

let private encoded (save: Image<Rgb24> -> Stream -> unit) =
    use picture = smooth 40 30
    use stream = new MemoryStream()
    save picture stream
    stream.ToArray()

let private jpeg =
    encoded (fun picture stream -> picture.Save(stream, JpegEncoder(Quality = Nullable 100)))

let private greyJpeg =
    encoded (fun picture stream ->
        picture.Save(stream, JpegEncoder(Quality = Nullable 100, ColorType = JpegColorType.Luminance)))

let private webp =
    encoded (fun picture stream -> picture.Save(stream, WebpEncoder(FileFormat = WebpFileFormatType.Lossless)))

let private bmp = encoded (fun picture stream -> picture.SaveAsBmp stream)
let private tiff = encoded (fun picture stream -> picture.SaveAsTiff stream)
let private formats = [ "jpeg", jpeg; "webp", webp; "bmp", bmp; "tiff", tiff ]

/// The largest difference between levels of the red channel and those of the smooth picture.
let private furthest (picture: Picture) =
    Seq.max
        [
            for y in 0 .. picture.Height - 1 do
                for x in 0 .. picture.Width - 1 do
                    abs (
                        int picture.Pixels[(y * picture.Width + x) * picture.Channels]
                        - int (level x y 0)
                    )
        ]

let private grey width height (pixels: byte[]) : Picture =
    {
        Width = width
        Height = height
        Channels = 1
        Pixels = pixels
    }

/// 2 × 2 pixels of 24 bits, written by hand: rows from the bottom, blue first, padded to 4 bytes.
let private fourPixels =
    let file = Array.zeroCreate<byte> 70

    let word (at: int) (value: int) =
        BinaryPrimitives.WriteInt32LittleEndian(file.AsSpan at, value)

    file[0] <- byte 'B'
    file[1] <- byte 'M'
    List.iter2 word [ 2; 10; 14; 18; 22; 34 ] [ 70; 54; 40; 2; 2; 16 ]
    file[26] <- 1uy
    file[28] <- 24uy
    Array.blit [| 7uy; 8uy; 9uy; 10uy; 11uy; 12uy |] 0 file 54 6
    Array.blit [| 1uy; 2uy; 3uy; 4uy; 5uy; 6uy |] 0 file 62 6
    file

let private scaled shorter extents picture =
    match Photo.resize shorter extents picture with
    | Ok scaled -> scaled
    | Error problem -> failtest problem

[<Tests>]
let tests =
    testList
        "FormatsPhoto"
        [
            testCase "the levels of a bitmap are those of its bytes" (fun () ->
                let tensor = parse fourPixels |> Result.bind (Image.toTensor "file") |> valueOf
                Expect.equal tensor.Shape [ 3; 2; 2 ] "shape"

                shouldEqual [| 3.0; 6.0; 9.0; 12.0; 2.0; 5.0; 8.0; 11.0; 1.0; 4.0; 7.0; 10.0 |] (Tensor.values tensor))

            testTheory
                "pictures are read: exactly where nothing is lost, nearly where something is"
                [ "jpeg", 6; "webp", 0; "bmp", 0; "tiff", 0 ]
                (fun (format, most) ->
                    let picture = parse (Map.ofList formats |> Map.find format) |> valueOf
                    Expect.equal (picture.Width, picture.Height) (40, 30) "extents"
                    Expect.isLessThanOrEqual (furthest picture) most "levels"
                    Expect.equal (Image.toTensor "file" picture |> valueOf).Shape [ 3; 30; 40 ] "shape")

            testCase "a grey JPEG has one channel" (fun () ->
                let tensor = parse greyJpeg |> Result.bind (Image.toTensor "file") |> valueOf
                Expect.equal tensor.Shape [ 1; 30; 40 ] "shape")

            testTheory "a file that is cut off is an error, or the whole picture" formats (fun (_, bytes) ->
                let whole = parse bytes |> valueOf

                for length in 0 .. bytes.Length - 1 do
                    match parse (Array.truncate length bytes) with
                    | Ok picture -> Expect.equal picture whole $"{length} of {bytes.Length} bytes"
                    | Error error -> Expect.stringStarts (LoadError.text error) "file: " "file")

            testTheory "a damaged file is a picture or one line of error" formats (fun (_, bytes) ->
                for at in 0 .. bytes.Length - 1 do
                    let damaged = Array.copy bytes
                    damaged[at] <- damaged[at] ^^^ (1uy <<< at % 8)

                    match parse damaged with
                    | Ok _ -> ()
                    | Error error -> Expect.stringLacks (LoadError.text error) "\n" "lines")

            testCase "a small file does not unfold to a huge picture" (fun () ->
                let file = Array.copy fourPixels
                BinaryPrimitives.WriteInt32LittleEndian(file.AsSpan 18, 30000)
                BinaryPrimitives.WriteInt32LittleEndian(file.AsSpan 22, 30000)
                parse file |> shouldFail [ "30000×30000"; "too many" ])

            testCase "what is no picture says so" (fun () -> parse [| 1uy; 2uy; 3uy |] |> shouldFail [ "picture" ])

            testCase "scaling weighs by a triangle as wide as the scale asks for" (fun () ->
                // A row of 4 to one of 2: the weights of the first are 3, 3 and 1 of 7.
                let picture = grey 4 2 [| 0uy; 0uy; 255uy; 255uy; 0uy; 0uy; 255uy; 255uy |]
                let row = scaled 1 (1, 2) picture
                Expect.equal (row.Width, row.Height) (2, 1) "extents"
                Expect.isInRange row.Pixels[0] (35uy, 38uy) "the first"
                Expect.isInRange row.Pixels[1] (217uy, 220uy) "the second")

            testCase "the middle is cut out as torchvision does it" (fun () ->
                // 5 × 4 to 5 × 4: nothing is scaled, and of 5 columns the two from the second on are kept (round(1.5) = 2).
                let picture = grey 5 4 (Array.init 20 byte)
                let cut = scaled 4 (2, 2) picture
                Expect.equal cut.Pixels [| 7uy; 8uy; 12uy; 13uy |] "pixels"
                // The longer side is truncated.
                let even = scaled 256 (256, 341) (grey 500 375 (Array.create (500 * 375) 9uy))

                Expect.equal (even.Width, even.Height) (341, 256) "extents"
                Expect.all even.Pixels ((=) 9uy) "an even picture stays even")

            testCase "a picture that is too small for the network says so" (fun () ->
                match Photo.resize 4 (5, 5) (grey 4 4 (Array.zeroCreate 16)) with
                | Ok _ -> failtest "scaled"
                | Error problem -> Expect.stringContainsAll problem [ "4×4"; "5×5" ] "problem")

            testCase "photos are inputs, and only pictures are scaled" (fun () ->
                let folder = Directory.CreateTempSubdirectory "lipverify-tests-"

                try
                    let path name = Path.Combine(folder.FullName, name)
                    File.WriteAllBytes(path "photo.jpg", jpeg)
                    File.WriteAllText(path "x.csv", "1,2,3,4")

                    let scaled =
                        { Preprocessing.none with
                            Resize = Some 15
                        }

                    let input = InputSource.load [ 3; 10; 10 ] scaled (path "photo.jpg") |> valueOf
                    Expect.equal input.Shape [ 3; 10; 10 ] "shape"
                    Expect.all (Tensor.values input) (fun level -> 0.0 < level && level < 1.0) "levels"

                    InputSource.load [ 3; 10; 10 ] Preprocessing.none (path "photo.jpg")
                    |> shouldFail [ "3×30×40"; "--resize N" ]

                    InputSource.load [ 4 ] scaled (path "x.csv") |> shouldFail [ "only pictures" ]

                    InputSource.load [ 4 ] scaled (path "photo.jpg")
                    |> shouldFail [ "channels × height × width" ]
                finally
                    folder.Delete true)
        ]
