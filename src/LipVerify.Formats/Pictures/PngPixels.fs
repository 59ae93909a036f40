namespace LipVerify.Formats

open System
open System.Buffers.Binary

/// What a PNG picture does to its pixels before they are compressed, undone.
module internal PngPixels =

    // Whichever of left, above and above-left is nearest to left + above − above-left.
    let private paeth (left: int) (above: int) (corner: int) =
        let estimate = left + above - corner

        let toLeft, toAbove, toCorner =
            abs (estimate - left), abs (estimate - above), abs (estimate - corner)

        if toLeft <= toAbove && toLeft <= toCorner then left
        elif toAbove <= toCorner then above
        else corner

    let private unfilterRow filter (step: int) (rowLength: int) (filtered: byte[]) from (pixels: byte[]) into =
        for i in 0 .. rowLength - 1 do
            let left = if i < step then 0 else int pixels[into + i - step]
            let above = if into = 0 then 0 else int pixels[into + i - rowLength]

            let corner =
                if i < step || into = 0 then
                    0
                else
                    int pixels[into + i - rowLength - step]

            let prediction =
                match filter with
                | 0uy -> 0
                | 1uy -> left
                | 2uy -> above
                | 3uy -> (left + above) / 2
                | _ -> paeth left above corner

            pixels[into + i] <- byte (int filtered[from + i] + prediction)

    /// The samples of a picture, `step` to a pixel, from rows that each start with the number of their filter.
    let unfilter (width: int) (height: int) (step: int) (filtered: byte[]) : Result<byte[], string> =
        let rowLength = width * step
        let filterOf row = filtered[row * (rowLength + 1)]

        match Seq.tryFind (fun row -> filterOf row > 4uy) (seq { 0 .. height - 1 }) with
        | Some row -> Error $"row {row} has filter {filterOf row}, which does not exist: the file is damaged"
        | None ->
            let pixels = Array.zeroCreate<byte>(height * rowLength)

            for row in 0 .. height - 1 do
                unfilterRow (filterOf row) step rowLength filtered (row * (rowLength + 1) + 1) pixels (row * rowLength)

            Ok pixels

    /// The colours of a palette in place of their numbers, and their count of channels: 4 with transparency, else 3.
    let expandPalette (palette: ReadOnlyMemory<byte>) (transparency: ReadOnlyMemory<byte> option) (indices: byte[]) =
        let colours = palette.Length / 3
        let colour i = palette.Slice(3 * i, 3).ToArray()

        // Entries without a listed alpha are opaque.
        let entry =
            match transparency with
            | None -> Array.init colours colour
            | Some alpha ->
                Array.init colours (fun i ->
                    Array.append (colour i) [| (if i < alpha.Length then alpha.Span[i] else 255uy) |])

        if palette.Length % 3 <> 0 || colours = 0 || colours > 256 then
            Error $"a palette of {palette.Length} bytes; 1 to 256 colours of 3 bytes are possible"
        else
            match indices |> Array.tryFind (fun index -> int index >= colours) with
            | Some index -> Error $"a pixel has colour {index} of a palette of {colours}"
            | None ->
                let channels = entry[0].Length
                let pixels = Array.zeroCreate<byte>(indices.Length * channels)

                indices
                |> Array.iteri (fun i index -> entry[int index].CopyTo(pixels, i * channels))

                Ok(channels, pixels)

    /// An alpha channel for the one colour that a picture without alpha may declare transparent, in 16 bits a channel.
    let addAlpha channels (key: ReadOnlyMemory<byte>) (pixels: byte[]) =
        if key.Length <> 2 * channels then
            Error "the transparent colour (tRNS) has the wrong length: the file is damaged"
        else
            let key =
                Array.init channels (fun c -> int (BinaryPrimitives.ReadUInt16BigEndian(key.Span.Slice(2 * c))))

            let count = pixels.Length / channels
            let expanded = Array.zeroCreate<byte>(count * (channels + 1))

            for i in 0 .. count - 1 do
                Array.Copy(pixels, i * channels, expanded, i * (channels + 1), channels)

                let matches =
                    key
                    |> Seq.indexed
                    |> Seq.forall (fun (c, level) -> int pixels[i * channels + c] = level)

                expanded[i * (channels + 1) + channels] <- if matches then 0uy else 255uy

            Ok(channels + 1, expanded)
