/// Nodes that the reader may not take, each behind a ReLU: wrong ones, and right ones that are not supported.
module LipVerify.Tests.OddNodes

open LipVerify.Propositions.Generators
open LipVerify.Tests.OnnxWriter

let private store (g: DrawnGraph) dims =
    g.Store(dims, Array.init (List.fold (*) 1 dims) (fun i -> float (i + 1) / 8.0))

/// A node on the last tensor; what it gives is of no shape that matters.
let private on operator attributes (g: DrawnGraph) =
    g.Append(operator, [ g.Current ], attributes, g.Shape, 1)

/// The same with stored tensors of these extents as further inputs.
let private withTensors operator (extents: int list list) attributes (g: DrawnGraph) =
    g.Append(operator, g.Current :: List.map (store g) extents, attributes, g.Shape, 20)

let private withIntegers operator values attributes (g: DrawnGraph) =
    g.Append(operator, [ g.Current; g.Integers values ], attributes, g.Shape, 0)

/// Axes or amounts as an attribute in old versions, and as an input in new ones.
let private since version operator name values (g: DrawnGraph) =
    if g.Opset < version then
        on operator [ ints name values ] g
    else
        withIntegers operator values [] g

let private pool operator attributes =
    on operator (ints "kernel_shape" [ 2; 2 ] :: attributes)

let private conv attributes =
    withTensors "Conv" [ [ 2; 2; 2; 2 ] ] attributes

/// Two tensors from the last one.
let private joined operator (other: DrawnGraph -> unit) (g: DrawnGraph) =
    let start, shape = g.Current, g.Shape
    other g
    g.Append(operator, [ start; g.Current ], [], shape, 1)

let private normalised extents attributes (g: DrawnGraph) =
    withTensors "BatchNormalization" [ extents; extents; extents; extents ] attributes g

let private negativeVariance (g: DrawnGraph) =
    let one = store g [ 2 ]
    let variance = g.Store([ 2 ], [| -1.0; 1.0 |])
    g.Append("BatchNormalization", [ g.Current; one; one; one; variance ], [], g.Shape, 10)

/// A constant that a node makes of two stored ones, the second of `element` type.
let private combined operator (second: string -> byte[]) (g: DrawnGraph) =
    let a = store g [ 1 ]
    let b, c = g.Fresh(), g.Fresh()
    g.AddTensor(second b)
    g.Both(node operator [ a; b ] c [])
    g.Append("Mul", [ g.Current; c ], [], g.Shape, 1)

let private crossing (g: DrawnGraph) =
    let start, shape = g.Current, g.Shape
    on "Relu" [] g
    let first = g.Current
    g.Append("Add", [ start; first ], [], shape, 1)
    g.Append("Add", [ g.Current; first ], [], shape, 1)

let private unsorted (g: DrawnGraph) =
    let late = g.Fresh()
    let before = g.Current
    g.Append("Relu", [ late ], [], g.Shape, 0)
    g.Both(node "Neg" [ before ] late [])

let private image = [ 1; 2; 3; 4 ]
let private row = [ 1; 6 ]

