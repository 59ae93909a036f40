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
open NUnit.Framework

let private dense rows columns =
    Layer.linear (Dense(Dense.create (Tensor.create [ rows; columns ] 1.0)))

let private refused shape blocks =
    match Network.create shape (Series blocks) with
    | Error message -> message
    | Ok _ -> failwith "the network was accepted"

[<Test>]
let ``a layer that does not fit is named with both shapes`` () =
    let message = refused [ 4 ] [ Step("fc1", dense 3 4); Step("fc2", dense 2 5) ]
    Assert.That(message, Does.Contain("layer 1").And.Contain("fc2").And.Contain("5").And.Contain("3"))

[<Test>]
let ``a map that needs an image refuses a vector, with both shapes`` () =
    let axis = WindowAxis(4, 2)
    let pool = Layer.maxPooling (PoolingGeometry(2, axis, axis))

    Assert.That(refused [ 32 ] [ Step("pool1", pool) ], Does.Contain("pool1").And.Contain("2×4×4").And.Contain("32"))

    let convolution =
        Layer.linear (
            Convolution(Convolution.create (ConvolutionGeometry(2, 1, axis, axis)) (Tensor.create [ 1; 2; 2; 2 ] 1.0))
        )

    Assert.That(
        refused [ 3; 4; 4 ] [ Step("conv1", convolution) ],
        Does.Contain("conv1").And.Contain("2×4×4").And.Contain("3×4×4")
    )

[<Test>]
let ``a reshape to another size is refused with both shapes`` () =
    Assert.That(refused [ 6 ] [ Step("view", Reshape [ 4 ]) ], Does.Contain("view").And.Contain("6").And.Contain("4"))

    Assert.That(refused [ 4 ] [ Step("view", Reshape [ -2; -2 ]) ], Does.Contain "view")

[<Test>]
let ``branches of different shapes are refused with both shapes`` () =
    let message = refused [ 3 ] [ Sum [ Step("left", dense 2 3); Series [] ] ]
    Assert.That(message, Does.Contain("2").And.Contain("3"))
    Assert.That(refused [ 3 ] [ Sum [] ], Does.Contain "no branch")

[<Test>]
let ``weights and biases that are not finite are refused by the layer's name`` () =
    for bad in [ nan; infinity; -infinity ] do
        let weights = Tensor.ofArray [ 1; 2 ] [| 1.0; bad |]
        let fine = Tensor.ofArray [ 1; 2 ] [| 1.0; 1.0 |]
        let layer = Layer.dense weights (Tensor.vector [| 0.0 |])
        Assert.That(refused [ 2 ] [ Step("fc", layer) ], Does.Contain("fc").And.Contain("weights"))
        let layer = Layer.dense fine (Tensor.vector [| bad |])
        Assert.That(refused [ 2 ] [ Step("fc", layer) ], Does.Contain("fc").And.Contain("bias"))

        let scaled =
            Layer.linear (Scaled(Tensor.vector [| bad |], Dense(Dense.create fine)))

        Assert.That(refused [ 2 ] [ Step("bn", scaled) ], Does.Contain("bn").And.Contain("weights"))

[<Test>]
let ``a layer put together by hand with parts that do not fit is refused`` () =
    let map = Dense(Dense.create (Tensor.create [ 3; 2 ] 1.0))

    Assert.That(
        refused [ 2 ] [ Step("fc", Affine(map, Tensor.create [ 2 ] 0.0)) ],
        Does.Contain("fc").And.Contain("bias")
    )

    let scaled = Scaled(Tensor.create [ 2 ] 1.0, map)

    Assert.That(
        refused [ 2 ] [ Step("fc", Affine(scaled, Tensor.create [ 3 ] 0.0)) ],
        Does.Contain("fc").And.Contain("scale")
    )

    let empty = PoolingGeometry(1, WindowAxis(2, 1, 1, 1), WindowAxis(2, 1))
    Assert.That(refused [ 1; 2; 2 ] [ Step("pool", MaxPooling empty) ], Does.Contain("pool").And.Contain("padding"))

[<Test>]
let ``an input shape without positive extents is refused`` () =
    for shape in [ []; [ 0 ]; [ 3; -1 ] ] do
        Assert.That(refused shape [], Does.Contain "positive")

[<Test>]
let ``inputs of another shape are refused with both shapes`` () =
    let network = build [ 2; 3 ] []

    let message =
        (nonNull (
            Assert.Throws<ArgumentException>(
                Action(fun () -> Network.evaluateBatch context network (Tensor.create [ 1; 3; 2 ] 0.0) |> ignore)
            )
        ))
            .Message

    Assert.That(message, Does.Contain("2×3").And.Contain("3×2"))

/// The network by its definition, on explicit matrices.
let rec private naive node (x: float[]) =
    match node with
    | Leaf { Layer = Affine(map, bias) } ->
        let y =
            matrix map
            |> Array.map (fun row -> Array.fold2 (fun sum a b -> sum + a * b) 0.0 row x)

        Array.map2 (+) y (Tensor.values bias)
    | Leaf { Layer = Relu } -> Array.map (max 0.0) x
    | Leaf { Layer = MaxPooling g } -> windows g |> Array.map (fun w -> w |> Array.map (fun i -> x[i]) |> Array.max)
    | Leaf _ -> x
    | Chain nodes -> (x, nodes) ||> List.fold (fun x node -> naive node x)
    | Branches nodes -> nodes |> List.map (fun node -> naive node x) |> List.reduce (Array.map2 (+))

[<Test>]
let ``evaluation agrees with the definition`` () =
    check 200 network (fun case ->
        let x = Tensor.values case.Input
        let expected = naive case.Network.Node x
        let actual = Network.evaluate context case.Network case.Input
        Assert.That((actual.Shape = case.Network.OutputShape), Is.True)
        // Both err by at most what `evaluationErrors` says.
        let error = (evaluationErrors case.Network [| x |])[0]
        Assert.That(norm (Array.map2 (-) expected (Tensor.values actual)), Is.LessThanOrEqualTo(2.0 * error)))

[<Test>]
let ``a batch is evaluated row by row`` () =
    check 100 network (fun case ->
        let draw = Draw case.Seed
        let points = Array.init 5 (fun _ -> draw.Gaussians case.Input.Length)

        let together, errors =
            evaluateAll case.Network points, evaluationErrors case.Network points

        points
        |> Array.iteri (fun k x ->
            let alone =
                Network.evaluate context case.Network (Tensor.ofArray case.Input.Shape x)
                |> Tensor.values

            Assert.That(norm (Array.map2 (-) together[k] alone), Is.LessThanOrEqualTo(2.0 * errors[k]))))

[<Test>]
let ``layers are counted and named in order`` () =
    check 100 network (fun case ->
        let layers = Network.layers case.Network
        Assert.That((layers |> List.map _.Index = [ 0 .. layers.Length - 1 ]), Is.True))

[<Test>]
let ``batch normalisation agrees with its formula`` () =
    check 60 Draw (fun draw ->
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
            Assert.That(y[i], Is.EqualTo(expected).Within(16.0 * Rounding.unitRoundoff * size))))
