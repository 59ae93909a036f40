/// Random nodes of every operator that the reader knows, with their attributes, for `DrawnGraph`.
module LipVerify.Tests.DrawnNodes

open LipVerify.Core.Computation
open LipVerify.Propositions.Generators
open LipVerify.Tests.OnnxWriter
open LipVerify.Tests.DrawnConstants
open LipVerify.Tests.DrawnWindows

// Nodes over images and sequences: batch, channels, one or two spatial axes

let private image (g: DrawnGraph) =
    match g.Shape with
    | 1 :: channels :: spatial -> channels, spatial
    | shape -> failwith $"{Shape.text shape} is no image"

let private conv (g: DrawnGraph) =
    let channels, spatial = image g
    let groups = if g.Draw.Chance 0.3 then channels else 1
    let outputs = groups * g.Draw.Int(1, 2)
    let window = window g true false false spatial
    let inGroup = channels / groups
    let w = weights g (outputs :: inGroup :: window.Kernel)

    let bias = if g.Draw.Chance 0.6 then [ weights g [ outputs ] ] else []

    let attributes =
        [
            int "group" groups
            if g.Draw.Chance 0.5 then
                ints "kernel_shape" window.Kernel
            yield! window.Attributes
        ]

    // Products, sums and the bias.
    g.Append(
        "Conv",
        g.Current :: w :: bias,
        attributes,
        1 :: outputs :: window.Output,
        inGroup * Shape.size window.Kernel + 2
    )

let private maxPool (g: DrawnGraph) =
    let channels, spatial = image g
    let isLate = g.Opset >= 10
    let window = window g isLate true isLate spatial

    g.Append(
        "MaxPool",
        [ g.Current ],
        ints "kernel_shape" window.Kernel :: window.Attributes,
        1 :: channels :: window.Output,
        0
    )

let private averagePool (g: DrawnGraph) =
    let channels, spatial = image g
    let window = window g (g.Opset >= 19) true (g.Opset >= 10) spatial

    let counting =
        if g.Draw.Chance 0.5 then
            [ int "count_include_pad" (g.Draw.Int(0, 1)) ]
        else
            []

    // The sum, and a division or a reciprocal and a product.
    g.Append(
        "AveragePool",
        [ g.Current ],
        ints "kernel_shape" window.Kernel :: counting @ window.Attributes,
        1 :: channels :: window.Output,
        Shape.size window.Kernel + 2
    )

let private globalPool (g: DrawnGraph) =
    let channels, spatial = image g
    let operator = g.Draw.Pick [ "GlobalAveragePool"; "GlobalMaxPool" ]
    g.Append(operator, [ g.Current ], [], 1 :: channels :: List.map (fun _ -> 1) spatial, Shape.size spatial + 2)

let private pad (g: DrawnGraph) =
    let _, spatial = image g
    let amounts = spatial |> List.map (fun _ -> g.Draw.Int(0, 2), g.Draw.Int(0, 2))
    let pads = 0 :: 0 :: List.map fst amounts @ 0 :: 0 :: List.map snd amounts

    let output =
        List.take 2 g.Shape
        @ List.map2 (fun extent (before, after) -> before + extent + after) spatial amounts

    if g.Opset < 11 then
        g.Append("Pad", [ g.Current ], [ ints "pads" pads ], output, 0)
    else
        g.Append("Pad", [ g.Current; g.Integers pads ], [], output, 0)

let private batchNormalization (g: DrawnGraph) =
    let channels, _ = image g
    let values () = sixteenths g.Draw channels
    let gamma, beta = g.Store([ channels ], values ()), g.Store([ channels ], values ())
    let mean = values ()
    let means = g.StoreAs([ channels ], mean, mean |> Array.map (fun m -> -(abs m)))
    let variance = g.Store([ channels ], values () |> Array.map abs)

    // The factor takes a sum, a root, a quotient and a product; the bias a product and a sum; then a product and a sum.
    g.Append(
        "BatchNormalization",
        [ g.Current; gamma; beta; means; variance ],
        [ real "epsilon" (g.Draw.Pick [ 1e-5f; 0.25f ]) ],
        g.Shape,
        10
    )

// Nodes over anything

let private relu (g: DrawnGraph) =
    g.Append("Relu", [ g.Current ], [], g.Shape, 0)

let private neg (g: DrawnGraph) =
    g.Append("Neg", [ g.Current ], [], g.Shape, 0, ("Identity", [ g.Current ], []))

let private sameValues (g: DrawnGraph) =
    match g.Draw.Int(0, 2) with
    | 0 -> g.Append("Identity", [ g.Current ], [], g.Shape, 0)
    | 1 when g.Opset >= 12 -> g.Append("Dropout", [ g.Current ], [], g.Shape, 0)
    | _ -> g.Append("Cast", [ g.Current ], [ int "to" (if g.IsDouble then 11 else 1) ], g.Shape, 0)