let private cases: (string * int list * (DrawnGraph -> unit)) list =
    [
        for operator in
            [
                "Sigmoid"
                "Tanh"
                "LeakyRelu"
                "Abs"
                "Exp"
                "Clip"
                "LogSoftmax"
                "Sqrt"
                "NoOperator"
            ] do
            operator, row, on operator []
        "an attribute that Relu does not have", row, on "Relu" [ int "axis" 1 ]
        "Softmax inside", row, on "Softmax" []
        "Relu of two", row, withTensors "Relu" [ row ] []
        "Add of three", row, withTensors "Add" [ row; row ] []
        "Add of one", row, on "Add" []
        "Add that enlarges", row, withTensors "Add" [ [ 3; 6 ] ] []
        "Add that does not broadcast", row, withTensors "Add" [ [ 5 ] ] []
        "Add of a computed tensor that broadcasts", image, joined "Add" (on "GlobalAveragePool" [])
        "Add of branches of other shapes", image, joined "Add" (pool "MaxPool" [])
        "crossing branches", row, crossing
        "nodes that are not sorted", row, unsorted
        "a product of computed tensors", row, joined "Mul" (on "Relu" [])
        "a quotient of computed tensors", row, joined "Div" (on "Relu" [])
        "a constant over a computed tensor", row, fun g -> g.Append("Div", [ store g row; g.Current ], [], row, 1)
        "Sum of one", row, on "Sum" []
        "Sum of nothing", row, (fun g -> g.Append("Sum", [], [], row, 0))
        "Sub of itself",
        row,
        (fun g -> g.Append("Sub", [ g.Current; g.Current ], [], row, 1, ("Add", [ g.Current; g.Current ], [])))
        "types that differ", row, combined "Add" (fun name -> doubles name [ 1 ] [| 1.0 |])
        "a divisor of 0", row, combined "Div" (fun name -> singles name [ 1 ] [| 0.0 |])
        "an overflow", row, combined "Div" (fun name -> singles name [ 1 ] [| 1e-39 |])
        "texts", row, combined "Add" (fun name -> tensorOf name [ 1L ] 8L [ bytes 6 [| 65uy |] ])
        "Gemm of other extents", row, withTensors "Gemm" [ [ 5; 2 ]; [ 2 ] ] []
        "Gemm with C of another shape", row, withTensors "Gemm" [ [ 6; 2 ]; [ 3 ] ] []
        "Gemm with a column as C", row, withTensors "Gemm" [ [ 6; 2 ]; [ 2; 1 ] ] []
        "Gemm of a vector", row, withTensors "Gemm" [ [ 6 ]; [ 1 ] ] []
        "Gemm of computed tensors", row, joined "Gemm" (on "Relu" [])
        "MatMul of other extents", row, withTensors "MatMul" [ [ 5; 2 ] ] []
        "MatMul by a stack", row, withTensors "MatMul" [ [ 2; 6; 2 ] ] []
        "MatMul by a vector", row, withTensors "MatMul" [ [ 6 ] ] []
        "Gemm of computed tensors that fit",
        row,
        fun g -> g.Append("Gemm", [ g.Current; g.Current; store g [ 1 ] ], [ int "transB" 1 ], [ 1; 1 ], 8)
        "MatMul of computed tensors", image, joined "MatMul" (on "Relu" [])
        "Conv of other channels", image, withTensors "Conv" [ [ 2; 3; 2; 2 ] ] []
        "Conv of a row", row, withTensors "Conv" [ [ 2; 2; 2; 2 ] ] []
        "Conv with weights for sequences", image, withTensors "Conv" [ [ 2; 2; 2 ] ] []
        "Conv with groups that do not divide", image, conv [ int "group" 3 ]
        "Conv with no group", image, conv [ int "group" 0 ]
        "Conv with a bias of another size", image, withTensors "Conv" [ [ 2; 2; 2; 2 ]; [ 3 ] ] []
        "Conv with a kernel beyond the image", image, withTensors "Conv" [ [ 2; 2; 4; 4 ] ] []
        "Conv with another kernel_shape", image, conv [ ints "kernel_shape" [ 3; 3 ] ]
        "Conv with negative padding", image, conv [ ints "pads" [ -1; 0; 0; 0 ] ]
        "Conv with two amounts of padding", image, conv [ ints "pads" [ 1; 1 ] ]
        "Conv with stride 0", image, conv [ ints "strides" [ 0; 1 ] ]
        "Conv with dilation 0", image, conv [ ints "dilations" [ 0; 1 ] ]
        "Conv with one stride", image, conv [ ints "strides" [ 1 ] ]
        "Conv with an unknown auto_pad", image, conv [ words "auto_pad" "SOMEHOW" ]
        "Conv with SAME and dilation", image, conv [ words "auto_pad" "SAME_UPPER"; ints "dilations" [ 2; 2 ] ]
        "Conv with VALID and pads", image, conv [ words "auto_pad" "VALID"; ints "pads" [ 1; 1; 1; 1 ] ]
        for operator in [ "MaxPool"; "AveragePool" ] do
            $"{operator} without a kernel", image, on operator []
            $"{operator} with a kernel of one axis", image, on operator [ ints "kernel_shape" [ 2 ] ]
            $"{operator} with a kernel beyond the image", image, on operator [ ints "kernel_shape" [ 4; 4 ] ]

            $"{operator} with part of a window",
            image,
            on operator [ ints "kernel_shape" [ 4; 4 ]; ints "strides" [ 3; 3 ] ]

            $"{operator} with padding beyond the kernel", image, pool operator [ ints "pads" [ 2; 2; 2; 2 ] ]
            $"{operator} with negative padding", image, pool operator [ ints "pads" [ -1; 0; 0; 0 ] ]
            $"{operator} with stride 0", image, pool operator [ ints "strides" [ 0; 1 ] ]

            $"{operator} with SAME and gaps",
            image,
            pool operator [ words "auto_pad" "SAME_UPPER"; ints "strides" [ 3; 3 ] ]

            $"{operator} with SAME and dilation",
            image,
            pool operator [ words "auto_pad" "SAME_LOWER"; ints "dilations" [ 2; 2 ] ]
        "MaxPool in column order", image, pool "MaxPool" [ int "storage_order" 1 ]
        "MaxPool with padding that counts", image, pool "MaxPool" [ int "count_include_pad" 1 ]
        "GlobalMaxPool with a kernel", image, pool "GlobalMaxPool" []
        "reflecting Pad", image, on "Pad" [ words "mode" "reflect"; ints "pads" [ 0; 0; 1; 1; 0; 0; 1; 1 ] ]
        "Pad of channels", image, since 11 "Pad" "pads" [ 0; 1; 0; 0; 0; 0; 0; 0 ]
        "negative Pad", image, since 11 "Pad" "pads" [ 0; 0; -1; 0; 0; 0; 0; 0 ]
        "Pad of other axes", image, since 11 "Pad" "pads" [ 1; 1 ]
        "Pad with ones",
        image,
        fun g ->
            g.Append("Pad", [ g.Current; g.Integers [ 0; 0; 1; 1; 0; 0; 1; 1 ]; g.Store([], [| 1.0 |]) ], [], image, 0)
        "BatchNormalization of other channels", image, normalised [ 3 ] []
        "BatchNormalization with four inputs", image, withTensors "BatchNormalization" [ [ 2 ]; [ 2 ]; [ 2 ] ] []
        "BatchNormalization with a negative variance", image, negativeVariance
        "BatchNormalization in training", image, normalised [ 2 ] [ int "training_mode" 1 ]
        "Flatten before all axes", image, on "Flatten" [ int "axis" 0 ]
        "Flatten before the last axis", image, on "Flatten" [ int "axis" 3 ]
        "Flatten before the last axis, from the end", image, on "Flatten" [ int "axis" -1 ]
        "Flatten beyond the axes", image, on "Flatten" [ int "axis" 5 ]
        "Reshape to another size", image, withIntegers "Reshape" [ 1; 5 ] []
        "Reshape with two unknown extents", image, withIntegers "Reshape" [ -1; -1 ] []
        "Reshape that keeps too much", row, withIntegers "Reshape" [ 0; 0; 0 ] []
        "Reshape that keeps an extent", image, withIntegers "Reshape" [ 1; 0; -1 ] []
        "Reshape with allowzero", row, withIntegers "Reshape" [ 0; 6 ] [ int "allowzero" 1 ]
        "Reshape by a computed shape", row, (fun g -> g.Append("Reshape", [ g.Current; g.Current ], [], row, 0))
        "Transpose of values", image, on "Transpose" [ ints "perm" [ 0; 2; 3; 1 ] ]
        "Transpose of all", image, on "Transpose" []
        "Transpose by no permutation", image, on "Transpose" [ ints "perm" [ 0; 1; 1; 2 ] ]
        "Transpose of fewer axes", image, on "Transpose" [ ints "perm" [ 0; 1 ] ]
        "Squeeze of a wide axis", image, since 13 "Squeeze" "axes" [ 1 ]
        "Squeeze beyond the axes", image, since 13 "Squeeze" "axes" [ 7 ]
        "Squeeze of the batch", image, since 13 "Squeeze" "axes" [ 0 ]
        "Squeeze of all", image, on "Squeeze" []
        "Unsqueeze twice at one place", image, since 13 "Unsqueeze" "axes" [ 1; 1 ]
        "Unsqueeze at the end", image, since 13 "Unsqueeze" "axes" [ 4 ]
        "Unsqueeze without axes", image, on "Unsqueeze" []
        "Cast to integers", row, on "Cast" [ int "to" 7 ]
        "Cast to nothing", row, on "Cast" []
        "Cast to an unknown type", row, on "Cast" [ int "to" 77 ]
        "Neg of two", row, withTensors "Neg" [ row ] []
        "an input that nothing makes", row, (fun g -> g.Append("Add", [ g.Current; "nothing" ], [], row, 1))
        "an input that is left out", row, (fun g -> g.Append("Add", [ g.Current; "" ], [], row, 1))
    ]

/// The cases by name.
type Cases() =
    /// Their names.
    static member Names = cases |> List.map (fun (name, _, _) -> name)

    /// The graph of a case.
    static member Draw(name: string, opset: int) =
        let _, shape, append = cases |> List.find (fun (other, _, _) -> other = name)
        let graph = DrawnGraph(Draw 1, opset, false, shape)
        graph.Append("Relu", [ graph.Current ], [], shape, 0)
        append graph
        graph.Append("Relu", [ graph.Current ], [], graph.Shape, 0)
        graph
