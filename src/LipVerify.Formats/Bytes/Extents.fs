namespace LipVerify.Formats

open System
open LipVerify.Core.Computation

/// Shapes that a file declares, before anything is allocated for them.
module internal Extents =

    /// The most dimensions of a tensor, as in numpy and torch.
    let maximalRank = 64

    let private text (sizes: int64 list) =
        let shown = sizes |> List.truncate 8 |> List.map string |> String.concat "×"
        if sizes.Length > 8 then shown + "×…" else shown

    // The running product is checked too: a trailing 0 must not hide an overflow.
    let private fits (sizes: int64 list) =
        let limit = int64 Array.MaxLength

        let multiply product size =
            product
            |> Option.filter (fun product -> size <= limit && product * size <= limit)
            |> Option.map (fun product -> product * size)

        sizes |> List.fold multiply (Some 1L) |> Option.isSome

    /// A shape without negative sizes whose values fit into one array.
    let shape (sizes: int64 list) : Result<Shape, string> =
        if sizes.Length > maximalRank then
            Error $"a tensor of {sizes.Length} dimensions; at most {maximalRank} are possible"
        elif sizes |> List.exists (fun size -> size < 0L) then
            Error $"shape {text sizes} has a negative size"
        elif not (fits sizes) then
            Error $"shape {text sizes} has more than 2³¹ values, which no tensor can hold"
        else
            Ok(List.map int sizes)

    /// Steps between neighbours along each dimension, in numbers, for values in row-major order.
    let rowMajor (shape: Shape) : int64 list =
        List.scanBack (fun size stride -> int64 (max size 1) * stride) shape 1L
        |> List.tail

    /// The same for values in column-major order.
    let columnMajor (shape: Shape) : int64 list =
        shape
        |> List.scan (fun stride size -> int64 (max size 1) * stride) 1L
        |> List.truncate shape.Length