/// Extents that broadcast to the shape: fewer axes, and some of extent 1.
let private broadcastable (draw: Draw) (shape: int list) =
    let kept = List.skip (draw.Int(0, shape.Length)) shape
    kept |> List.map (fun extent -> if draw.Chance 0.4 then 1 else extent)

let private arithmetic (g: DrawnGraph) =
    let dims = broadcastable g.Draw g.Shape
    let operator = g.Draw.Pick [ "Add"; "Sub"; "Mul"; "Div" ]

    let c =
        if operator = "Div" then
            g.Store(dims, notZero g.Draw (Shape.size dims))
        else
            weights g dims

    let inputs =
        if operator <> "Div" && g.Draw.Chance 0.3 then
            [ c; g.Current ]
        else
            [ g.Current; c ]

    let sizes = if operator = "Sub" then "Add" else operator
    g.Append(operator, inputs, [], g.Shape, 1, (sizes, inputs, []))

/// A factor and a ReLU, which keep the shape.
let private branch (g: DrawnGraph) =
    let c = weights g (broadcastable g.Draw g.Shape)
    g.Append("Mul", [ g.Current; c ], [], g.Shape, 1)

    if g.Draw.Chance 0.7 then
        relu g

/// Two branches from one tensor, or the tensor and a branch, that are added or subtracted.
let private residual (g: DrawnGraph) =
    let start, shape = g.Current, g.Shape
    branch g
    let first = g.Current

    let second =
        if g.Draw.Chance 0.5 then
            start
        else
            g.MoveTo(start, shape)
            branch g
            g.Current

    match g.Draw.Int(0, 2) with
    | 0 -> g.Append("Add", [ first; second ], [], shape, 1)
    | 1 -> g.Append("Sub", [ first; second ], [], shape, 1, ("Add", [ first; second ], []))
    | _ -> g.Append("Sum", [ first; weights g shape; second ], [], shape, 2)

// Nodes over a row

let private gemm (g: DrawnGraph) =
    let inputs = g.Shape[1]
    let outputs = g.Draw.Int(1, 5)
    let transB = g.Draw.Int(0, 1)

    let w =
        weights
            g
            (if transB = 1 then
                 [ outputs; inputs ]
             else
                 [ inputs; outputs ])

    let c =
        g.Draw.Pick [ None; Some [ outputs ]; Some [ 1; outputs ]; Some [ 1 ]; Some [] ]
        |> Option.orElse (if g.Opset < 11 then Some [ outputs ] else None)
        |> Option.map (weights g)
        |> Option.toList

    let alpha, beta =
        g.Draw.Pick [ 1.0f; 0.5f; -0.1f ], g.Draw.Pick [ 1.0f; 0.1f; -2.0f ]

    let attributes alpha beta =
        [ int "transB" transB; real "alpha" alpha; real "beta" beta ]

    let tensors = g.Current :: w :: c

    // Products and sums, both factors, and the last sum.
    g.Append(
        "Gemm",
        tensors,
        attributes alpha beta,
        [ 1; outputs ],
        inputs + 4,
        ("Gemm", tensors, attributes (abs alpha) (abs beta))
    )

/// The row as a column, and Gemm with the constant on the left or with the column transposed.
let private gemmOfColumn (g: DrawnGraph) =
    let inputs = g.Shape[1]
    let outputs = g.Draw.Int(1, 4)
    g.Append("Reshape", [ g.Current; g.Integers [ inputs; 1 ] ], [], [ inputs; 1 ], 0)

    if g.Draw.Chance 0.5 then
        let w = weights g [ outputs; inputs ]
        let c = weights g [ 1 ]
        g.Append("Gemm", [ w; g.Current; c ], [], [ outputs; 1 ], inputs + 2)
        g.Append("Reshape", [ g.Current; g.Integers [ 1; -1 ] ], [], [ 1; outputs ], 0)
    else
        let w = weights g [ inputs; outputs ]
        let c = weights g [ outputs ]
        g.Append("Gemm", [ g.Current; w; c ], [ int "transA" 1 ], [ 1; outputs ], inputs + 2)

let private matMul (g: DrawnGraph) =
    let inputs = g.Shape[1]
    let outputs = g.Draw.Int(1, 5)
    let w = weights g [ inputs; outputs ]
    g.Append("MatMul", [ g.Current; w ], [], [ 1; outputs ], inputs)

/// Several rows or columns of one input.
let private matMulOfMatrix (g: DrawnGraph) =
    let size = g.Shape[1]

    let rows = [ 1..size ] |> List.filter (fun rows -> size % rows = 0) |> g.Draw.Pick

    let columns, outputs = size / rows, g.Draw.Int(1, 3)
    g.Append("Reshape", [ g.Current; g.Integers [ 1; rows; columns ] ], [], [ 1; rows; columns ], 0)

    if g.Draw.Chance 0.5 then
        let w = weights g [ columns; outputs ]
        g.Append("MatMul", [ g.Current; w ], [], [ 1; rows; outputs ], columns)
    else
        let w = weights g [ outputs; rows ]
        g.Append("MatMul", [ w; g.Current ], [], [ 1; outputs; columns ], rows)

    let count = Shape.size g.Shape
    g.Append("Flatten", [ g.Current ], [], [ 1; count ], 0)

