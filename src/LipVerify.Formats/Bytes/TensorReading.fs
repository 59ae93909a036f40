namespace LipVerify.Formats

open System
open LipVerify.Core.Computation

/// From stored bytes to tensors.
module internal TensorReading =

    let private index (shape: Shape) (position: int) =
        let step size (rest, index) = (rest / size, rest % size :: index)
        let _, index = List.foldBack step shape (position, [])
        index |> List.map string |> String.concat ", "

    /// Fails, with the index of the first culprit, where a value is not finite.
    let finite source place (tensor: Tensor) : Result<Tensor, LoadError> =
        let values = Tensor.values tensor

        match Array.FindIndex(values, (fun value -> not (Double.IsFinite value))) with
        | -1 -> Ok tensor
        | position ->
            let word = if Double.IsNaN values[position] then "NaN" else "infinite"

            Error(
                LoadError.at
                    source
                    place
                    $"the value at [{index tensor.Shape position}] is {word}; every value must be a finite number"
            )

    /// A tensor of this shape from bytes in row-major order, whose count must fit.
    let decode (element: ElementType) order (shape: Shape) (bytes: ReadOnlyMemory<byte>) : Result<Tensor, string> =
        let needed = int64 (Shape.size shape) * int64 (ElementType.size element)

        if int64 bytes.Length <> needed then
            Error
                $"shape {Shape.text shape} of {ElementType.size element}-byte numbers needs {needed} bytes, there are {bytes.Length}"
        else
            ElementType.decode element order bytes |> Result.map (Tensor.ofArray shape)
