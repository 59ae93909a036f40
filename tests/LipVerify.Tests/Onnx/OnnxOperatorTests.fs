/// Operators on graphs as people have them: against ONNX Runtime, and with bounds that hold.
module LipVerify.Tests.OnnxOperatorTests

open System
open Expecto
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.LowerBounds
open LipVerify.Core.Enclosures
open LipVerify.Core.Bounds.Analytic
open LipVerify.Core.Methods
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.Expectations
open LipVerify.Tests.OnnxWriter

/// A graph from `x` to `y`.
[<ReferenceEquality>]
type private Case =
    {
        Name: string
        Opset: int
        Input: int list
        Nodes: byte[] list
        Tensors: byte[] list
    }

let private case name opset input nodes tensors =
    {
        Name = name
        Opset = opset
        Input = input
        Nodes = nodes
        Tensors = tensors
    }

let private single name (value: float) = singles name [] [| value |]

/// One operator, with attributes.
let private alone name operator opset attributes =
    case name opset [ 1; 3; 4 ] [ node operator [ "x" ] "y" attributes ] []

let private image = [ 1; 4; 6; 5 ]

/// A convolution that keeps the extents of an image.
let private convolution input output seed (from: int) (into: int) =
    node "Conv" [ input; $"w{seed}" ] output [ ints "pads" [ 1; 1; 1; 1 ] ],
    singles $"w{seed}" [ into; from; 3; 3 ] (draw seed (into * from * 9) |> Array.map (fun w -> 0.3 * w))

let private activations =
    [
        alone "LeakyRelu" "LeakyRelu" 16 [ real "alpha" 0.2f ]
        alone "LeakyRelu, again" "LeakyRelu" 6 []
        alone "Elu" "Elu" 6 [ real "alpha" 1.5f ]
        alone "Selu" "Selu" 6 []
        alone "Celu" "Celu" 12 [ real "alpha" 0.5f ]
        alone "Sigmoid" "Sigmoid" 13 []
        alone "HardSigmoid" "HardSigmoid" 6 [ real "alpha" 0.25f; real "beta" 0.4f ]
        alone "HardSigmoid, again" "HardSigmoid" 6 []
        alone "Tanh" "Tanh" 13 []
        alone "Erf" "Erf" 13 []
        alone "Softplus" "Softplus" 1 []
        alone "Softsign" "Softsign" 1 []
        alone "HardSwish" "HardSwish" 14 []
        alone "Mish" "Mish" 18 []
        alone "Gelu" "Gelu" 20 []
        alone "Gelu, again" "Gelu" 20 [ words "approximate" "tanh" ]
        alone "Abs" "Abs" 13 []
        alone "Clip" "Clip" 6 [ real "min" -0.5f; real "max" 0.75f ]
        case
            "Clip with inputs"
            13
            [ 1; 7 ]
            [ node "Clip" [ "x"; "low"; "high" ] "y" [] ]
            [ single "low" 0.0; single "high" 6.0 ]
        case "Clip from above" 13 [ 1; 7 ] [ node "Clip" [ "x"; ""; "high" ] "y" [] ] [ single "high" 0.25 ]
        case
            "PRelu of channels"
            16
            [ 1; 3; 4 ]
            [ node "PRelu" [ "x"; "slopes" ] "y" [] ]
            [ singles "slopes" [ 3; 1 ] [| 0.1; -0.3; 0.0 |] ]
        case "SiLU" 13 [ 1; 7 ] [ node "Sigmoid" [ "x" ] "s" []; node "Mul" [ "x"; "s" ] "y" [] ] []
        case
            "Mish of three nodes"
            13
            [ 1; 7 ]
            [
                node "Softplus" [ "x" ] "s" []
                node "Tanh" [ "s" ] "t" []
                node "Mul" [ "t"; "x" ] "y" []
            ]
            []
        case
            "GELU by erf"
            13
            [ 1; 7 ]
            [
                node "Div" [ "x"; "root" ] "u" []
                node "Erf" [ "u" ] "e" []
                node "Add" [ "e"; "one" ] "f" []
                node "Mul" [ "x"; "f" ] "g" []
                node "Mul" [ "g"; "half" ] "y" []
            ]
            [ single "root" (Math.Sqrt 2.0); single "one" 1.0; single "half" 0.5 ]
        case
            "GELU by erf, halved before"
            13
            [ 1; 7 ]
            [
                node "Mul" [ "x"; "root" ] "u" []
                node "Erf" [ "u" ] "e" []
                node "Add" [ "e"; "one" ] "f" []
                node "Mul" [ "x"; "half" ] "h" []
                node "Mul" [ "h"; "f" ] "y" []
            ]
            [ single "root" (Math.Sqrt 0.5); single "one" 1.0; single "half" 0.5 ]
        case
            "hard-swish by Clip"
            13
            [ 1; 7 ]
            [
                node "Add" [ "x"; "three" ] "a" []
                node "Clip" [ "a"; "zero"; "six" ] "c" []
                node "Mul" [ "x"; "c" ] "m" []
                node "Div" [ "m"; "six" ] "y" []
            ]
            [ single "three" 3.0; single "zero" 0.0; single "six" 6.0 ]
        case
            "hard-swish by HardSigmoid"
            13
            [ 1; 7 ]
            [
                node "HardSigmoid" [ "x" ] "s" [ real "alpha" (1.0f / 6.0f) ]
                node "Mul" [ "s"; "x" ] "y" []
            ]
            []
    ]

