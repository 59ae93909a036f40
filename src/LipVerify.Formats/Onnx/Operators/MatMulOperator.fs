namespace LipVerify.Formats.OnnxGraph

open LipVerify.Compute
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Formats
open LipVerify.Formats.OnnxGraph.MatrixFactors

/// MatMul with one constant factor. A single row (constant on its right) or a single column (constant on its left) makes a dense layer;
/// several of them behind a batch of 1 make a convolution with windows of one value.
module internal MatMulOperator =

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
            | Computed _, Computed _ -> return! Error twoComputed
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
            | Constant _, Constant _ -> return! Error twoConstants
        }
