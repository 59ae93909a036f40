/// Elementwise Jacobian bounds (METHODS section 10, FastLip) against sampled and traced slopes, in all norms.
module LipVerify.Propositions.FastLip

open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Core.Bounds.Jacobian
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.Oracles
open LipVerify.Propositions.NormedBalls
open Expecto
open LipVerify.Propositions.Expectations

let private bound norm definition (case: NetworkCase) =
    match FastLip.bound context norm definition case.Network case.Input case.Radius with
    | Ok bound ->
        Expect.equal bound.Rigor Certified "rigor"
        bound.Value
    | Error problem -> failwith problem

[<Tests>]
let tests =
    testList
        "FastLip"
        [
            statement "FastLip: the nominal bound covers samples, lines and their knots" 150 network (fun case ->
                let center = Tensor.values case.Input

                slopes case.Network center (candidates (Draw case.Seed) case.Network center case.Radius.Value)
                |> assertBounds "nominal" (bound Euclidean Nominal case))

            statement "FastLip: the uniform bound covers pairs and the pieces between them" 100 network (fun case ->
                let center = Tensor.values case.Input

                let points =
                    samples (Draw case.Seed) 6 center (Array.create center.Length 1.0) case.Radius.Value

                let bound = bound Euclidean Uniform case

                for x, y in Array.pairwise points do
                    slopes case.Network x [| y |] |> assertBounds "a pair" bound
                    pieceSlopes case.Network x y |> assertBounds "a piece" bound)

            testTheory
                "FastLip: in the maximum norm and the 1-norm, the bounds cover samples of the ball and pairs of them"
                [ "inf"; "1" ]
                (fun label ->
                    let norm = norms |> List.find (fun norm -> Norm.label norm = label)

                    check 150 network (fun case ->
                        let center = Tensor.values case.Input
                        let points = pointsIn norm (Draw case.Seed) 24 center case.Radius.Value

                        slopesIn norm case.Network center points
                        |> assertBounds "nominal" (bound norm Nominal case)

                        let uniform = bound norm Uniform case

                        for x, y in Array.pairwise points do
                            slopesIn norm case.Network x [| y |] |> assertBounds "a pair" uniform))

            testCase "FastLip: of an affine network, the norm of its matrix" (fun () ->
                for seed in 1..20 do
                    let draw = Draw seed
                    let first, second = draw.Gaussians 20, draw.Gaussians 12

                    let dense rows weights =
                        Layer.dense
                            (Tensor.ofArray [ rows; Array.length weights / rows ] weights)
                            (Tensor.create [ rows ] 0.5)

                    let network = build [ 5 ] [ Step("a", dense 4 first); Step("b", dense 3 second) ]

                    let product =
                        Array.init 3 (fun i ->
                            Array.init 5 (fun j ->
                                Seq.sum (Seq.init 4 (fun k -> second[i * 4 + k] * first[k * 5 + j]))))

                    let value norm =
                        match FastLip.bound context norm Uniform network (Tensor.create [ 5 ] 1.0) (radius 3.0) with
                        | Ok bound -> bound.Value
                        | Error problem -> failwith problem

                    for norm in norms do
                        let exact = operatorNorm norm product
                        // Rounding of nine terms, and the looseness of the spectral certificate.
                        let tolerance = if norm = Euclidean then 1e-9 else 1e-13
                        Expect.isWithin (tolerance * exact) (value norm) exact "value norm")

            testTheory
                "FastLip: with radius 0, the row sums or the column sums of the Jacobian"
                [ "inf", 8.0; "1", 9.0 ]
                (fun (label, expected: float) ->
                    let norm = norms |> List.find (fun norm -> Norm.label norm = label)

                    let weights = Tensor.ofArray [ 2; 2 ] [| 1.0; -2.0; 3.0; 1.0 |]

                    let network =
                        build
                            [ 2 ]
                            [
                                Step("a", Layer.dense weights (Tensor.vector [| 0.5; 10.0 |]))
                                Step("r", Layer.relu)
                                Step("b", Layer.dense weights (Tensor.vector [| 0.0; 0.0 |]))
                            ]

                    // At (−3, 0) the first neuron is off (−2.5), the second on (1): the Jacobian is the second column times (3, 1).
                    match FastLip.bound context norm Uniform network (Tensor.vector [| -3.0; 0.0 |]) (radius 0.0) with
                    | Ok bound -> Expect.isWithin (1e-12) bound.Value (expected) "value"
                    | Error problem -> failwith problem)

            testCase "FastLip: a network with too many inputs times neurons is declined" (fun () ->
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

                match
                    FastLip.bound context Euclidean Nominal network (Tensor.create [ 1; 64; 64 ] 0.0) (radius 0.1)
                with
                | Ok _ -> failtest "accepted"
                | Error problem -> Expect.stringContains problem "entries" "problem")
        ]