let private selections =
    [
        case "Transpose" 13 [ 1; 3; 4; 2 ] [ node "Transpose" [ "x" ] "y" [ ints "perm" [ 0; 2; 3; 1 ] ] ] []
        case
            "Slice"
            13
            [ 1; 6; 5 ]
            [ node "Slice" [ "x"; "starts"; "ends"; "axes"; "steps" ] "y" [] ]
            [
                longs "starts" [ 5; 1 ]
                longs "ends" [ -9; 5 ]
                longs "axes" [ 1; 2 ]
                longs "steps" [ -2; 3 ]
            ]
        case
            "Slice by attributes"
            9
            [ 1; 6; 5 ]
            [
                node "Slice" [ "x" ] "y" [ ints "starts" [ 1; -3 ]; ints "ends" [ 4; 99 ]; ints "axes" [ 1; 2 ] ]
            ]
            []
        case "Gather" 13 [ 1; 6; 5 ] [ node "Gather" [ "x"; "i" ] "y" [ int "axis" 1 ] ] [ longs "i" [ 3; 0; -1; 3 ] ]
        case "Expand" 13 [ 1; 3; 1 ] [ node "Expand" [ "x"; "s" ] "y" [] ] [ longs "s" [ 1; 3; 4 ] ]
        case "ReduceMean" 13 image [ node "ReduceMean" [ "x" ] "y" [ ints "axes" [ 2; 3 ]; int "keepdims" 0 ] ] []
        case "ReduceMean with axes as input" 18 image [ node "ReduceMean" [ "x"; "a" ] "y" [] ] [ longs "a" [ -1 ] ]
        case "ReduceSum" 13 image [ node "ReduceSum" [ "x"; "a" ] "y" [ int "keepdims" 0 ] ] [ longs "a" [ 1 ] ]
        case
            "Resize to the nearest"
            13
            [ 1; 2; 3; 4 ]
            [ node "Resize" [ "x"; ""; "s" ] "y" [ words "mode" "nearest" ] ]
            [ singles "s" [ 4 ] [| 1.0; 1.0; 2.0; 3.0 |] ]
        case
            "Resize asymmetric"
            13
            [ 1; 2; 3; 4 ]
            [
                node
                    "Resize"
                    [ "x"; ""; ""; "s" ]
                    "y"
                    [
                        words "coordinate_transformation_mode" "asymmetric"
                        words "nearest_mode" "floor"
                    ]
            ]
            [ longs "s" [ 1; 2; 5; 8 ] ]
        case
            "Resize by lines"
            13
            [ 1; 2; 3; 4 ]
            [ node "Resize" [ "x"; ""; "s" ] "y" [ words "mode" "linear" ] ]
            [ singles "s" [ 4 ] [| 1.0; 1.0; 2.0; 4.0 |] ]
        case
            "Upsample"
            9
            [ 1; 2; 3; 4 ]
            [ node "Upsample" [ "x"; "s" ] "y" [ words "mode" "nearest" ] ]
            [ singles "s" [ 4 ] [| 1.0; 1.0; 2.0; 2.0 |] ]
        case
            "channel shuffle"
            13
            [ 1; 6; 2; 2 ]
            [
                node "Reshape" [ "x"; "a" ] "r" []
                node "Transpose" [ "r" ] "t" [ ints "perm" [ 0; 2; 1; 3; 4 ] ]
                node "Reshape" [ "t"; "b" ] "y" []
            ]
            [ longs "a" [ 1; 2; 3; 2; 2 ]; longs "b" [ 1; 6; 2; 2 ] ]
    ]

