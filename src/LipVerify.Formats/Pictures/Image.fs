namespace LipVerify.Formats

open System
open LipVerify.Core.Computation

/// A picture of 8 bits a channel.
type Image =
    {
        /// In pixels.
        Width: int
        /// In pixels.
        Height: int
        /// 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
        Channels: int
        /// Row by row from the top, the channels of a pixel side by side.
        Pixels: byte[]
    }

module Image =

    /// Pictures of inputs are small or full of detail: one may take this many bytes, and so many times those of its file.
    let private plainAllowance = 4_194_304L

    /// Refuses a picture whose pixels would take more than `most` times its compressed bytes, and more than what small ones may.
    let internal checkSize most width height (size: int64) (compressed: int) : Result<unit, string> =
        if size > plainAllowance + most * int64 compressed then
            Error $"{width}×{height} pixels from {compressed} compressed bytes are too many; save the picture smaller"
        else
            Ok()

    /// The levels 0 to 255 of a picture as a tensor channels × height × width, with 1 channel (grey) or 3 (RGB).
    /// An alpha channel must be opaque everywhere, and is dropped. `source` names the file in messages.
    let toTensor (source: string) (image: Image) : Result<Tensor, LoadError> =
        let area = image.Width * image.Height
        let hasAlpha = image.Channels % 2 = 0
        let channels = if hasAlpha then image.Channels - 1 else image.Channels

        let isTransparent pixel =
            image.Pixels[pixel * image.Channels + channels] <> 255uy

        match hasAlpha, Seq.tryFind isTransparent (if hasAlpha then seq { 0 .. area - 1 } else Seq.empty) with
        | true, Some pixel ->
            Error(
                LoadError.at
                    source
                    $"pixel ({pixel % image.Width}, {pixel / image.Width})"
                    "it is transparent, so that its colour is open; save the picture without alpha"
            )
        | _ ->
            let level i =
                float image.Pixels[i % area * image.Channels + i / area]

            Ok(Tensor.ofArray [ channels; image.Height; image.Width ] (Array.init (channels * area) level))

    /// The picture of a tensor `1 × height × width` (grey) or `3 × height × width` (RGB) of levels, rounded to integers from 0 to
    /// 255; none for other shapes.
    let ofTensor (levels: Tensor) : Image option =
        match levels.Shape with
        | [ (1 | 3) as channels; height; width ] ->
            let values, area = Tensor.values levels, height * width

            let sample i =
                Math.Round values[i % channels * area + i / channels]
                |> max 0.0
                |> min 255.0
                |> byte

            Some
                {
                    Width = width
                    Height = height
                    Channels = channels
                    Pixels = Array.init (channels * area) sample
                }
        | _ -> None
