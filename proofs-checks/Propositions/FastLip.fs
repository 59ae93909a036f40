/// Elementwise Jacobian bounds (METHODS section 10, FastLip) against sampled and traced slopes, in both norms.
module LipVerify.Propositions.FastLip

open System
open LipVerify.Core
open LipVerify.Propositions.Generators
open LipVerify.Propositions.Oracles
open NUnit.Framework

let private bound norm definition (case: NetworkCase) =
    match FastLip.bound context norm definition case.Network case.Input case.Radius with
    | Ok bound ->
        Assert.That(bound.Rigor, Is.EqualTo Certified)
        bound.Value
    | Error problem -> failwith problem

/// `‖v‖∞`.
let maximumNorm (v: float[]) =
    (0.0, v) ||> Array.fold (fun best x -> max best (abs x))

/// Slopes in the maximum norm from `origin` to each of the points that differ from it.
let maximumSlopes network (origin: float[]) (points: float[][]) =
    let all = Array.append [| origin |] points
    let values, errors = evaluateAll network all, evaluationErrors network all

    [|
        for k in 1 .. points.Length do
            let distance = maximumNorm (Array.map2 (-) all[k] origin)

            if distance > 0.0 then
                {
                    Value = maximumNorm (Array.map2 (-) values[k] values[0]) / distance
                    Noise = (errors[k] + errors[0]) / distance
                }
    |]

/// Points of the box around `center`: vertices, faces and the inside.
let boxSamples (draw: Draw) count (center: float[]) radius =
    Array.init count (fun _ ->
        let shrink = draw.Pick [ 1.0; 1.0; 0.5; 1e-3 ]

        center
        |> Array.map (fun c -> c + shrink * radius * draw.Pick [ -1.0; 1.0; draw.Real(-1.0, 1.0) ]))
    |> Array.filter (fun x -> maximumNorm (Array.map2 (-) x center) <= radius)

[<Test>]
let ``FastLip: the nominal bound covers samples, lines and their knots`` () =
    check 150 network (fun case ->
        let center = Tensor.values case.Input

        slopes case.Network center (candidates (Draw case.Seed) case.Network center case.Radius.Value)
        |> assertBounds "nominal" (bound Euclidean Nominal case))

[<Test>]
let ``FastLip: the uniform bound covers pairs and the pieces between them`` () =
    check 100 network (fun case ->
        let center = Tensor.values case.Input

        let points =
            samples (Draw case.Seed) 6 center (Array.create center.Length 1.0) case.Radius.Value

        let bound = bound Euclidean Uniform case

        for x, y in Array.pairwise points do
            slopes case.Network x [| y |] |> assertBounds "a pair" bound
            pieceSlopes case.Network x y |> assertBounds "a piece" bound)

[<Test>]
let ``FastLip: in the maximum norm, the bounds cover samples of the box and pairs of them`` () =
    check 150 network (fun case ->
        let center = Tensor.values case.Input
        let points = boxSamples (Draw case.Seed) 24 center case.Radius.Value

        maximumSlopes case.Network center points
        |> assertBounds "nominal" (bound Maximum Nominal case)

        let uniform = bound Maximum Uniform case

        for x, y in Array.pairwise points do
            maximumSlopes case.Network x [| y |] |> assertBounds "a pair" uniform)

[<Test>]
let ``FastLip: of an affine network, the norm of its matrix`` () =
    for seed in 1..20 do
        let draw = Draw seed
        let first, second = draw.Gaussians 20, draw.Gaussians 12

        let dense rows weights =
            Layer.dense (Tensor.ofArray [ rows; Array.length weights / rows ] weights) (Tensor.create [ rows ] 0.5)

        let network = build [ 5 ] [ Step("a", dense 4 first); Step("b", dense 3 second) ]

        let product =
            Array.init 3 (fun i ->
                Array.init 5 (fun j -> Seq.sum (Seq.init 4 (fun k -> second[i * 4 + k] * first[k * 5 + j]))))

        let value norm =
            match FastLip.bound context norm Uniform network (Tensor.create [ 5 ] 1.0) (radius 3.0) with
            | Ok bound -> bound.Value
            | Error problem -> failwith problem

        let spectral = spectralNorm product
        let largestRow = product |> Array.map (Array.sumBy abs) |> Array.max
        // Rounding of nine terms, and the looseness of the spectral certificate.
        Assert.That(value Euclidean, Is.EqualTo(spectral).Within(1e-9 * spectral))
        Assert.That(value Maximum, Is.EqualTo(largestRow).Within(1e-13 * largestRow))

[<Test>]
let ``FastLip: with radius 0 of the maximum norm, the row sums of the Jacobian`` () =
    let weights = Tensor.ofArray [ 2; 2 ] [| 1.0; -2.0; 3.0; 1.0 |]

    let network =
        build
            [ 2 ]
            [
                Step("a", Layer.dense weights (Tensor.vector [| 0.5; 10.0 |]))
                Step("r", Relu)
                Step("b", Layer.dense weights (Tensor.vector [| 0.0; 0.0 |]))
            ]

    // At (−3, 0) the first neuron is off (−2.5), the second on (1): the Jacobian is the second column times (3, 1).
    match FastLip.bound context Maximum Uniform network (Tensor.vector [| -3.0; 0.0 |]) (radius 0.0) with
    | Ok bound -> Assert.That(bound.Value, Is.EqualTo(8.0).Within(1e-12))
    | Error problem -> failwith problem

[<Test>]
let ``FastLip: a network with too many inputs times neurons is declined`` () =
    let network =
        let convolution =
            LinearMap.Convolution(
                Convolution.create
                    (LipVerify.Compute.ConvolutionGeometry(
                        1,
                        64,
                        LipVerify.Compute.WindowAxis(64, 3, 1, 1, 1),
                        LipVerify.Compute.WindowAxis(64, 3, 1, 1, 1)
                    ))
                    (Tensor.create [ 64; 1; 3; 3 ] 1.0)
            )

        build [ 1; 64; 64 ] [ Step("conv", Layer.linear convolution) ]

    match FastLip.bound context Euclidean Nominal network (Tensor.create [ 1; 64; 64 ] 0.0) (radius 0.1) with
    | Ok _ -> Assert.Fail "accepted"
    | Error problem -> Assert.That(problem, Does.Contain "entries")
