namespace LipVerify.Core.Computation

open System
open System.Runtime.InteropServices
open System.Security.Cryptography
open LipVerify.Compute

/// The extents of one input or output without its batch, outermost first: `[ channels; height; width ]` or `[ features ]`.
type Shape = int list

module Shape =

    /// The number of values in a tensor of this shape; 1 for the empty shape.
    /// Fails with `OverflowException` beyond 2³¹ − 1.
    let size (shape: Shape) = shape |> List.fold (Checked.(*)) 1

    /// `16×4×4`
    let text (shape: Shape) =
        match shape with
        | [] -> "scalar"
        | _ -> shape |> List.map string |> String.concat "×"

/// An immutable array of doubles with a shape, row-major. Its storage may live on the device of an engine.
[<ReferenceEquality>]
type Tensor =
    private
        {
            Extents: Shape
            Block: Storage
            /// Computed once where it is asked for: the least size of a value that is not 0, and the largest size.
            Sizes: Lazy<struct (float * float)>
            /// Computed once where it is asked for: SHA-256 of the values.
            Digest: Lazy<byte[]>
        }

    /// The extents, outermost first.
    member tensor.Shape = tensor.Extents

    /// The number of values.
    member tensor.Length = tensor.Block.Length

    /// The block that holds the values, for engine calls. It must not be written to.
    member tensor.Storage = tensor.Block

/// Construction and host-side access. Arithmetic on many values belongs to the engine; the maps here serve
/// elementwise formulas that are evaluated once a layer.
module Tensor =

    let private onHost (block: Storage) : float[] =
        match block with
        | :? HostStorage as host -> host.Values
        | block ->
            let copy = Array.zeroCreate block.Length
            block.CopyTo(0, Span copy)
            copy

    let private sizesOf (values: float[]) =
        let mutable least = Double.PositiveInfinity
        let mutable largest = 0.0

        for value in values do
            let size = abs value

            if size > 0.0 then
                least <- min least size
                largest <- max largest size

        struct (least, largest)

    let private digestOf (values: float[]) =
        SHA256.HashData(MemoryMarshal.AsBytes(ReadOnlySpan values))

    /// A tensor over `storage`; the length must match the shape.
    let ofStorage (shape: Shape) (storage: Storage) =
        if Shape.size shape <> storage.Length then
            invalidArg
                (nameof storage)
                $"shape {Shape.text shape} needs {Shape.size shape} values, got {storage.Length}"

        {
            Extents = shape
            Block = storage
            Sizes = lazy sizesOf (onHost storage)
            Digest = lazy digestOf (onHost storage)
        }

    /// A tensor over `values`, which must not be changed afterwards.
    let ofArray (shape: Shape) (values: float[]) =
        ofStorage shape (HostStorage.Constant values)

    /// A vector.
    let vector (values: float[]) = ofArray [ values.Length ] values

    /// `n` times the same value.
    let create (shape: Shape) (value: float) =
        ofArray shape (Array.create (Shape.size shape) value)

    /// The values on the host, without a copy where they are there already. They must not be written to.
    let values (tensor: Tensor) : float[] = onHost tensor.Block

    /// The least size of a value that is not 0 (infinite where all are 0) and the largest size of a value. Computed once.
    let sizes (tensor: Tensor) = tensor.Sizes.Value

    /// SHA-256 of the values, computed once: what large tensors are told apart by.
    let digest (tensor: Tensor) = tensor.Digest.Value

    /// The same values under another shape of the same size.
    let reshape (shape: Shape) (tensor: Tensor) =
        { ofStorage shape tensor.Block with
            Sizes = tensor.Sizes
            Digest = tensor.Digest
        }

    /// Elementwise, on the host.
    let map (f: float -> float) (tensor: Tensor) =
        let source = values tensor
        let result = LargeArrays.Allocate<float> source.Length

        for i in 0 .. source.Length - 1 do
            result[i] <- f source[i]

        ofArray tensor.Extents result

    /// Elementwise over two tensors of one size, on the host.
    let map2 (f: float -> float -> float) (a: Tensor) (b: Tensor) =
        ofArray a.Extents (Array.map2 f (values a) (values b))

    /// The number of values that differ from 0.
    let countNonZero (tensor: Tensor) =
        values tensor |> Array.sumBy (fun v -> if v <> 0.0 then 1 else 0)

    /// True when every value is a number and finite.
    let isFinite (tensor: Tensor) =
        values tensor |> Array.forall Double.IsFinite
