module LipVerify.Tests.CoreNetworkTests

open System
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.Oracles
open Expecto
open LipVerify.Propositions.Expectations

let private dense rows columns =
    Layer.linear (Dense(Dense.create (Tensor.create [ rows; columns ] 1.0)))

let private refused shape blocks =
    match Network.create shape (Series blocks) with
    | Error message -> message
    | Ok _ -> failwith "the network was accepted"

/// The network by its definition, on explicit matrices.
let rec private naive node (x: float[]) =
    match node with
    | Leaf { Layer = Affine(map, bias) } ->
        let y =
            matrix map
            |> Array.map (fun row -> Array.fold2 (fun sum a b -> sum + a * b) 0.0 row x)

        Array.map2 (+) y (Tensor.values bias)
    | Leaf { Layer = Activation _ } -> Array.map (max 0.0) x
    | Leaf { Layer = MaxPooling g } -> windows g |> Array.map (fun w -> w |> Array.map (fun i -> x[i]) |> Array.max)
    | Leaf _ -> x
    | Chain nodes -> (x, nodes) ||> List.fold (fun x node -> naive node x)
    | Branches nodes -> nodes |> List.map (fun node -> naive node x) |> List.reduce (Array.map2 (+))

[<Tests>]
let tests =
    testList
        "CoreNetwork"
        [
            testCase "a layer that does not fit is named with both shapes" (fun () ->
                let message = refused [ 4 ] [ Step("fc1", dense 3 4); Step("fc2", dense 2 5) ]
                Expect.stringContainsAll message [ "layer 1"; "fc2"; "5"; "3" ] "message")

            testCase "a map that needs an image refuses a vector, with both shapes" (fun () ->
                let axis = WindowAxis(4, 2)
                let pool = Layer.maxPooling (PoolingGeometry(2, axis, axis))

                Expect.stringContainsAll
                    (refused [ 32 ] [ Step("pool1", pool) ])
                    [ "pool1"; "2×4×4"; "32" ]
                    "refused [ 32 ] [ Step(\"pool1\", pool) ]"

                let convolution =
                    Layer.linear (
                        Convolution(
                            Convolution.create
                                (ConvolutionGeometry(2, 1, axis, axis))
                                (Tensor.create [ 1; 2; 2; 2 ] 1.0)
                        )
                    )

                Expect.stringContainsAll
                    (refused [ 3; 4; 4 ] [ Step("conv1", convolution) ])
                    [ "conv1"; "2×4×4"; "3×4×4" ]
                    "refused [ 3; 4; 4 ] [ Step(\"conv1\", convolution) ]")

            testCase "a reshape to another size is refused with both shapes" (fun () ->
                Expect.stringContainsAll
                    (refused [ 6 ] [ Step("view", Reshape [ 4 ]) ])
                    [ "view"; "6"; "4" ]
                    "refused [ 6 ] [ Step(\"view\", Reshape [ 4 ]) ]"

                Expect.stringContains
                    (refused [ 4 ] [ Step("view", Reshape [ -2; -2 ]) ])
                    "view"
                    "refused [ 4 ] [ Step(\"view\", Reshape [ -2; -2 ]) ]")

            testCase "branches of different shapes are refused with both shapes" (fun () ->
                let message = refused [ 3 ] [ Sum [ Step("left", dense 2 3); Series [] ] ]
                Expect.stringContainsAll message [ "2"; "3" ] "message"
                Expect.stringContains (refused [ 3 ] [ Sum [] ]) "no branch" "refused [ 3 ] [ Sum [] ]")

            testCase "weights and biases that are not finite are refused by the layer's name" (fun () ->
                for bad in [ nan; infinity; -infinity ] do
                    let weights = Tensor.ofArray [ 1; 2 ] [| 1.0; bad |]
                    let fine = Tensor.ofArray [ 1; 2 ] [| 1.0; 1.0 |]
                    let layer = Layer.dense weights (Tensor.vector [| 0.0 |])

                    Expect.stringContainsAll
                        (refused [ 2 ] [ Step("fc", layer) ])
                        [ "fc"; "weights" ]
                        "refused [ 2 ] [ Step(\"fc\", layer) ]"

                    let layer = Layer.dense fine (Tensor.vector [| bad |])

                    Expect.stringContainsAll
                        (refused [ 2 ] [ Step("fc", layer) ])
                        [ "fc"; "bias" ]
                        "refused [ 2 ] [ Step(\"fc\", layer) ]"

                    let scaled =
                        Layer.linear (Scaled(Tensor.vector [| bad |], Dense(Dense.create fine)))

                    Expect.stringContainsAll
                        (refused [ 2 ] [ Step("bn", scaled) ])
                        [ "bn"; "weights" ]
                        "refused [ 2 ] [ Step(\"bn\", scaled) ]")

            testCase "a layer put together by hand with parts that do not fit is refused" (fun () ->
                let map = Dense(Dense.create (Tensor.create [ 3; 2 ] 1.0))

                Expect.stringContainsAll
                    (refused [ 2 ] [ Step("fc", Affine(map, Tensor.create [ 2 ] 0.0)) ])
                    [ "fc"; "bias" ]
                    "refused [ 2 ] [ Step(\"fc\", Affine(map, Tensor.create [ 2 ] 0.0)) ]"

                let scaled = Scaled(Tensor.create [ 2 ] 1.0, map)

                Expect.stringContainsAll
                    (refused [ 2 ] [ Step("fc", Affine(scaled, Tensor.create [ 3 ] 0.0)) ])
                    [ "fc"; "scale" ]
                    "refused [ 2 ] [ Step(\"fc\", Affine(scaled, Tensor.create [ 3 ] 0.0)) ]"

                let empty = PoolingGeometry(1, WindowAxis(2, 1, 1, 1), WindowAxis(2, 1))

                Expect.stringContainsAll
                    (refused [ 1; 2; 2 ] [ Step("pool", MaxPooling empty) ])
                    [ "pool"; "padding" ]
                    "refused [ 1; 2; 2 ] [ Step(\"pool\", MaxPooling empty) ]")

            testCase "an input shape without positive extents is refused" (fun () ->
                for shape in [ []; [ 0 ]; [ 3; -1 ] ] do
                    Expect.stringContains (refused shape []) "positive" "refused shape []")

            testCase "inputs of another shape are refused with both shapes" (fun () ->
                let network = build [ 2; 3 ] []

                let message =
                    (Expect.thrown<ArgumentException>(fun () ->
                        Network.evaluateBatch context network (Tensor.create [ 1; 3; 2 ] 0.0) |> ignore))
                        .Message

                Expect.stringContainsAll message [ "2×3"; "3×2" ] "message")

            statement "evaluation agrees with the definition" 200 network (fun case ->
                let x = Tensor.values case.Input
                let expected = naive case.Network.Node x
                let actual = Network.evaluate context case.Network case.Input
                Expect.isTrue (actual.Shape = case.Network.OutputShape) "actual.Shape = case.Network.OutputShape"
                // Both err by at most what `evaluationErrors` says.
                let error = (evaluationErrors case.Network [| x |])[0]

                Expect.isLessThanOrEqual
                    (norm (Array.map2 (-) expected (Tensor.values actual)))
                    (2.0 * error)
                    "norm (Array.map2 (-) expected (Tensor.values actual))")

            statement "a batch is evaluated row by row" 100 network (fun case ->
                let draw = Draw case.Seed
                let points = Array.init 5 (fun _ -> draw.Gaussians case.Input.Length)

                let together, errors =
                    evaluateAll case.Network points, evaluationErrors case.Network points

                points
                |> Array.iteri (fun k x ->
                    let alone =
                        Network.evaluate context case.Network (Tensor.ofArray case.Input.Shape x)
                        |> Tensor.values

                    Expect.isLessThanOrEqual
                        (norm (Array.map2 (-) together[k] alone))
                        (2.0 * errors[k])
                        "norm (Array.map2 (-) together[k] alone)"))

            statement "layers are counted and named in order" 100 network (fun case ->
                let layers = Network.layers case.Network

                Expect.isTrue
                    (layers |> List.map _.Index = [ 0 .. layers.Length - 1 ])
                    "layers |> List.map _.Index = [ 0 .. layers.Length - 1 ]")

            statement "batch normalisation agrees with its formula" 60 Draw (fun draw ->
                let shape = [ draw.Int(1, 3); draw.Int(1, 3); draw.Int(1, 3) ]
                let parameter f = Array.init shape.Head (fun _ -> f ())

                let weight, bias, mean =
                    parameter draw.Gaussian, parameter draw.Gaussian, parameter draw.Gaussian

                let variance = parameter (fun () -> draw.Real(0.0, 2.0))

                let layers =
                    BatchNormalization.layers
                        shape
                        (Tensor.vector weight)
                        (Tensor.vector bias)
                        (Tensor.vector mean)
                        (Tensor.vector variance)
                        1e-5

                let x = draw.Gaussians(Shape.size shape)

                let y =
                    Network.evaluate
                        context
                        (build shape (layers |> List.map (fun layer -> Step("bn", layer))))
                        (Tensor.ofArray shape x)
                    |> Tensor.values

                x
                |> Array.iteri (fun i v ->
                    let c = i / (shape[1] * shape[2])
                    let s = weight[c] / sqrt (variance[c] + 1e-5)
                    let expected = s * (v - mean[c]) + bias[c]
                    let size = abs (s * v) + abs (s * mean[c]) + abs bias[c]
                    Expect.isWithin (16.0 * Rounding.unitRoundoff * size) y[i] expected "y[i]"))
        ]
