/// Factors that no double is equal to: what is stored is never below them in size, and near them; every bound on them holds.
module LipVerify.Tests.QuotientTests

open System
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Core.LowerBounds
open LipVerify.Core.Enclosures
open LipVerify.Core.Bounds.Analytic
open LipVerify.Core.Bounds.Jacobian
open LipVerify.Core.Bounds.Multipliers
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks

let private exact = Dyadic.ofFloat
let private one = exact 1.0

/// `|s|(1 − γ_k)` from below.
let private lowerEnd (size: float) roundings =
    Dyadic.multiply (exact size) (Dyadic.subtract one (exact (Rounding.gamma roundings)))

/// The factors of a diagonal map, and how many roundings they may be off by.
let private stored map =
    match map with
    | Rounded(roundings, Diagonal scale) -> Tensor.values scale, roundings
    | Diagonal scale -> Tensor.values scale, 0
    | _ -> failwith "the map is no diagonal one"

let private sized (draw: Draw) =
    draw.Gaussian() * draw.Power(-150.0, 150.0)

/// `x ↦ relu(x / 3)` in one coordinate.
let private third =
    build
        [ 1 ]
        [
            Step("div", Layer.linear (Quotients.reciprocals [ 1 ] [| 3.0 |]))
            Step("relu", Layer.relu)
        ]

let private isAtLeastThird (value: float) =
    Dyadic.isAtMost (Dyadic.multiply (exact 3.0) (exact value)) one

[<Tests>]
let tests =
    testList
        "Quotient"
        [
            statement "reciprocals are rounded away from 0, by no more than the map says" 1000 Draw (fun draw ->
                let divisor =
                    draw.Pick [ sized draw; float (draw.Int(1, 12)); -Math.ScaleB(1.0, draw.Int(-800, 800)) ]

                let factors, roundings = stored (Quotients.reciprocals [ 1 ] [| divisor |])
                let d = exact (abs divisor)
                Expect.equal (sign factors[0]) (sign divisor) "sign factors[0]"

                if roundings = 0 then
                    Expect.equal (Dyadic.sign (Dyadic.subtract (Dyadic.multiply (exact (abs factors[0])) d) one)) 0 ""
                else
                    let product = Dyadic.multiply (exact (abs factors[0])) d
                    Expect.isGreaterThan (Dyadic.sign (Dyadic.subtract product one)) 0 $"{divisor:R}"

                    Expect.isTrue
                        (Dyadic.isAtMost one (Dyadic.multiply (lowerEnd (abs factors[0]) roundings) d))
                        $"{divisor:R}")

            statement
                "factors of batch normalisation are rounded away from 0, by no more than the map says"
                1000
                Draw
                (fun draw ->
                    let gain = draw.Pick [ sized draw; float (draw.Int(-4, 4)); draw.Gaussian() ]

                    let variance = draw.Pick [ 0.0; abs (sized draw); 0.75; draw.Real(0.0, 2.0) ]

                    let epsilon = draw.Pick [ 1e-5; 0.25; float 1e-5f ]

                    let factors, roundings =
                        stored (Quotients.perDeviation [ 1 ] [| gain |] [| variance |] epsilon)

                    // |s| ≥ |g|/√(v + e) where s²(v + e) ≥ g².
                    let sum = Dyadic.add (exact variance) (exact epsilon)
                    let square x = Dyadic.multiply x x
                    let squaredGain = square (exact gain)
                    let above = Dyadic.multiply (square (exact factors[0])) sum
                    let below = Dyadic.multiply (square (lowerEnd (abs factors[0]) roundings)) sum
                    Expect.isTrue (Dyadic.isAtMost above squaredGain) $"{gain:R} {variance:R} {epsilon:R}"
                    Expect.isTrue (Dyadic.isAtMost squaredGain below) $"{gain:R} {variance:R} {epsilon:R}")

            testCase "quotients that are doubles stay what they are" (fun () ->
                let isExact map =
                    match map with
                    | Diagonal _ -> true
                    | _ -> false

                Expect.isTrue
                    (isExact (Quotients.reciprocals [ 3 ] [| 2.0; -0.25; 1.0 |]))
                    "isExact (Quotients.reciprocals [ 3 ] [| 2.0; -0.25; 1.0 |])"

                Expect.isTrue (isExact (Quotients.perDeviation [ 2 ] [| 3.0; 0.0 |] [| 0.75; 3.75 |] 0.25)) "")

            testTheory "divisors at the ends of the range are refused" [ 1e-300; 1e300 ] (fun (divisor: float) ->
                try
                    Quotients.reciprocals [ 1 ] [| divisor |] |> ignore
                    failtest "it was taken"
                with :? ArgumentException as refusal ->
                    Expect.stringContains refusal.Message "range" "message")

            testCase "every certified bound on x/3 is at least 1/3, and every lower bound at most that" (fun () ->
                let input, radius = Tensor.vector [| 2.0 |], radius 1.0
                let whole = RestrictedBall.whole input radius

                let bounds =
                    [
                        "global", (Global.bound context third).Bound
                        "analytic", (Analytic.bound context Nominal third input radius).Bound
                        for kind in [ Interval; Crown ] do
                            $"analytic, {kind}", (Analytic.boundWith context kind Uniform third input radius).Bound
                        "lipsdp", (LipSdp.bound context PerNeuron third None).Result.Bound
                        "local-lipsdp", (LocalLipSdp.bound context Nominal third input radius None).Result.Bound
                        for norm in Norm.all do
                            match FastLip.bound context norm Nominal third input radius with
                            | Ok bound -> $"fastlip, {norm}", bound
                            | Error problem -> failwith problem

                            match RecurJac.bound context norm Nominal third input radius None with
                            | Ok result -> $"recurjac, {norm}", result.Bound
                            | Error problem -> failwith problem
                    ]

                for name, bound in bounds do
                    Expect.equal bound.Rigor Certified name
                    Expect.isTrue (isAtLeastThird bound.Value) $"{name}: {bound.Value:R}"
                    Expect.isLessThan bound.Value (0.34) name

                for norm in Norm.all do
                    let lower = LowerBounds.sampling context norm Nominal third whole 20
                    Expect.equal lower.Rigor Certified "rigor"

                    Expect.isTrue
                        (Dyadic.isAtMost one (Dyadic.multiply (exact 3.0) (exact lower.Value)))
                        $"{norm}: {lower.Value:R}")

            statement "the enclosure of x/d holds the quotient" 500 Draw (fun draw ->
                let divisor = sized draw
                let x = draw.Gaussian()

                let network =
                    build [ 1 ] [ Step("div", Layer.linear (Quotients.reciprocals [ 1 ] [| divisor |])) ]

                let output = EnclosedTensor.evaluate context network (Tensor.vector [| x |])
                let value, error = (Tensor.values output.Value)[0], (Tensor.values output.Error)[0]

                // |value − x/d| ≤ error where |value·d − x| ≤ error·|d|.
                let distance =
                    Dyadic.subtract (Dyadic.multiply (exact value) (exact divisor)) (exact x)

                let distance =
                    if Dyadic.sign distance < 0 then
                        Dyadic.negate distance
                    else
                        distance

                Expect.isTrue (Dyadic.isAtMost (Dyadic.multiply (exact error) (exact (abs divisor))) distance) "")
        ]
