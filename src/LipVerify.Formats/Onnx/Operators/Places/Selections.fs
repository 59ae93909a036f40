namespace LipVerify.Formats.OnnxGraph

open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Formats

/// Tensors whose values are taken from others, and sums of few of these: exact linear maps.
module internal Selections =

    /// The index along each axis of a position in row-major order.
    let indexOf (shape: int[]) (position: int) : int[] =
        let index = Array.zeroCreate shape.Length
        let mutable rest = position

        for axis in shape.Length - 1 .. -1 .. 0 do
            index[axis] <- rest % shape[axis]
            rest <- rest / shape[axis]

        index

    /// The position in row-major order of an index along each axis.
    let positionOf (shape: int[]) (index: int[]) =
        Array.fold2 (fun position extent i -> position * extent + i) 0 shape index

    /// The linear map of `x` to a tensor of `shape` (batch included) whose entries are at hand row by row.
    let linear (context: NodeContext) (shape: Shape) (x: Computed) terms (row: int -> struct (int * float)[]) =
        result {
            let! shape = Extents.shape (List.map int64 shape)
            do! context.Charge((3L + 2L * int64 terms) * int64 (Shape.size shape))
            let extents = Chain.extents shape

            return
                Sparse.create x.Link.Extents extents row
                |> LinearMap.Sparse
                |> Layer.linear
                |> Chain.append context extents shape x
        }

    let private picked (source: int[]) zero (values: 'a[]) =
        source |> Array.map (fun i -> if i < 0 then zero else values[i])

    /// The tensor of `shape` that takes at each index the value at a position of `x`, and 0 where that is negative.
    let select (context: NodeContext) (shape: Shape) (x: Value) (source: int[] -> int) : Result<Value, string> =
        result {
            let! shape = Extents.shape (List.map int64 shape)
            let size = Shape.size shape
            do! context.Charge(int64 size)
            let extents = Array.ofList shape
            let sources = Array.init size (fun position -> source (indexOf extents position))

            match x with
            | Unavailable reason -> return! Error reason
            | Constant(Reals(element, tensor)) ->
                return Constant(Reals(element, Tensor.ofArray shape (picked sources 0.0 (Tensor.values tensor))))
            | Constant(Integers(element, _, values)) ->
                return Constant(Integers(element, shape, picked sources 0L values))
            | Computed computed when
                size = Shape.size computed.Shape
                && sources |> Array.indexed |> Array.forall (fun (i, source) -> i = source)
                ->
                return Computed(Chain.view context shape computed)
            | Computed computed ->
                let row i =
                    if sources[i] < 0 then
                        [||]
                    else
                        [| struct (sources[i], 1.0) |]

                return! linear context shape computed 1 row |> Result.map Computed
        }
