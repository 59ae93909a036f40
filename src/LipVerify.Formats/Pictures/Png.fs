namespace LipVerify.Formats

open System
open System.Buffers.Binary
open System.IO
open System.IO.Compression

/// Reads and writes PNG pictures of 8 bits a channel: grey, RGB and palette, with and without alpha, not interlaced.
module Png =

    /// The largest width and height, in pixels.
    let private extentLimit = 1_000_000u

    type private ColourType =
        | Grey
        | Rgb
        | Palette
        | GreyAlpha
        | RgbAlpha

    type private Header =
        {
            Width: int
            Height: int
            Colours: ColourType
        }

    let private colourType (depth: byte) (code: byte) =
        match code, depth with
        | 0uy, 8uy -> Ok Grey
        | 2uy, 8uy -> Ok Rgb
        | 3uy, 8uy -> Ok Palette
        | 4uy, 8uy -> Ok GreyAlpha
        | 6uy, 8uy -> Ok RgbAlpha
        | (0uy | 2uy | 3uy | 4uy | 6uy), _ -> Error $"the picture has bit depth {depth}; save it with 8 bits a channel"
        | _ -> Error $"colour type {code} does not exist: the file is damaged"

    let private readHeader chunks =
        match chunks with
        | ({ Name = "IHDR"; Content = content }: PngChunk) :: _ when content.Length = 13 ->
            let width = BinaryPrimitives.ReadUInt32BigEndian content.Span
            let height = BinaryPrimitives.ReadUInt32BigEndian(content.Span.Slice 4)

            if width = 0u || height = 0u || width > extentLimit || height > extentLimit then
                Error $"a picture of {width}×{height} pixels; 1 to {extentLimit} a side are possible"
            elif content.Span[10] <> 0uy || content.Span[11] <> 0uy then
                Error "the picture has a compression or filter method that does not exist: the file is damaged"
            elif content.Span[12] <> 0uy then
                Error "the picture is interlaced; save it without interlacing"
            else
                colourType content.Span[8] content.Span[9]
                |> Result.map (fun colours ->
                    {
                        Width = int width
                        Height = int height
                        Colours = colours
                    })
        | _ -> Error "the picture does not start with a header of 13 bytes"

    let private samples colours =
        match colours with
        | Grey
        | Palette -> 1
        | GreyAlpha -> 2
        | Rgb -> 3
        | RgbAlpha -> 4

    let private concatenate (parts: ReadOnlyMemory<byte> list) =
        match parts with
        | [ part ] -> part
        | parts ->
            let whole = Array.zeroCreate<byte>(parts |> List.sumBy _.Length)

            (0, parts)
            ||> List.fold (fun at part ->
                part.Span.CopyTo(whole.AsSpan at)
                at + part.Length)
            |> ignore

            ReadOnlyMemory<byte> whole

    /// Rows of samples, each with the number of its filter in front.
    let private inflate header chunks =
        let rowLength = int64 header.Width * int64 (samples header.Colours) + 1L
        let size = int64 header.Height * rowLength

        match PngChunk.contents "IDAT" chunks with
        | [] -> Error "the picture has no pixels (IDAT)"
        | parts ->
            let compressed = concatenate parts

            Image.checkSize 20L header.Width header.Height size compressed.Length
            |> Result.bind (fun () -> Inflate.exactly Zlib size compressed)

    let private expand header chunks pixels =
        result {
            let! palette = PngChunk.single "PLTE" chunks
            let! transparency = PngChunk.single "tRNS" chunks

            match header.Colours, palette, transparency with
            | Palette, Some palette, transparency -> return! PngPixels.expandPalette palette transparency pixels
            | Palette, None, _ -> return! Error "the picture has no palette (PLTE)"
            | (Grey | Rgb), _, Some key -> return! PngPixels.addAlpha (samples header.Colours) key pixels
            | colours, _, _ -> return samples colours, pixels
        }

    let private readImage (bytes: ReadOnlyMemory<byte>) =
        result {
            let! chunks = PngChunk.read bytes
            let! header = readHeader chunks
            let! filtered = inflate header chunks

            let! pixels =
                PngPixels.unfilter header.Width header.Height (samples header.Colours) filtered

            let! channels, pixels = expand header chunks pixels

            return
                {
                    Width = header.Width
                    Height = header.Height
                    Channels = channels
                    Pixels = pixels
                }
        }

    /// The picture in the bytes of a PNG file. Palettes are replaced by their colours; declared transparency becomes an
    /// alpha channel. `source` names the file in messages.
    let parse (source: string) (bytes: ReadOnlyMemory<byte>) : Result<Image, LoadError> =
        readImage bytes |> Result.mapError (LoadError.file source)

    /// The picture in a PNG file.
    let load (path: string) : Result<Image, LoadError> = Files.parse parse path

    let private deflate (image: Image) =
        let rowLength = image.Width * image.Channels
        use target = new MemoryStream()

        using (new ZLibStream(target, CompressionLevel.Optimal, leaveOpen = true)) (fun stream ->
            for row in 0 .. image.Height - 1 do
                stream.WriteByte 0uy
                stream.Write(image.Pixels, row * rowLength, rowLength))

        target.ToArray()

    /// The bytes of a PNG file. The pixels must fill width × height × channels.
    let write (image: Image) : byte[] =
        let colourType =
            match image.Channels with
            | 1 -> 0uy
            | 2 -> 4uy
            | 3 -> 2uy
            | 4 -> 6uy
            | channels -> invalidArg (nameof image) $"a picture has 1 to 4 channels, got {channels}"

        if image.Pixels.Length <> image.Width * image.Height * image.Channels then
            invalidArg
                (nameof image)
                $"{image.Width}×{image.Height} pixels of {image.Channels} channels, got {image.Pixels.Length} bytes"

        let header = Array.zeroCreate<byte> 13
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(), image.Width)
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan 4, image.Height)
        header[8] <- 8uy
        header[9] <- colourType

        PngChunk.write [ "IHDR", header; "IDAT", deflate image ]