let private transposed name input weights attributes bias =
    let count = List.fold (*) 1 weights
    let inputs = if bias > 0 then [ "x"; "w"; "b" ] else [ "x"; "w" ]

    case
        name
        13
        input
        [ node "ConvTranspose" inputs "y" attributes ]
        [
            singles "w" weights (draw 3 count)
            if bias > 0 then
                singles "b" [ bias ] (draw 4 bias)
        ]

let private transposedConvolutions =
    [
        transposed "ConvTranspose" [ 1; 2; 3; 4 ] [ 2; 3; 2; 3 ] [] 3
        transposed
            "ConvTranspose with strides and padding"
            [ 1; 2; 3; 4 ]
            [ 2; 3; 4; 4 ]
            [ ints "strides" [ 2; 2 ]; ints "pads" [ 1; 1; 1; 1 ] ]
            3
        transposed
            "ConvTranspose with output padding, groups and dilation"
            [ 1; 4; 3; 4 ]
            [ 4; 2; 3; 2 ]
            [
                ints "strides" [ 3; 2 ]
                int "group" 2
                ints "dilations" [ 2; 1 ]
                ints "output_padding" [ 1; 1 ]
                ints "pads" [ 0; 1; 2; 0 ]
            ]
            0
        transposed "ConvTranspose of a sequence" [ 1; 2; 5 ] [ 2; 3; 3 ] [ ints "strides" [ 2 ] ] 0
    ]

