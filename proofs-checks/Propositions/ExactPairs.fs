/// Enumeration of the nominal constant (METHODS section 11): against other oracles, and as the oracle of bounds.
module LipVerify.Propositions.ExactPairs

open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.LowerBounds
open LipVerify.Core.Bounds.Analytic
open LipVerify.Core.Bounds.Jacobian
open LipVerify.Core.Bounds.Multipliers
open LipVerify.Core.Bounds.Exact.Euclidean
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.Oracles
open LipVerify.Propositions.Exact
open Expecto
open LipVerify.Propositions.Expectations

let private nominal (case: NetworkCase) =
    match ExactPairs.local context case.Network case.Input case.Radius with
    | Ok bracket -> bracket
    | Error problem -> failwith problem

/// Checks cases with their constant, but for the few whose pieces all meet in one kink and have too many faces to visit.
let private checkFew count inputs (property: NetworkCase -> ExactBracket -> unit) =
    let mutable declined = 0

    check count (smallOver inputs) (fun case ->
        match ExactPairs.local context case.Network case.Input case.Radius with
        | Ok bracket -> property case bracket
        | Error problem ->
            Expect.stringContains problem "faces" "problem"
            declined <- declined + 1)

    Expect.isLessThan declined (count / 10) "declined"

[<Tests>]
let tests =
    testList
        "ExactPairs"
        [
            testCase
                "Exact pairs: the lower end is the slope to the point that comes with it, inside the ball"
                (fun () ->
                    checkFew 120 [ 1; 2; 3 ] (fun case bracket ->
                        match bracket.Attained with
                        | None -> Expect.equal bracket.Lower 0.0 "lower"
                        | Some x ->
                            Expect.equal
                                (LowerBound.between context Euclidean case.Network x case.Input).Value
                                bracket.Lower
                                "value"

                            let distance = norm (Array.map2 (-) (Tensor.values x) (Tensor.values case.Input))
                            Expect.isLessThanOrEqual distance (case.Radius.Value * (1.0 + 1e-9) + 1e-14) "distance"))

            testCase "Exact pairs: the upper end covers samples and what is ascended" (fun () ->
                checkFew 100 [ 1; 2; 3 ] (fun case bracket ->
                    let center = Tensor.values case.Input

                    let points =
                        samples (Draw case.Seed) 60 center (Array.create center.Length 1.0) case.Radius.Value

                    slopes case.Network center points
                    |> assertBounds "a sample" (bracket.Upper + noise case)

                    let reached =
                        LowerBounds.best
                            { context with Seed = case.Seed }
                            Euclidean
                            Nominal
                            case.Network
                            (RestrictedBall.whole case.Input case.Radius)
                            { Starts = 8; Rounds = 2; Steps = 10 }

                    assertCovers "an ascent" bracket.Upper reached.Value case))

            statement
                "Exact pairs: on one input, the steepest slope is to a kink or an end of the interval"
                120
                (smallOver [ 1 ])
                (fun case ->
                    let center, distance = (Tensor.values case.Input)[0], case.Radius.Value

                    let steepest =
                        knotPoints case.Network [| center - distance |] [| center + distance |]
                        |> Array.map (fun x ->
                            (LowerBound.between context Euclidean case.Network (Tensor.vector x) case.Input).Value)
                        |> Array.max

                    assertCovers "the upper end" (nominal case).Upper steepest case
                    assertCovers "the lower end" ((nominal case).Lower * (1.0 + 1e-6)) steepest case)

            testCase "Exact pairs: in general position the ends agree, below the uniform constant" (fun () ->
                for seed in 1..30 do
                    let draw = Draw seed

                    let widths =
                        draw.Pick [ [ 3; 10; 2 ]; [ 2; 8; 6; 3 ]; [ 2; 5; 5; 4; 1 ]; [ 4; 6; 4; 2 ] ]

                    let struct (network, input) = generalChain draw widths

                    for distance in [ 0.01; 0.3; 3.0 ] do
                        match
                            ExactPairs.local context network input (radius distance),
                            ExactPatterns.local context network input (radius distance)
                        with
                        | Ok nominal, Ok uniform ->
                            Expect.isLessThan nominal.Gap 1e-6 $"seed {seed}, radius {distance}"
                            Expect.isLessThanOrEqual nominal.Lower (uniform.Upper * (1.0 + 1e-9)) "lower"
                        | Error problem, _
                        | _, Error problem -> failwith problem)

            testCase "Exact pairs: no nominal bound is below the exact nominal constant" (fun () ->
                checkFew 150 [ 1; 2; 3 ] (fun case bracket ->
                    let lower = bracket.Lower

                    let covers what (bound: Bound) =
                        Expect.isGreaterThanOrEqual bound.Value lower $"{what} at {case.Text}"

                    covers
                        "local LipSDP"
                        (LocalLipSdp.bound context Nominal case.Network case.Input case.Radius None).Result.Bound

                    covers "Algorithm 1" (Analytic.bound context Nominal case.Network case.Input case.Radius).Bound

                    match FastLip.bound context Euclidean Nominal case.Network case.Input case.Radius with
                    | Ok bound -> covers "FastLip" bound
                    | Error _ -> ()))

            testCase "Exact pairs: beside a kink, the steepest slope goes to the sphere or to the kink" (fun () ->
                let dense rows columns weights bias =
                    Layer.dense (Tensor.ofArray [ rows; columns ] weights) (Tensor.vector bias)

                // x ↦ relu(x − 1) around 0: steepest to the end of the ball. x ↦ relu(x) around −1 to the end, x ↦ −relu(−x) to the near side.
                let hinge sign offset =
                    build
                        [ 1 ]
                        [
                            Step("a", dense 1 1 [| sign |] [| offset |])
                            Step("relu", Layer.relu)
                            Step("b", dense 1 1 [| sign |] [| 0.0 |])
                        ]

                let exact network x distance =
                    match ExactPairs.local context network (Tensor.vector [| x |]) (radius distance) with
                    | Ok bracket -> bracket
                    | Error problem -> failwith problem

                Expect.isWithin 1e-9 (exact (hinge 1.0 -1.0) 0.0 4.0).Lower (0.75) "lower"
                Expect.isWithin 1e-9 (exact (hinge 1.0 0.0) -1.0 4.0).Lower (0.75) "lower"
                Expect.isWithin 1e-9 (exact (hinge -1.0 0.0) -1.0 4.0).Lower (1.0) "lower")
        ]
