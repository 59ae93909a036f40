namespace LipVerify.Formats.OnnxGraph

open System
open LipVerify.Core.Computation
open LipVerify.Formats

/// Constants, and the computations on shapes that exporters leave in a graph: folded while it is read.
module internal ConstantOperators =

    /// Constant.
    let constant (context: NodeContext) : Result<Value, string> =
        result {
            do! Attributes.only [ "value"; "value_float"; "value_floats"; "value_int"; "value_ints" ] context
            let attributes = context.Node.Attributes
            do! require (attributes.Count = 1) (fun () -> "needs exactly one attribute")
            let attribute = attributes[0]

            match attribute.Name, attribute.Tensor with
            | "value", Some tensor -> return! Constants.decode tensor |> Result.map Constant
            | "value", None -> return! Error "attribute 'value' holds no tensor"
            | "value_float", _ ->
                let! value = Attributes.real "value_float" 0.0 context
                return Constant(Reals(ElementType.Float32, Tensor.ofArray [] [| value |]))
            | "value_int", _ ->
                let! value = Attributes.integer "value_int" 0 context
                return Constant(Integers(ElementType.Int64, [], [| int64 value |]))
            | "value_ints", _ ->
                return Constant(Integers(ElementType.Int64, [ attribute.Integers.Count ], attribute.Integers.ToArray()))
            | _ ->
                let bytes = ReadOnlyMemory<byte>(attribute.Singles.ToArray())
                let! values = ElementType.decode ElementType.Float32 ByteOrder.LittleEndian bytes
                do! require (Array.forall Double.IsFinite values) (fun () -> "has a value that is not finite")
                return Constant(Reals(ElementType.Float32, Tensor.vector values))
        }

    /// Shape: the extents as constants, with a batch of 1.
    let shape (context: NodeContext) : Result<Value, string> =
        result {
            do! Attributes.only [ "end"; "start" ] context
            do! Attributes.atMost 1 context
            let! x = Attributes.input 0 context
            let! shape = Attributes.shapeOf x
            let rank = shape.Length

            let clamp axis =
                (if axis < 0 then axis + rank else axis) |> max 0 |> min rank

            let! start = Attributes.integer "start" 0 context
            let! stop = Attributes.integer "end" rank context

            let extents =
                shape
                |> List.truncate (clamp stop)
                |> List.skip (min (clamp start) (clamp stop))

            return Constant(Integers(ElementType.Int64, [ extents.Length ], extents |> List.map int64 |> Array.ofList))
        }

    let private constantIntegers index (context: NodeContext) =
        result {
            let! value = Attributes.input index context

            match value with
            | Constant(Integers(_, shape, values)) when values.Length <= Extents.maximalRank -> return shape, values
            | Unavailable reason -> return! Error reason
            | _ -> return! Error "is supported only on the constants of shape computations"
        }

    /// Concat of constant vectors of integers, as exporters use it on shapes.
    let concat (context: NodeContext) : Result<Value, string> =
        result {
            do! Attributes.only [ "axis" ] context
            let! axis = Attributes.integer "axis" 0 context
            do! require (axis = 0 || axis = -1) (fun () -> $"attribute 'axis' is {axis}; only 0 is supported")
            do! Attributes.atMost Extents.maximalRank context

            let! parts =
                [ 0 .. context.Inputs.Length - 1 ]
                |> traverse (fun index -> constantIntegers index context)

            do!
                require (parts |> Array.forall (fun (shape, _) -> shape.Length = 1)) (fun () ->
                    "joins integers that are no vectors")

            let values = parts |> Array.collect snd
            return Constant(Integers(ElementType.Int64, [ values.Length ], values))
        }
