/// Proved in proofs-checks/coq/statements/Proposition2.v; here it is held against the program.
module LipVerify.Propositions.Proposition2

open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Bounds
open LipVerify.Core.Bounds.Analytic
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.Oracles
open Expecto
open LipVerify.Propositions.Expectations

[<Tests>]
let tests =
    testList
        "Proposition2"
        [
            statement "Proposition 2: outputs stay within the radius times the constant" 80 network (fun case ->
                let center = Tensor.values case.Input

                let bound =
                    (Analytic.bound context Nominal case.Network case.Input case.Radius).Bound

                let reach =
                    (Propositions.radiusTransfer (Bound.certified case.Radius.Value) bound).Value

                let points = candidates (Draw case.Seed) case.Network center case.Radius.Value
                let all = Array.append [| center |] points
                let values, errors = evaluateAll case.Network all, evaluationErrors case.Network all

                for k in 1 .. points.Length do
                    let moved = norm (Array.map2 (-) values[k] values[0])

                    if System.Double.IsFinite moved then
                        Expect.isLessThanOrEqual moved (reach * (1.0 + relative) + errors[k] + errors[0]) "moved")

            statement "Proposition 2: the transfer is attained by an isometry times a factor" 60 Draw (fun draw ->
                let factor, distance = draw.Power(-3.0, 3.0), draw.Power(-3.0, 3.0)

                let reach =
                    (Propositions.radiusTransfer (Bound.certified distance) (Bound.certified factor)).Value

                Expect.isGreaterThanOrEqual reach (factor * distance) "reach"
                // One rounding and one step upward.
                Expect.isLessThanOrEqual reach (factor * distance * (1.0 + 4.0 * Rounding.unitRoundoff)) "reach")

            statement
                "Proposition 2: each layer hands on the radius it was given times its constant"
                60
                network
                (fun case ->
                    let report = Analytic.bound context Nominal case.Network case.Input case.Radius

                    for line in report.Layers do
                        match line.RadiusIn, line.RadiusOut with
                        | Some before, Some after ->
                            Expect.isGreaterThanOrEqual after (before * line.Lipschitz.Value) "after"
                        | _ -> failtest "a local bound without radii")
        ]