let private graphs =
    let stem, w1 = convolution "x" "a" 1 4 4
    let second, w2 = convolution "b" "c" 2 4 4
    let third, w3 = convolution "e" "f" 3 8 3

    [
        case
            "Concat of branches"
            13
            image
            [
                stem
                node "Relu" [ "a" ] "b" []
                node "Concat" [ "x"; "b" ] "y" [ int "axis" 1 ]
            ]
            [ w1 ]
        case
            "Concat with a constant"
            13
            [ 1; 3; 4 ]
            [
                node "Relu" [ "x" ] "b" []
                node "Concat" [ "k"; "x"; "b" ] "y" [ int "axis" 2 ]
            ]
            [ singles "k" [ 1; 3; 2 ] (draw 9 6) ]
        case
            "a dense block"
            13
            image
            [
                stem
                node "Relu" [ "a" ] "b" []
                node "Concat" [ "x"; "b" ] "e" [ int "axis" 1 ]
                third
                node "Tanh" [ "f" ] "g" []
                node "Concat" [ "x"; "b"; "g" ] "y" [ int "axis" 1 ]
            ]
            [ w1; w3 ]
        case
            "tensors that are taken again further on"
            13
            image
            [
                stem
                node "Relu" [ "a" ] "b" []
                second
                node "Add" [ "a"; "c" ] "d" []
                node "Sigmoid" [ "d" ] "s" []
                node "Add" [ "b"; "s" ] "t" []
                node "Add" [ "t"; "c" ] "u" []
                node "Sub" [ "u"; "x" ] "y" []
            ]
            [ w1; w2 ]
        case
            "Split, and the halves in other order"
            13
            image
            [
                nodeNamed "" "Split" [ "x" ] [ "p"; "q" ] [ int "axis" 1 ]
                node "Relu" [ "q" ] "r" []
                node "Concat" [ "r"; "p" ] "y" [ int "axis" 1 ]
            ]
            []
        case "a sum that doubles" 13 [ 1; 5 ] [ node "Tanh" [ "x" ] "t" []; node "Add" [ "t"; "t" ] "y" [] ] []
        case
            "squeeze and excitation left out: a mean, a layer, and both joined"
            13
            image
            [
                node "ReduceMean" [ "x" ] "m" [ ints "axes" [ 2; 3 ] ]
                node "Flatten" [ "m" ] "n" []
                node "Flatten" [ "x" ] "z" []
                node "Concat" [ "z"; "n" ] "y" [ int "axis" 1 ]
            ]
            []
    ]

let private all = activations @ selections @ transposedConvolutions @ graphs

/// What single precision takes from some dozen operations on numbers around 1, and the runtime's own approximations of exponentials.
let private singlePrecision = 2e-5

let private modelOf (case: Case) =
    modelFor case.Opset 1L case.Input case.Nodes case.Tensors

let private agrees (case: Case) =
    testCase $"{case.Name}: the values that ONNX Runtime computes" (fun () ->
        RuntimeOracle.require ()
        let network = (read (modelOf case)).Network

        for seed in 1..5 do
            let x =
                draw seed (Shape.size case.Input)
                |> Array.map (fun x -> float (float32 (2.5 * x)))

            match RuntimeOracle.run false (modelOf case) case.Input x with
            | RuntimeOracle.Evaluated expected ->
                let values = evaluate network x
                Expect.equal values.Length expected.Length case.Name

                Array.iter2
                    (fun value expected ->
                        Expect.isWithin (singlePrecision * (1.0 + abs expected)) expected value case.Name)
                    values
                    expected
            | RuntimeOracle.NoKernel problem -> skiptest problem
            | RuntimeOracle.Invalid problem -> failtest problem)

/// The largest slope between few points of the ball.
let private attained (network: Network) (center: Tensor) radius =
    let ball = RestrictedBall.whole center radius

    [ 1..6 ]
    |> List.map (fun seed ->
        let direction = draw (50 + seed) center.Length
        let size = NormedVectors.size Euclidean (ReadOnlySpan direction)

        let point =
            direction
            |> Array.map (fun d -> radius.Value * d / size)
            |> LowerBound.inside Euclidean ball

        (LowerBound.between context Euclidean network center point).Value)
    |> List.max

