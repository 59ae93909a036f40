namespace LipVerify.Formats.OnnxGraph

open System
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Formats
open LipVerify.Formats.OnnxGraph.MatrixFactors

/// Gemm with one constant factor and a single row or column of the other, as a dense layer.
module internal GemmOperator =

    let private orient transpose (shape: Shape) =
        match shape with
        | [ rows; columns ] -> Ok(if transpose then columns, rows else rows, columns)
        | shape -> Error $"takes a factor of shape {Shape.text shape}; a matrix is needed"

    let private flag name (context: NodeContext) =
        Attributes.integer name 0 context |> Result.map (fun value -> value <> 0)

    /// Below this what rounding takes from a product may underflow.
    let private least = Math.ScaleB(1.0, -900)

    /// Products of doubles, each with what rounding took from it, which is a double too; none where that may underflow.
    let private products (factor: float) (values: float[]) =
        let rounded = values |> Array.map (fun value -> factor * value)

        let lost =
            Array.map2 (fun value product -> Math.FusedMultiplyAdd(factor, value, -product)) values rounded

        let isKnown value product =
            factor = 0.0 || factor = 1.0 || value = 0.0 || abs product >= least

        if Array.forall2 isKnown values rounded then
            Some(rounded, lost)
        else
            None

    /// `beta · C` broadcast to the output, as a sum of two.
    let private gemmBias (context: NodeContext) (shape: Shape) =
        result {
            let! beta = Attributes.real "beta" 1.0 context
            let! c = Attributes.optionalReals 2 context

            match c with
            | None ->
                let nothing = Array.zeroCreate (Shape.size shape)
                return nothing, nothing
            | Some c when Constants.broadcastShape c.Shape shape = Some shape ->
                do! context.Charge(3L * int64 (Shape.size shape))

                match products beta (Constants.broadcast shape c) with
                | Some products -> return products
                | None ->
                    return!
                        Error
                            $"scales C by {beta} to values below the range of double precision, which is not supported"
            | Some c ->
                return! Error $"adds a tensor of shape {Shape.text c.Shape} to a product of shape {Shape.text shape}"
        }

    /// The map `alpha · W` for the constant factor `W`, which is already outputs × inputs where `upright`.
    let private gemmMap (context: NodeContext) upright (constant: Tensor) =
        result {
            let! constant = matrix constant.Shape constant
            let! alpha = Attributes.real "alpha" 1.0 context
            let! weights = if upright then Ok constant else transposed context constant

            if alpha = 1.0 then
                return Dense(Dense.create weights)
            else
                do! context.Charge(2L * int64 weights.Length)

                return
                    match products alpha (Tensor.values weights) with
                    | Some(scaled, lost) when Array.forall ((=) 0.0) lost ->
                        Dense(Dense.create (Tensor.ofArray weights.Shape scaled))
                    | _ -> Scaled(Tensor.create [ weights.Shape[0] ] alpha, Dense(Dense.create weights))
        }

    /// `alpha W x + beta C` without rounding: where `beta C` is no double, what is left of it is added behind.
    let private gemmLayer (context: NodeContext) shape source map (bias, rest: float[]) =
        result {
            let outputs = LinearMap.outputs map
            do! context.Charge(int64 outputs)
            let source = Chain.reshape context.Layer [ LinearMap.inputs map ] source
            let isWhole = Array.forall ((=) 0.0) rest

            let product =
                Layer.affine map (Tensor.vector bias)
                |> Chain.append
                    { context with
                        OutputShared = isWhole && context.OutputShared
                    }
                    [ outputs ]
                    shape
                    source

            if isWhole then
                return product
            else
                return! Chain.addBias context shape product rest
        }

    let private gemmRow (context: NodeContext) transA transB (x: Computed) =
        result {
            let! b = Attributes.reals 1 context
            let! rows, inner = orient transA x.Shape
            let! depth, columns = orient transB b.Shape
            do! single rows "row" x.Shape
            do! fits x.Shape inner b depth
            let! map = gemmMap context transB b
            let! bias = gemmBias context [ 1; columns ]
            return! gemmLayer context [ 1; columns ] x map bias
        }

    let private gemmColumn (context: NodeContext) transA transB (x: Computed) =
        result {
            let! a = Attributes.reals 0 context
            let! rows, depth = orient transA a.Shape
            let! inner, columns = orient transB x.Shape
            do! single columns "column" x.Shape
            do! fits x.Shape inner a depth
            let! map = gemmMap context (not transA) a
            let! bias = gemmBias context [ rows; 1 ]
            return! gemmLayer context [ rows; 1 ] x map bias
        }

    /// Gemm, `alpha · op(A) · op(B) + beta · C`.
    let gemm (context: NodeContext) : Result<Value, string> =
        result {
            do! Attributes.only [ "alpha"; "beta"; "transA"; "transB" ] context
            do! Attributes.atMost 3 context
            let! transA = flag "transA" context
            let! transB = flag "transB" context
            let! a = Attributes.input 0 context
            let! b = Attributes.input 1 context

            match a, b with
            | Computed _, Computed _ -> return! Error twoComputed
            | Computed x, _ -> return! gemmRow context transA transB x |> Result.map Computed
            | _, Computed x -> return! gemmColumn context transA transB x |> Result.map Computed
            | Unavailable reason, _
            | _, Unavailable reason -> return! Error reason
            | Constant _, Constant _ -> return! Error twoConstants
        }
