namespace LipVerify.Formats

open System
open LipVerify.Core.Computation

/// Tensors that lie in a block of bytes in any order.
module internal Strided =

    let private isContiguous (shape: Shape) (strides: int64 list) =
        List.zip shape strides
        |> List.forall2 (fun expected (size, stride) -> size = 1 || stride = expected) (Extents.rowMajor shape)

    // An odometer: the last index turns fastest, and `from` follows it through the source.
    let private copy itemSize (shape: int[]) (strides: int64[]) (offset: int64) (source: ReadOnlySpan<byte>) =
        let target = Array.zeroCreate<byte>(Array.fold (*) itemSize shape)
        let index = Array.zeroCreate<int> shape.Length
        let mutable from = offset
        let mutable into = 0

        while into < target.Length do
            source.Slice(int from * itemSize, itemSize).CopyTo(target.AsSpan into)
            into <- into + itemSize
            let mutable axis = shape.Length - 1
            let mutable carry = into < target.Length

            while carry do
                index[axis] <- index[axis] + 1
                carry <- index[axis] = shape[axis]

                if carry then
                    from <- from - int64 (shape[axis] - 1) * strides[axis]
                    index[axis] <- 0
                    axis <- axis - 1
                else
                    from <- from + strides[axis]

        ReadOnlyMemory<byte> target

    // A dimension of size 1 is never stepped along, so that its stride may be any number.
    let private gather itemSize (shape: Shape) (strides: int64 list) offset (block: ReadOnlyMemory<byte>) =
        let steps =
            List.map2 (fun size stride -> if size = 1 then 0L else stride) shape strides

        copy itemSize (Array.ofList shape) (Array.ofList steps) offset block.Span

    let private last (shape: Shape) (strides: int64 list) (offset: int64) =
        List.fold2
            (fun last size (stride: int64) -> last + bigint (size - 1: int) * bigint stride)
            (bigint (offset: int64))
            shape
            strides

    /// The bytes, in row-major order, of the tensor whose first number is number `offset` of `block` and whose neighbours
    /// along dimension `i` lie `strides[i]` numbers apart. Fails where the tensor leaves the block. The size of the tensor
    /// may exceed the block through strides of 0: the caller bounds it.
    let rowMajor
        itemSize
        (shape: Shape)
        (strides: int64 list)
        (offset: int64)
        (block: ReadOnlyMemory<byte>)
        : Result<ReadOnlyMemory<byte>, string> =
        let available = block.Length / itemSize
        let count = Shape.size shape

        if strides.Length <> shape.Length then
            Error $"{strides.Length} strides for {shape.Length} dimensions"
        elif offset < 0L then
            Error $"the offset {offset} is negative"
        elif count = 0 then
            Ok ReadOnlyMemory.Empty
        elif strides |> List.exists (fun stride -> stride < 0L) then
            Error "a stride is negative"
        elif int64 count * int64 itemSize > int64 Array.MaxLength then
            Error $"shape {Shape.text shape} needs more than 2 GiB"
        elif last shape strides offset >= bigint available then
            Error $"a tensor of shape {Shape.text shape} reaches past the {available} values that are stored"
        elif isContiguous shape strides then
            Ok(block.Slice(int offset * itemSize, count * itemSize))
        else
            Ok(gather itemSize shape strides offset block)
