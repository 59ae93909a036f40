module LipVerify.Tests.CoreRoundingTests

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Networks
open LipVerify.Propositions.Generators
open Expecto
open LipVerify.Propositions.Expectations

/// A double as an integer of units 2⁻¹⁰⁷⁴, exactly.
let internal units (x: float) =
    let bits = BitConverter.DoubleToInt64Bits x
    let exponent = int ((bits >>> 52) &&& 0x7FFL)
    let fraction = bits &&& 0xFFFFFFFFFFFFFL

    let magnitude =
        if exponent = 0 then
            bigint fraction
        else
            bigint (fraction ||| (1L <<< 52)) * bigint.Pow(2I, exponent - 1)

    if x < 0.0 then -magnitude else magnitude

let internal one = bigint.Pow(2I, 1074)

/// Positive numbers of every size, subnormal ones and neighbours of powers of two among them.
let private number (draw: Draw) =
    match draw.Int(0, 9) with
    | 0 -> 0.0
    | 1 -> Double.Epsilon * float (draw.Int(1, 5))
    | 2 -> Math.BitDecrement(Math.ScaleB(1.0, draw.Int(-500, 500)))
    | 3 -> draw.Power(-300.0, 300.0)
    | _ -> draw.Power(-3.0, 3.0)

let private pair seed =
    let draw = Draw seed
    number draw, number draw

/// At least the exact value, and not more than two steps above it.
let private assertUp (result: float) (notBelow: float -> bool) =
    if Double.IsFinite result then
        Expect.isTrue (notBelow result) "below the exact value"
        // One step for rounding up, half a step for rounding to nearest.
        Expect.isTrue
            (result = 0.0
             || not (notBelow (Math.BitDecrement(Math.BitDecrement result)))
             || Math.BitDecrement(Math.BitDecrement result) < 0.0)
            "too far above"

let private rigors =
    [ Certified; Probabilistic 1e-9; Probabilistic 0.25; Numerical; Estimate ]

