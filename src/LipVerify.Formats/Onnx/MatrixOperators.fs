namespace LipVerify.Formats.OnnxGraph

open System
open LipVerify.Compute
open LipVerify.Core
open LipVerify.Formats

/// MatMul and Gemm with one constant factor. A single row (constant on its right) or a single column (constant on its left) makes a
/// dense layer; several of them behind a batch of 1 make a convolution with windows of one value.
module internal MatrixOperators =

    /// Below this what rounding takes from a product may underflow.
    let private least = Math.ScaleB(1.0, -900)

    let private matrix (extents: Shape) (tensor: Tensor) =
        match extents with
        | [ rows; columns ] when rows > 0 && columns > 0 -> Ok(Tensor.reshape [ rows; columns ] tensor)
        | shape -> Error $"needs a matrix as its constant factor, not {Shape.text shape}"

    let private transposed (context: NodeContext) (tensor: Tensor) =
        context.Charge(int64 tensor.Length)
        |> Result.map (fun () -> Constants.transpose [ 1; 0 ] tensor)

    /// The convolution `inputs × 1 × width → outputs × 1 × width` with windows of one value, in groups that share nothing.
    let private pointwise (context: NodeContext) shape source inputs outputs width groups (weights: Tensor) =
        let geometry =
            ConvolutionGeometry(inputs, outputs, WindowAxis(1, 1), WindowAxis(width, 1), groups)

        context.Charge(int64 outputs * int64 width)
        |> Result.map (fun () ->
            let source = Chain.reshape context.Layer [ inputs; 1; width ] source

            Layer.convolution geometry weights (Tensor.create [ outputs ] 0.0)
            |> Chain.append context [ outputs; 1; width ] shape source)

    /// `W` (outputs × inputs) times each of `rows` rows: a group of channels a row.
    let private eachRow (context: NodeContext) shape source rows (weights: Tensor) =
        let outputs, inputs = weights.Shape[0], weights.Shape[1]

        result {
            let! _ = Extents.shape [ int64 rows * int64 outputs; int64 inputs ]
            do! context.Charge(int64 rows * int64 weights.Length)

            let copies =
                Array.replicate rows (Tensor.values weights)
                |> Array.concat
                |> Tensor.ofArray [ rows * outputs; inputs; 1; 1 ]

            return! pointwise context shape source (rows * inputs) (rows * outputs) 1 rows copies
        }

    /// `W` (outputs × inputs) times each of `columns` columns: positions of one image.
    let private eachColumn (context: NodeContext) shape source columns (weights: Tensor) =
        let outputs, inputs = weights.Shape[0], weights.Shape[1]
        pointwise context shape source inputs outputs columns 1 (Tensor.reshape [ outputs; inputs; 1; 1 ] weights)

    /// The dense layer `x ↦ W x` with `weights` outputs × inputs.
    let private linear (context: NodeContext) shape source (weights: Tensor) =
        let outputs = weights.Shape[0]

        context.Charge(int64 outputs)
        |> Result.map (fun () ->
            let source = Chain.reshape context.Layer [ weights.Shape[1] ] source

            Layer.linear (Dense(Dense.create weights))
            |> Chain.append context [ outputs ] shape source)

    let private fits (shape: Shape) inner (weights: Tensor) k =
        require (inner = k) (fun () ->
            $"multiplies a tensor of shape {Shape.text shape} with a matrix {Shape.text weights.Shape}; {inner} and {k} differ")

    let private single count what shape =
        require (count = 1) (fun () ->
            $"multiplies the {count} {what}s of a computed tensor of shape {Shape.text shape}; only a batch of 1 is supported, as of torch.onnx.export(model, x[:1], …)")

    /// Whether several rows or columns belong to one input: the first extent is a batch of 1.
    let private isOneInput (shape: Shape) = shape.Length > 2 && shape.Head = 1

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
                        $"has a stack of {Shape.size batch} matrices as its constant factor, which is not supported")

                let outer, inner = splitLast x.Shape
                let count = Shape.size outer
                do! fits x.Shape inner b rows
                let! b = matrix [ rows; columns ] b
                let! weights = transposed context b

                if count > 1 && isOneInput x.Shape && shape.Length <= x.Shape.Length then
                    return! eachRow context (outer @ [ columns ]) x count weights
                else
                    do! single count "row" x.Shape
                    let rank = max x.Shape.Length shape.Length
                    let output = ones (rank - 1) @ [ columns ]
                    let output = if x.Shape.Length = 1 then List.tail output else output
                    return! linear context output x weights
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
                        $"has a stack of {Shape.size batch} matrices as its constant factor, which is not supported")

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

                do!
                    require (Shape.size batch = 1) (fun () ->
                        $"has a stack of {Shape.size batch} matrices as its constant factor, which is not supported")

                do! fits x.Shape inner a columns
                let! weights = matrix [ rows; columns ] a
                let leading = ones (max outer.Length batch.Length)
                let last = if shape.Length = 1 then [ count ] else [ rows; count ]

                if count > 1 && isOneInput input && Shape.size outer = 1 then
                    return! eachColumn context (leading @ last) x count weights
                else
                    do! single (Shape.size outer * count) "column" x.Shape
                    return! linear context (leading @ last) x weights
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

    /// Products of doubles, each with what rounding took from it; that is a double too unless it underflows.
    let private products (factor: float) (values: float[]) =
        let rounded = values |> Array.map (fun value -> factor * value)

        let lost =
            Array.map2 (fun value product -> Math.FusedMultiplyAdd(factor, value, -product)) values rounded

        let isLost value product =
            factor <> 0.0 && value <> 0.0 && not (abs product >= least)

        if Array.exists2 isLost values rounded then
            Error $"scales its constants by {factor}, below the range of double precision"
        else
            Ok(rounded, lost)

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
                return! products beta (Constants.broadcast shape c)
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
                let! scaled, lost = products alpha (Tensor.values weights)

                return
                    if Array.forall ((=) 0.0) lost then
                        Dense(Dense.create (Tensor.ofArray weights.Shape scaled))
                    else
                        Scaled(Tensor.create [ weights.Shape[0] ] alpha, Dense(Dense.create weights))
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
            | Computed _, Computed _ -> return! Error "multiplies two computed tensors; one factor must be constant"
            | Computed x, _ -> return! gemmRow context transA transB x |> Result.map Computed
            | _, Computed x -> return! gemmColumn context transA transB x |> Result.map Computed
            | Unavailable reason, _
            | _, Unavailable reason -> return! Error reason
            | Constant _, Constant _ -> return! Error "multiplies two constants, which is not supported"
        }
