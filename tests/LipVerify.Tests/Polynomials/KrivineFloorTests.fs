/// The lower bound on LipOpt-3 that dense networks are compared with.
module LipVerify.Tests.KrivineFloorTests

open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Bounds.Polynomials
open LipVerify.Propositions.Generators
open LipVerify.Solvers
open LipVerify.Tests.PolynomialCases

let private problemOf case region =
    DenseChain.ofNetwork context case.Network
    |> Result.bind (fun chain -> GradientProblem.create Maximum chain case.Output region)
    |> Result.defaultWith failwith

let private floorOf case region =
    KrivineFloor.lipOpt3 context case.Network case.Output region
    |> Result.defaultWith failwith

/// What the solver leaves between its value and the optimum, which is what the floor bounds.
let private solverGap = 1e-6

/// Whether these are moments of a distribution of three of `±1`: eight weights that are not negative. That of all three is free.
let private isDistribution (singles: float list) (pairs: float list) =
    let weight triple (a, b, c) =
        let first = List.map2 (*) singles [ a; b; c ] |> List.sum
        let second = List.map2 (*) pairs [ a * b; a * c; b * c ] |> List.sum
        1.0 + first + second + triple * a * b * c

    let signs = [ -1.0; 1.0 ]
    let points = List.allPairs signs (List.allPairs signs signs)

    [ -1.0; -0.5; 0.0; 0.5; 1.0 ]
    |> List.exists (fun triple -> points |> List.forall (fun (a, (b, c)) -> weight triple (a, b, c) >= 0.0))

let private halves = [ -0.5; 0.5 ]

[<Tests>]
let tests =
    testList
        "KrivineFloor"
        [
            testCase "LipOpt-3 is never below its floor" (fun () ->
                requireSolvers ()

                check 60 (oneHidden 7) (fun case ->
                    let draw = Draw case.Seed

                    for region in [ Everywhere; ball case (draw.Power(-2.0, 1.0)) ] do
                        assertAtMost
                            solverGap
                            "floor ≤ LipOpt-3"
                            (floorOf case region)
                            (bound (LipOpt 3) Maximum case region)))

            testCase
                "products of the terms' own variables bound the maximum too, and by no less than the floor"
                (fun () ->
                    requireSolvers ()

                    check 40 (oneHidden 6) (fun case ->
                        let problem = problemOf case Everywhere

                        if MultilinearPolynomial.degree problem.Objective > 0 then
                            match
                                Krivine.maximise
                                    context
                                    InstalledSolvers.all.Linear
                                    3
                                    (MomentRelaxation.neighbourhoods problem)
                                    problem
                            with
                            | Ok maximum ->
                                let value = GradientProblem.lipschitz Maximum problem.Exponent maximum
                                assertAtMost rounding "exact ≤ LipOpt-3" (enumerate Maximum case) value
                                assertAtMost solverGap "floor ≤ LipOpt-3" (floorOf case Everywhere) value
                            | Error problem -> failtest problem))

            testCase "a wide network whose units read one input each has an exact LipOpt-3" (fun () ->
                requireSolvers ()
                let draw = Draw 2
                let size = 60
                let values = draw.Gaussians size

                let weights =
                    Array.init (size * size) (fun k -> if k / size = k % size then values[k / size] else 0.0)

                let network =
                    Series
                        [
                            Step(
                                "hidden",
                                Layer.dense
                                    (Tensor.ofArray [ size; size ] weights)
                                    (Tensor.vector (draw.Gaussians size))
                            )
                            Step("relu", Layer.relu)
                            Step(
                                "output",
                                Layer.dense
                                    (Tensor.ofArray [ 1; size ] (Array.create size 1.0))
                                    (Tensor.vector [| 0.0 |])
                            )
                        ]
                    |> Network.create [ size ]
                    |> Result.defaultWith failwith

                match PolynomialBound.compute context InstalledSolvers.all (LipOpt 3) Maximum network 0 Everywhere with
                | Ok bound ->
                    let exact = Array.sumBy abs values
                    assertAtMost rounding "exact ≤ LipOpt-3" exact bound.Value
                    assertAtMost solverGap "LipOpt-3 ≤ exact" bound.Value exact
                | Error problem -> failtest problem)

            testCase "halves of signs are moments of a distribution of any three of the variables" (fun () ->
                for a, b in List.allPairs halves halves do
                    for c, d in List.allPairs halves halves do
                        Expect.isTrue (isDistribution [ a; 0.0; 0.0 ] [ b; c; 0.0 ]) "t, σ, σ′"
                        Expect.isTrue (isDistribution [ a; b; 0.0 ] [ 0.0; c; d ]) "t, t′, σ"
                        Expect.isTrue (isDistribution [ a; b; c ] [ 0.0; 0.0; 0.0 ]) "t, t′, t″"

                Expect.isFalse (isDistribution [ 0.0; 0.0; 0.0 ] [ -0.5; -0.5; -0.5 ]) "a triangle of halves")

            testCase
                "for a dense network of random signs LipOpt-3 is above the maximum over all patterns, and HR-2 below LipOpt-3"
                (fun () ->
                    requireSolvers ()
                    let draw = Draw 5
                    let size = 14

                    let signs count =
                        Array.init count (fun _ -> if draw.Chance 0.5 then 1.0 else -1.0)

                    let layers = [ size, signs (size * size), signs size; 1, signs size, [| 0.0 |] ]

                    let layer (rows, weights: float[], bias: float[]) =
                        Layer.dense (Tensor.ofArray [ rows; weights.Length / rows ] weights) (Tensor.vector bias)

                    let network =
                        Series
                            [
                                Step("hidden", layer layers[0])
                                Step("relu", Layer.relu)
                                Step("output", layer layers[1])
                            ]
                        |> Network.create [ size ]
                        |> Result.defaultWith failwith

                    let case =
                        {
                            Seed = 5
                            Layers = layers
                            Inputs = size
                            Network = network
                            Output = 0
                            Input = Array.zeroCreate size
                        }

                    let floor = floorOf case Everywhere
                    Expect.isGreaterThan floor (1.1 * enumerate Maximum case) "floor"
                    Expect.isLessThan (bound Hr2 Maximum case Everywhere) floor "bound Hr2 Maximum case Everywhere")

            testCase "two unknown layers have no floor" (fun () ->
                let case =
                    Seq.initInfinite twoHidden
                    |> Seq.find (fun case -> MultilinearPolynomial.degree (problemOf case Everywhere).Objective > 2)

                match KrivineFloor.lipOpt3 context case.Network case.Output Everywhere with
                | Ok floor -> failtest $"{floor}"
                | Error problem -> Expect.stringContains problem "one hidden layer" "problem")
        ]
