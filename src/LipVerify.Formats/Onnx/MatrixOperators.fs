namespace LipVerify.Formats.OnnxGraph

open LipVerify.Core
open LipVerify.Formats

/// MatMul and Gemm with one constant factor as dense layers. With a batch of 1 the computed factor must be a single
/// row (constant on its right) or a single column (constant on its left).
module internal MatrixOperators =

    let private matrix (extents: Shape) (tensor: Tensor) =
        match extents with
        | [ rows; columns ] when rows > 0 && columns > 0 -> Ok(Tensor.reshape [ rows; columns ] tensor)
        | shape -> Error $"needs a matrix as its constant factor, not {Shape.text shape}"

    let private transposed (context: NodeContext) (tensor: Tensor) =
        context.Charge(int64 tensor.Length)
        |> Result.map (fun () -> Constants.transpose [ 1; 0 ] tensor)

    /// The dense layer `x ↦ W x + b` with `weights` outputs × inputs.
    let private dense (context: NodeContext) shape source (weights: Tensor) (bias: float[]) =
        let outputs = weights.Shape[0]

        context.Charge(int64 outputs)
        |> Result.map (fun () ->
            let source = Chain.reshape context.Layer [ weights.Shape[1] ] source

            Layer.dense weights (Tensor.vector bias)
            |> Chain.append context [ outputs ] shape source)

    let private linear (context: NodeContext) shape source (weights: Tensor) =
        dense context shape source weights (Array.zeroCreate weights.Shape[0])

    let private fits (shape: Shape) inner (weights: Tensor) k =
        require (inner = k) (fun () ->
            $"multiplies a tensor of shape {Shape.text shape} with a matrix {Shape.text weights.Shape}; {inner} and {k} differ")

    let private single count what shape =
        require (count = 1) (fun () ->
            $"multiplies the {count} {what}s of a computed tensor of shape {Shape.text shape}; only a single {what} is supported (export with a batch of 1)")

    let private splitLast (shape: Shape) =
        List.splitAt (shape.Length - 1) shape
        |> fun (outer, inner) -> outer, List.head inner

    let private splitMatrix (shape: Shape) =
        let outer, columns = splitLast shape
        let outer, rows = splitLast outer
        outer, rows, columns

    let private ones rank : Shape = List.replicate rank 1

    /// `x · B`: `x` may have any number of leading axes of extent 1.
    let private timesConstant (context: NodeContext) (x: Computed) (b: Tensor) =
        match b.Shape with
        | _ when x.Shape.IsEmpty -> Error "multiplies a scalar; use Mul"
        | [] -> Error "multiplies by a scalar; use Mul"
        | [ length ] ->
            result {
                let outer, inner = splitLast x.Shape
                do! single (Shape.size outer) "row" x.Shape
                do! fits x.Shape inner b length
                let! weights = matrix [ 1; length ] b
                return! linear context outer x weights
            }
        | shape ->
            result {
                let batch, rows, columns = splitMatrix shape

                do!
                    require (Shape.size batch = 1) (fun () ->
                        $"has a stack of {Shape.size batch} matrices as its constant factor")

                let outer, inner = splitLast x.Shape
                do! single (Shape.size outer) "row" x.Shape
                do! fits x.Shape inner b rows
                let! b = matrix [ rows; columns ] b
                let! weights = transposed context b
                let rank = max x.Shape.Length b.Shape.Length |> max shape.Length
                let output = ones (rank - 1) @ [ columns ]

                return!
                    linear
                        context
                        (if x.Shape.Length = 1 then
                             ones (rank - 2) @ [ columns ]
                         else
                             output)
                        x
                        weights
            }

    /// `A · x`: `x` must be a vector or a column.
    let private constantTimes (context: NodeContext) (a: Tensor) (x: Computed) =
        match a.Shape, x.Shape with
        | [], _
        | _, [] -> Error "multiplies a scalar; use Mul"
        | [ length ], [ inner ] ->
            result {
                do! fits x.Shape inner a length
                let! weights = matrix [ 1; length ] a
                return! linear context [] x weights
            }
        | shape, [ inner ] ->
            result {
                let batch, rows, columns = splitMatrix shape

                do!
                    require (Shape.size batch = 1) (fun () ->
                        $"has a stack of {Shape.size batch} matrices as its constant factor")

                do! fits x.Shape inner a columns
                let! weights = matrix [ rows; columns ] a
                return! linear context (batch @ [ rows ]) x weights
            }
        | shape, input ->
            result {
                let outer, inner, count = splitMatrix input

                let batch, rows, columns =
                    if shape.Length = 1 then
                        [], 1, shape[0]
                    else
                        splitMatrix shape

                do! single (Shape.size outer * count) "column" x.Shape

                do!
                    require (Shape.size batch = 1) (fun () ->
                        $"has a stack of {Shape.size batch} matrices as its constant factor")

                do! fits x.Shape inner a columns
                let! weights = matrix [ rows; columns ] a
                let leading = ones (max outer.Length batch.Length)
                return! linear context (leading @ (if shape.Length = 1 then [ 1 ] else [ rows; 1 ])) x weights
            }

    /// MatMul with numpy's rules for vectors and leading axes.
    let matMul (context: NodeContext) : Result<Value, string> =
        result {
            do! Attributes.only [] context
            do! Attributes.atMost 2 context
            let! a = Attributes.input 0 context
            let! b = Attributes.input 1 context

            match a, b with
            | Computed _, Computed _ -> return! Error "multiplies two computed tensors; one factor must be constant"
            | Computed x, _ ->
                let! b = Attributes.reals 1 context
                let! product = timesConstant context x b
                return Computed product
            | _, Computed x ->
                let! a = Attributes.reals 0 context
                let! product = constantTimes context a x
                return Computed product
            | Unavailable reason, _
            | _, Unavailable reason -> return! Error reason
            | Constant _, Constant _ -> return! Error "multiplies two constants, which is not supported"
        }

    let private orient transpose (shape: Shape) =
        match shape with
        | [ rows; columns ] -> Ok(if transpose then columns, rows else rows, columns)
        | shape -> Error $"takes a factor of shape {Shape.text shape}; a matrix is needed"

    let private flag name (context: NodeContext) =
        Attributes.integer name 0 context |> Result.map (fun value -> value <> 0)

    let private scaled (context: NodeContext) factor (tensor: Tensor) =
        if factor = 1.0 then
            Ok tensor
        else
            context.Charge(int64 tensor.Length)
            |> Result.map (fun () -> Tensor.map (fun value -> factor * value) tensor)

    /// `beta · C` broadcast to the output.
    let private gemmBias (context: NodeContext) (shape: Shape) =
        result {
            let! beta = Attributes.real "beta" 1.0 context
            let! c = Attributes.optionalReals 2 context

            match c with
            | None -> return Array.zeroCreate (Shape.size shape)
            | Some c when Constants.broadcastShape c.Shape shape = Some shape ->
                do! context.Charge(int64 (Shape.size shape))
                let! c = scaled context beta c
                return Constants.broadcast shape c
            | Some c ->
                return! Error $"adds a tensor of shape {Shape.text c.Shape} to a product of shape {Shape.text shape}"
        }

    /// The weights outputs × inputs from the constant factor, which is already that way round where `upright`.
    let private gemmWeights (context: NodeContext) upright (constant: Tensor) =
        result {
            let! constant = matrix constant.Shape constant
            let! alpha = Attributes.real "alpha" 1.0 context
            let! weights = if upright then Ok constant else transposed context constant
            return! scaled context alpha weights
        }

    let private gemmRow (context: NodeContext) transA transB (x: Computed) =
        result {
            let! b = Attributes.reals 1 context
            let! rows, inner = orient transA x.Shape
            let! depth, columns = orient transB b.Shape
            do! single rows "row" x.Shape
            do! fits x.Shape inner b depth
            let! weights = gemmWeights context transB b
            let! bias = gemmBias context [ 1; columns ]
            return! dense context [ 1; columns ] x weights bias
        }

    let private gemmColumn (context: NodeContext) transA transB (x: Computed) =
        result {
            let! a = Attributes.reals 0 context
            let! rows, depth = orient transA a.Shape
            let! inner, columns = orient transB x.Shape
            do! single columns "column" x.Shape
            do! fits x.Shape inner a depth
            let! weights = gemmWeights context (not transA) a
            let! bias = gemmBias context [ rows; 1 ]
            return! dense context [ rows; 1 ] x weights bias
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
            | Computed _, Computed _ -> return! Error "multiplies two computed tensors; one factor must be constant"
            | Computed x, _ -> return! gemmRow context transA transB x |> Result.map Computed
            | _, Computed x -> return! gemmColumn context transA transB x |> Result.map Computed
            | Unavailable reason, _
            | _, Unavailable reason -> return! Error reason
            | Constant _, Constant _ -> return! Error "multiplies two constants, which is not supported"
        }
