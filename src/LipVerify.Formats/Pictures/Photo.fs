/// Reads JPEG, WebP, BMP and TIFF pictures by SixLabors.ImageSharp, and scales pictures. The decoder is lenient, so that a file is held first
/// against what it says of its own length.
module LipVerify.Formats.Photo

open System
open System.Buffers.Binary
open SixLabors.ImageSharp
open SixLabors.ImageSharp.Formats
open SixLabors.ImageSharp.Formats.Tiff
open SixLabors.ImageSharp.Metadata
open SixLabors.ImageSharp.PixelFormats
open SixLabors.ImageSharp.Processing

/// Lossy compression leaves less of a picture than PNG does.
let private mostTimes = 100L

/// Whether a file ends where it says that it does. TIFF's parts lie anywhere, and its decoder misses those that are cut off.
let private isWhole (format: string) (bytes: ReadOnlySpan<byte>) =
    match format with
    | "JPEG" ->
        // Some programs pad the file.
        let trimmed = bytes.TrimEnd 0uy

        trimmed.Length > 4
        && trimmed[trimmed.Length - 2] = 0xFFuy
        && trimmed[trimmed.Length - 1] = 0xD9uy
    | "WEBP" ->
        bytes.Length > 12
        && int64 (BinaryPrimitives.ReadUInt32LittleEndian(bytes.Slice 4)) + 8L
           <= int64 bytes.Length
    | "BMP" ->
        bytes.Length > 6
        && int64 (BinaryPrimitives.ReadUInt32LittleEndian(bytes.Slice 2))
           <= int64 bytes.Length
    | _ -> true

/// Grey where the file has one channel of brightness, else RGB with alpha.
let private decode (bytes: ReadOnlySpan<byte>) (format: string) isGrey : LipVerify.Formats.Image =
    let copy channels (picture: Image<'pixel>) : LipVerify.Formats.Image =
        let pixels = Array.zeroCreate (picture.Width * picture.Height * channels)
        picture.CopyPixelDataTo(Span<byte> pixels)

        {
            Width = picture.Width
            Height = picture.Height
            Channels = channels
            Pixels = pixels
        }

    if isGrey then
        use picture = Image.Load<L8> bytes
        copy 1 picture
    elif format = "TIFF" then
        let first = TiffDecoder(DecodingMode = FrameDecodingMode.First)
        use picture = Image.Load<Rgba32>(bytes, first)
        copy 4 picture
    else
        use picture = Image.Load<Rgba32> bytes
        copy 4 picture

/// The decoder throws many kinds of exceptions at damaged files; none of them is a fault of this program.
let private attempt (work: unit -> 'a) : Result<'a, string> =
    try
        Ok(work ())
    with
    | :? OutOfMemoryException -> Error "there is not enough memory for this picture"
    | failure ->
        let line = failure.Message.Split('\n', 2)[0]
        Error $"the picture is damaged, or of a kind that is not read: {line.TrimEnd('.', '\r')}"

let private read (bytes: ReadOnlyMemory<byte>) =
    result {
        let! identified =
            attempt (fun () ->
                let mutable format: IImageFormat = Unchecked.defaultof<_>
                let information: IImageInfo | null = Image.Identify(bytes.ToArray(), &format)

                information
                |> Option.ofObj
                |> Option.map (fun information -> information, format))

        match identified with
        | None -> return! Error "this is no JPEG, WebP, BMP or TIFF picture"
        | Some(information, format) ->
            let width, height = information.Width, information.Height
            let isJpeg = format.Name = "JPEG"
            let isGrey = isJpeg && information.PixelType.BitsPerPixel = 8

            if not (isWhole format.Name bytes.Span) then
                return! Error "the picture is cut off: its file is shorter than it says"
            elif List.contains information.PixelType.BitsPerPixel [ 16; 48; 64 ] then
                return! Error "the picture has 16 bits a channel or so; save it with 8 bits a channel"
            else
                do!
                    LipVerify.Formats.Image.checkSize
                        mostTimes
                        width
                        height
                        (4L * int64 width * int64 height)
                        bytes.Length

                return! attempt (fun () -> decode bytes.Span format.Name isGrey)
    }

/// The picture in the bytes of a JPEG, WebP, BMP or TIFF file, the first where there are several: with 1 channel for a grey JPEG, else 4, with alpha.
/// `source` names the file in messages. Lossy formats leave the rounding of levels to the decoder: another program may read levels that differ
/// by one or two.
let parse (source: string) (bytes: ReadOnlyMemory<byte>) : Result<LipVerify.Formats.Image, LoadError> =
    read bytes |> Result.mapError (LoadError.file source)

/// The picture in a file.
let load (path: string) : Result<LipVerify.Formats.Image, LoadError> = Files.parse parse path

let private processed<'pixel
    when 'pixel: unmanaged
    and 'pixel: (new: unit -> 'pixel)
    and 'pixel: struct
    and 'pixel :> ValueType
    and 'pixel :> IPixel<'pixel>>
    (steps: IImageProcessingContext -> unit)
    (image: LipVerify.Formats.Image)
    : LipVerify.Formats.Image =
    use picture =
        Image.LoadPixelData<'pixel>(ReadOnlySpan<byte> image.Pixels, image.Width, image.Height)

    picture.Mutate(Action<IImageProcessingContext> steps)
    let pixels = Array.zeroCreate (picture.Width * picture.Height * image.Channels)
    picture.CopyPixelDataTo(Span<byte> pixels)

    { image with
        Width = picture.Width
        Height = picture.Height
        Pixels = pixels
    }

/// The middle `width × height` of a picture whose shorter side is scaled to `shorter` pixels, by a triangle filter as wide as the scale asks for: what
/// torchvision's `Resize` and `CenterCrop` do with pictures of Pillow, up to rounding. Or why it is too small for that.
let resize shorter (height, width) (image: LipVerify.Formats.Image) : Result<LipVerify.Formats.Image, string> =
    let least = min image.Width image.Height

    let scaled extent =
        if extent = least then
            shorter
        else
            int (int64 shorter * int64 extent / int64 least)

    let scaledWidth, scaledHeight = scaled image.Width, scaled image.Height

    if width > scaledWidth || height > scaledHeight then
        Error
            $"the picture scaled to {scaledWidth}×{scaledHeight} pixels is smaller than the {width}×{height} that the network takes"
    elif int64 scaledWidth * int64 scaledHeight > 100_000_000L then
        Error $"the picture scaled to {scaledWidth}×{scaledHeight} pixels is too large"
    else
        let start outer inner =
            int (Math.Round(float (outer - inner) / 2.0, MidpointRounding.ToEven))

        let steps (context: IImageProcessingContext) =
            context
                .Resize(scaledWidth, scaledHeight, KnownResamplers.Triangle)
                .Crop(Rectangle(start scaledWidth width, start scaledHeight height, width, height))
            |> ignore

        match image.Channels with
        | 1 -> Ok(processed<L8> steps image)
        | 2 -> Ok(processed<La16> steps image)
        | 3 -> Ok(processed<Rgb24> steps image)
        | _ -> Ok(processed<Rgba32> steps image)