[<Tests>]
let tests =
    testList
        "CoreRounding"
        [
            statement "addUp is never below the sum" 2000 pair (fun (a, b) ->
                for a, b in [ a, b; -a, b; a, -b ] do
                    let sum = Rounding.addUp a b
                    Expect.isTrue (units sum >= units a + units b) "units sum >= units a + units b"

                    Expect.isTrue
                        (units (Math.BitDecrement(Math.BitDecrement sum)) < units a + units b
                         || a = 0.0
                         || b = 0.0)
                        "")

            statement "mulUp is never below the product" 2000 pair (fun (a, b) ->
                assertUp (Rounding.mulUp a b) (fun p ->
                    p > 0.0 && units p * one >= units a * units b || units a * units b = 0I))

            statement "divUp is never below the quotient" 2000 pair (fun (a, b) ->
                if b > 0.0 then
                    assertUp (Rounding.divUp a b) (fun q -> units q * units b >= units a * one))

            statement "sqrtUp is never below the root" 2000 pair (fun (a, _) ->
                assertUp (Rounding.sqrtUp a) (fun r -> units r * units r >= units a * one))

            statement "scaleUp is never below the product with a power of two" 2000 pair (fun (a, _) ->
                for exponent in [ -1000; -60; 0; 60 ] do
                    let scaled = Rounding.scaleUp a exponent

                    let notBelow (x: float) =
                        if exponent < 0 then
                            units x * bigint.Pow(2I, -exponent) >= units a
                        else
                            units x >= units a * bigint.Pow(2I, exponent)

                    if Double.IsFinite scaled then
                        Expect.isTrue (notBelow scaled) "notBelow scaled"

                        Expect.isTrue
                            (scaled = 0.0 || not (notBelow (Math.BitDecrement scaled)))
                            "scaled = 0.0 || not (notBelow (Math.BitDecrement scaled))")

            testCase "gamma is never below k·u over 1 minus k·u" (fun () ->
                for k in [ 1; 2; 3; 5; 7; 100; 1001; 65537; 1_000_003; Int32.MaxValue ] do
                    let g = Rounding.gamma k
                    let rest = bigint.Pow(2I, 53) - bigint k
                    Expect.isTrue (units g * rest >= bigint k * one) $"γ_{k}"
                    Expect.isTrue (units (g * (1.0 - 1e-15)) * rest < bigint k * one) $"γ_{k} is loose")

            testCase
                "the combination of promises is commutative, associative up to rounding, and has Certified as its unit"
                (fun () ->
                    for a in rigors do
                        Expect.equal (Rigor.combine a Certified) a "Rigor.combine a Certified"

                        for b in rigors do
                            Expect.equal (Rigor.combine a b) (Rigor.combine b a) "Rigor.combine a b"

                            for c in rigors do
                                let left, right =
                                    Rigor.combine (Rigor.combine a b) c, Rigor.combine a (Rigor.combine b c)

                                Expect.equal (Rigor.label left) (Rigor.label right) "Rigor.label left"

                                Expect.isWithin
                                    (1e-15)
                                    (Rigor.failureProbability left)
                                    (Rigor.failureProbability right)
                                    "Rigor.failureProbability left")

            testCase "the combination of promises is the weakest of them" (fun () ->
                let rank rigor =
                    List.findIndex
                        (fun label -> label = Rigor.label rigor)
                        [ "certified"; "probabilistic"; "numerical"; "estimate" ]

                for a in rigors do
                    for b in rigors do
                        Expect.equal (rank (Rigor.combine a b)) (max (rank a) (rank b)) "rank (Rigor.combine a b)")

            testCase "failure probabilities add up, never rounded below" (fun () ->
                match Rigor.combine (Probabilistic 0.1) (Probabilistic 0.2) with
                | Probabilistic p ->
                    Expect.isTrue (units p >= units 0.1 + units 0.2) "units p >= units 0.1 + units 0.2"
                | other -> failtest (Rigor.label other))

            testCase "products and sums of bounds carry value and promise" (fun () ->
                let a, b =
                    {
                        Value = 3.0
                        Rigor = Probabilistic 1e-9
                    },
                    { Value = 5.0; Rigor = Numerical }

                Expect.isInRange (Bound.product a b).Value (15.0, 15.0 * (1.0 + 1e-15)) "value"
                Expect.isInRange (Bound.sum a b).Value (8.0, 8.0 * (1.0 + 1e-15)) "value"
                Expect.equal (Bound.product a b).Rigor Numerical "rigor"
                Expect.equal (Bound.sum a b).Rigor Numerical "rigor"
                Expect.equal (Bound.product a Bound.one) a "Bound.product a Bound.one"
                Expect.equal (Bound.sum a Bound.zero) a "Bound.sum a Bound.zero"
                Expect.equal (Bound.weaken Estimate a).Rigor Estimate "rigor")

            testCase "a radius is finite and not negative" (fun () ->
                for bad in [ nan; infinity; -infinity; -1.0 ] do
                    Expect.isTrue (Result.isError (Radius.create bad)) (string bad)

                for good in [ 0.0; Double.Epsilon; 1e300 ] do
                    Expect.isTrue (Result.isOk (Radius.create good)) (string good))

            testCase "normal draws repeat for one seed and stream, and differ for others" (fun () ->
                // Beyond one block of 65536, so that blocks drawn side by side take part.
                let draw seed stream = Gaussian.draw seed stream 150_001
                let first = draw 3 1
                Expect.isTrue (first = draw 3 1) "first = draw 3 1"
                Expect.isFalse (first = draw 4 1) "first = draw 4 1"
                Expect.isFalse (first = draw 3 2) "first = draw 3 2"
                Expect.isTrue (first[..999] = Gaussian.draw 3 1 1000) "first[..999] = Gaussian.draw 3 1 1000"

                Expect.isFalse
                    (first[..999] = first[65536 .. 65536 + 999])
                    "first[..999] = first[65536 .. 65536 + 999]"

                Expect.all first Double.IsFinite "draws are finite")

            testCase "normal draws have mean zero and variance one" (fun () ->
                let values = Gaussian.draw 5 0 200_000
                // Five standard deviations of the mean (1/√n) and of the variance (√(2/n)).
                Expect.isWithin (5.0 / sqrt 200_000.0) (Array.average values) (0.0) "Array.average values"

                Expect.isWithin
                    (5.0 * sqrt (2.0 / 200_000.0))
                    (values |> Array.averageBy (fun x -> x * x))
                    (1.0)
                    "values |> Array.averageBy (fun x -> x * x)")
        ]