// Nodes that change the shape alone

let private axesOf (g: DrawnGraph) operator axes extents =
    if g.Opset < 13 then
        g.Append(operator, [ g.Current ], [ ints "axes" axes ], extents, 0)
    else
        g.Append(operator, [ g.Current; g.Integers axes ], [], extents, 0)

let private rowToImage (g: DrawnGraph) =
    let size = g.Shape[1]

    let divisors n =
        [ 1..n ] |> List.filter (fun d -> n % d = 0)

    let channels = g.Draw.Pick(divisors size)
    let height = g.Draw.Pick(divisors (size / channels))
    let width = size / channels / height

    match g.Draw.Int(0, 2) with
    | 0 -> axesOf g "Unsqueeze" [ 1 ] [ 1; 1; size ]
    | 1 -> g.Append("Reshape", [ g.Current; g.Integers [ 0; channels; -1 ] ], [], [ 1; channels; size / channels ], 0)
    | _ ->
        g.Append(
            "Reshape",
            [ g.Current; g.Integers [ 1; channels; height; width ] ],
            [],
            [ 1; channels; height; width ],
            0
        )

/// Flatten, or the shape computation that exporters write for `x.view(x.size(0), -1)`.
let private imageToRow (g: DrawnGraph) =
    let row = [ 1; Shape.size g.Shape ]

    if g.Draw.Chance 0.6 then
        g.Append("Flatten", [ g.Current ], [ int "axis" 1 ], row, 0)
    else
        let from = g.Current
        let extents, first, vector, target = g.Fresh(), g.Fresh(), g.Fresh(), g.Fresh()
        let zero, rest = g.Integers [ 0 ], g.Integers [ -1 ]
        g.Both(node "Shape" [ from ] extents [])
        g.Both(node "Gather" [ extents; zero ] first [ int "axis" 0 ])
        g.Both(node "Identity" [ first ] vector [])
        g.Both(node "Concat" [ vector; rest ] target [ int "axis" 0 ])
        g.Append("Reshape", [ from; target ], [], row, 0)

let private moveOnes (g: DrawnGraph) =
    let shape = g.Shape

    if List.last shape = 1 && g.Draw.Chance 0.5 then
        axesOf g "Squeeze" [ shape.Length - 1 ] (List.take (shape.Length - 1) shape)
    else
        // The batch moves to the end and back.
        let rank = shape.Length
        let away = [ 1 .. rank - 1 ] @ [ 0 ]
        let back = (rank - 1) :: [ 0 .. rank - 2 ]
        g.Append("Transpose", [ g.Current ], [ ints "perm" away ], List.tail shape @ [ 1 ], 0)
        g.Append("Transpose", [ g.Current ], [ ints "perm" back ], shape, 0)

/// One more node, or a few that belong together.
let extend (g: DrawnGraph) =
    let anywhere =
        [ relu; relu; neg; sameValues; arithmetic; arithmetic; residual; moveOnes ]

    match g.Shape with
    | [ 1; _ ] ->
        g.Draw.Pick
            ([
                gemm
                gemm
                gemm
                gemmOfColumn
                matMul
                matMulOfMatrix
                rowToImage
                rowToImage
             ]
             @ anywhere)
            g
    | 1 :: _ :: _ :: _ when g.IsDouble ->
        // The runtime has no kernels for convolutions and means of doubles.
        g.Draw.Pick ([ maxPool; pad; batchNormalization; imageToRow ] @ anywhere) g
    | 1 :: _ :: _ :: _ ->
        g.Draw.Pick
            ([
                conv
                conv
                conv
                maxPool
                averagePool
                averagePool
                globalPool
                pad
                batchNormalization
                imageToRow
             ]
             @ anywhere)
            g
    | _ -> relu g

/// A graph of a few nodes.
let grow seed =
    let draw = Draw seed
    let isDouble = draw.Chance 0.25

    let shape =
        match draw.Int(0, 3) with
        | 0 -> [ 1; draw.Int(1, 12) ]
        | 1 -> [ 1; draw.Int(1, 3); draw.Int(1, 9) ]
        | _ -> [ 1; draw.Int(1, 3); draw.Int(1, 6); draw.Int(1, 6) ]

    let graph =
        DrawnGraph(draw, draw.Pick [ 8; 9; 10; 11; 12; 13; 15; 17; 19; 21 ], isDouble, shape)

    for _ in 1 .. draw.Int(1, 6) do
        extend graph

    graph
