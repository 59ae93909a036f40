/// Proved in proofs-checks/coq/statements/Theorem1.v; here it is held against the program.
module LipVerify.Propositions.Theorem1

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Networks
open LipVerify.Core.Bounds
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.Oracles
open Expecto
open LipVerify.Propositions.Expectations

/// A nominal value and a reach: of any sign and size, with 0 and exact cancellation.
let private scalar seed =
    let draw = Draw seed
    let scale = draw.Pick [ 1.0; 1.0; draw.Power(-150.0, 150.0) ]

    let nominal =
        draw.Pick [ 0.0; scale * draw.Gaussian(); scale * draw.Gaussian(); -scale ]

    let reach =
        draw.Pick
            [
                0.0
                abs nominal
                scale * draw.Real(0.0, 3.0)
                scale * 1e6
                scale * draw.Real(0.0, 3.0)
            ]

    nominal, reach

let private relu = max 0.0

[<Tests>]
let tests =
    testList
        "Theorem1"
        [
            statement "Theorem 1: no step up to the reach has a larger slope" 500 scalar (fun (nominal, reach) ->
                let slope = Propositions.reluSlope Nominal nominal reach

                for k in -40 .. 40 do
                    let y = nominal + float k / 40.0 * reach

                    if y <> nominal && y - nominal <= reach then
                        // The formula rounds upward, the quotient has three roundings.
                        let attained = (relu y - relu nominal) / (y - nominal)
                        let rounding = 4.0 * Rounding.unitRoundoff * (1.0 + abs nominal / abs (y - nominal))
                        Expect.isGreaterThanOrEqual slope (attained - rounding) $"at {y:R}")

            statement
                "Theorem 1: the nominal slope is attained at the end of the reach"
                500
                scalar
                (fun (nominal, reach) ->
                    let slope = Propositions.reluSlope Nominal nominal reach
                    let upper = nominal + reach

                    if upper > nominal then
                        let attained = (relu upper - relu nominal) / (upper - nominal)
                        let rounding = 8.0 * Rounding.unitRoundoff * (1.0 + abs nominal / reach)
                        Expect.isLessThanOrEqual slope (attained + rounding) "slope")

            testCase "Theorem 1: a step of length zero has slope zero, whatever the sign" (fun () ->
                for nominal in [ -1.0; -0.0; 0.0; 1.0; 1e150 ] do
                    Expect.equal
                        (Propositions.reluSlope Nominal nominal 0.0)
                        0
                        "Propositions.reluSlope Nominal nominal 0.0")

            statement
                "Theorem 1: the uniform slope is one where the reach leads above zero, and zero elsewhere"
                500
                scalar
                (fun (nominal, reach) ->
                    let slope = Propositions.reluSlope Uniform nominal reach

                    if nominal + reach > 0.0 then
                        Expect.equal slope 1.0 "slope"
                    elif nominal < -reach * (1.0 + 1e-15) || (nominal = 0.0 && reach = 0.0) then
                        Expect.equal slope 0 "slope")

            statement
                "Theorem 1: the uniform slope is never below the nominal one, and both lie in [0, 1]"
                500
                scalar
                (fun (nominal, reach) ->
                    let slope definition =
                        Propositions.reluSlope definition nominal reach

                    Expect.isInRange (slope Nominal) (0.0, 1.0) "slope Nominal"
                    Expect.isGreaterThanOrEqual (slope Uniform) (slope Nominal) "slope Uniform")

            statement
                "Theorem 1: the slope grows with the reach and with the nominal value"
                500
                scalar
                (fun (nominal, reach) ->
                    let slope = Propositions.reluSlope Nominal

                    let rounding =
                        8.0 * Rounding.unitRoundoff * (1.0 + abs nominal / (reach + Double.Epsilon))

                    Expect.isGreaterThanOrEqual
                        (slope nominal (1.5 * reach))
                        (slope nominal reach - rounding)
                        "slope nominal (1.5 * reach)"

                    Expect.isGreaterThanOrEqual
                        (slope (nominal + 0.1 * abs nominal) reach)
                        (slope nominal reach - rounding)
                        "slope (nominal + 0.1 * abs nominal) reach")

            testCase "Theorem 1: values that left the range of doubles count as active" (fun () ->
                // An overflow must not turn a neuron off: inf − inf is NaN, and so is the quotient of two infinities.
                for definition in [ Nominal; Uniform ] do
                    for nominal, reach in [ nan, 1.0; -infinity, infinity; -1.0, infinity; nan, infinity ] do
                        Expect.equal
                            (Propositions.reluSlope definition nominal reach)
                            1.0
                            $"{definition} {nominal} {reach}")

            statement
                "Theorem 1: the formula is the exact constant of one neuron on a line"
                100
                scalar
                (fun (nominal, reach) ->
                    if abs nominal < 1e100 && reach > 0.0 && reach < 1e100 then
                        let neuron = build [ 1 ] [ Step("relu", Layer.relu) ]

                        let exact =
                            slopes neuron [| nominal |] (knotPoints neuron [| nominal - reach |] [| nominal + reach |])

                        let largest = exact |> Array.maxBy _.Value
                        let bound = Propositions.reluSlope Nominal nominal reach
                        Expect.isWithin (1e-12 + largest.Noise) bound (largest.Value) "bound")
        ]