let private bounded (case: Case) =
    testCase $"{case.Name}: bounds hold, and the structured one is near" (fun () ->
        let network = (read (modelOf case)).Network

        let center =
            Tensor.ofArray network.InputShape (draw 7 (Shape.size network.InputShape))

        let radius = radius 0.05
        let attained = attained network center radius
        let known = (Analytic.bound context Nominal network center radius).Bound.Value
        let everywhere = (Global.bound context network).Bound.Value
        Expect.isGreaterThanOrEqual known attained "analytic"
        Expect.isGreaterThanOrEqual everywhere attained "global"

        let method =
            BoundMethods.all |> List.find (fun method -> method.Name = "structured")

        let query =
            {
                Context = context
                Network = network
                Norm = Euclidean
                Definition = Nominal
                Enclosure = Ball
                NeedsWitness = false
                Solvers = LipVerify.Solvers.InstalledSolvers.all
            }

        match BoundMethod.run method query (Some(center, radius)) None with
        | Error problem -> failtest problem
        | Ok found ->
            let structured = found.Result.Bound.Value
            Expect.isGreaterThanOrEqual structured attained "structured"
            Expect.isLessThanOrEqual structured (known * (1.0 + 1e-9)) "structured is no larger than analytic"

            // The norm of the Jacobian at the centre, which bounds from below.
            match NominalJacobian.lowerBound context Euclidean network (RestrictedBall.whole center radius) with
            | Ok jacobian ->
                Expect.isLessThanOrEqual
                    structured
                    (1.5 * jacobian.Value + 1e-6)
                    "structured is near the Jacobian's norm"
            | Error _ -> ())

[<Tests>]
let tests =
    testList
        "OnnxOperators"
        [
            yield! List.map agrees all
            yield! List.map bounded all

            testCase "nodes may stand in any order, but not wait for each other" (fun () ->
                let nodes = [ node "Tanh" [ "r" ] "y" []; node "Relu" [ "x" ] "r" [] ]
                let ordered = (read (modelFor 13 1L [ 1; 3 ] (List.rev nodes) [])).Network
                let network = (read (modelFor 13 1L [ 1; 3 ] nodes [])).Network
                let x = [| 0.5; -1.0; 2.0 |]
                Expect.equal (evaluate network x) (evaluate ordered x) "values"

                let circle =
                    [
                        node "Add" [ "x"; "b" ] "a" []
                        node "Relu" [ "a" ] "b" []
                        node "Tanh" [ "b" ] "y" []
                    ]

                Expect.stringContains (refusal (modelFor 13 1L [ 1; 3 ] circle [])) "cycle" "the message")

            testTheory
                "what jumps has no constant, and products that are no activation are refused"
                [ "Sign"; "Floor"; "Round" ]
                (fun operator ->
                    let line = refusal (modelFor 13 1L [ 1; 3 ] [ node operator [ "x" ] "y" [] ] [])
                    Expect.stringContains line "no Lipschitz constant" "the message"
                    let product = [ node "Tanh" [ "x" ] "t" []; node "Mul" [ "x"; "t" ] "y" [] ]

                    Expect.stringContains
                        (refusal (modelFor 13 1L [ 1; 3 ] product []))
                        "multiplies two computed tensors"
                        "the message")

            testCase "a tower of blocks that take what was before twice grows by one block each" (fun () ->
                // Every block takes its input and what came before that: two to the power of 40 if each were computed for itself.
                let block k =
                    [
                        node "Relu" [ $"t{k}" ] $"r{k}" []
                        node "Add" [ $"r{k}"; $"t{k - 1}" ] $"s{k}" []
                        node "Mul" [ $"s{k}"; "half" ] $"t{k + 1}" []
                    ]

                let nodes =
                    (node "Identity" [ "x" ] "t0" []
                     :: node "Tanh" [ "x" ] "t1" []
                     :: List.collect block [ 1..40 ])
                    @ [ node "Identity" [ "t41" ] "y" [] ]

                let network = (read (modelFor 13 1L [ 1; 3 ] nodes [ single "half" 0.5 ])).Network
                Expect.isLessThan (Network.layers network).Length 1000 "layers"

                match
                    RuntimeOracle.run
                        false
                        (modelFor 13 1L [ 1; 3 ] nodes [ single "half" 0.5 ])
                        [ 1; 3 ]
                        [| 0.5; -1.0; 2.0 |]
                with
                | RuntimeOracle.Evaluated expected ->
                    Array.iter2
                        (fun a b -> Expect.isWithin 1e-6 a b "value")
                        expected
                        (evaluate network [| 0.5; -1.0; 2.0 |])
                | _ -> ())
        ]
