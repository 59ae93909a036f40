module LipVerify.Tests.CoreRoundingTests

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Networks
open LipVerify.Propositions.Generators
open NUnit.Framework

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
        Assert.That(notBelow result, Is.True, "below the exact value")
        // One step for rounding up, half a step for rounding to nearest.
        Assert.That(
            result = 0.0
            || not (notBelow (Math.BitDecrement(Math.BitDecrement result)))
            || Math.BitDecrement(Math.BitDecrement result) < 0.0,
            Is.True,
            "too far above"
        )

[<Test>]
let ``addUp is never below the sum`` () =
    check 2000 pair (fun (a, b) ->
        for a, b in [ a, b; -a, b; a, -b ] do
            let sum = Rounding.addUp a b
            Assert.That(units sum >= units a + units b, Is.True)

            Assert.That(
                units (Math.BitDecrement(Math.BitDecrement sum)) < units a + units b
                || a = 0.0
                || b = 0.0,
                Is.True
            ))

[<Test>]
let ``mulUp is never below the product`` () =
    check 2000 pair (fun (a, b) ->
        assertUp (Rounding.mulUp a b) (fun p ->
            p > 0.0 && units p * one >= units a * units b || units a * units b = 0I))

[<Test>]
let ``divUp is never below the quotient`` () =
    check 2000 pair (fun (a, b) ->
        if b > 0.0 then
            assertUp (Rounding.divUp a b) (fun q -> units q * units b >= units a * one))

[<Test>]
let ``sqrtUp is never below the root`` () =
    check 2000 pair (fun (a, _) -> assertUp (Rounding.sqrtUp a) (fun r -> units r * units r >= units a * one))

[<Test>]
let ``scaleUp is never below the product with a power of two`` () =
    check 2000 pair (fun (a, _) ->
        for exponent in [ -1000; -60; 0; 60 ] do
            let scaled = Rounding.scaleUp a exponent

            let notBelow (x: float) =
                if exponent < 0 then
                    units x * bigint.Pow(2I, -exponent) >= units a
                else
                    units x >= units a * bigint.Pow(2I, exponent)

            if Double.IsFinite scaled then
                Assert.That(notBelow scaled, Is.True)
                Assert.That(scaled = 0.0 || not (notBelow (Math.BitDecrement scaled)), Is.True))

[<Test>]
let ``gamma is never below k·u over 1 minus k·u`` () =
    for k in [ 1; 2; 3; 5; 7; 100; 1001; 65537; 1_000_003; Int32.MaxValue ] do
        let g = Rounding.gamma k
        let rest = bigint.Pow(2I, 53) - bigint k
        Assert.That(units g * rest >= bigint k * one, Is.True, $"γ_{k}")
        Assert.That(units (g * (1.0 - 1e-15)) * rest < bigint k * one, Is.True, $"γ_{k} is loose")

let private rigors =
    [ Certified; Probabilistic 1e-9; Probabilistic 0.25; Numerical; Estimate ]

[<Test>]
let ``the combination of promises is commutative, associative up to rounding, and has Certified as its unit`` () =
    for a in rigors do
        Assert.That(Rigor.combine a Certified, Is.EqualTo a)

        for b in rigors do
            Assert.That(Rigor.combine a b, Is.EqualTo(Rigor.combine b a))

            for c in rigors do
                let left, right =
                    Rigor.combine (Rigor.combine a b) c, Rigor.combine a (Rigor.combine b c)

                Assert.That(Rigor.label left, Is.EqualTo(Rigor.label right))

                Assert.That(Rigor.failureProbability left, Is.EqualTo(Rigor.failureProbability right).Within(1e-15))

[<Test>]
let ``the combination of promises is the weakest of them`` () =
    let rank rigor =
        List.findIndex
            (fun label -> label = Rigor.label rigor)
            [ "certified"; "probabilistic"; "numerical"; "estimate" ]

    for a in rigors do
        for b in rigors do
            Assert.That(rank (Rigor.combine a b), Is.EqualTo(max (rank a) (rank b)))

[<Test>]
let ``failure probabilities add up, never rounded below`` () =
    match Rigor.combine (Probabilistic 0.1) (Probabilistic 0.2) with
    | Probabilistic p -> Assert.That(units p >= units 0.1 + units 0.2, Is.True)
    | other -> Assert.Fail(Rigor.label other)

[<Test>]
let ``products and sums of bounds carry value and promise`` () =
    let a, b =
        {
            Value = 3.0
            Rigor = Probabilistic 1e-9
        },
        { Value = 5.0; Rigor = Numerical }

    Assert.That((Bound.product a b).Value, Is.InRange(15.0, 15.0 * (1.0 + 1e-15)))
    Assert.That((Bound.sum a b).Value, Is.InRange(8.0, 8.0 * (1.0 + 1e-15)))
    Assert.That((Bound.product a b).Rigor, Is.EqualTo Numerical)
    Assert.That((Bound.sum a b).Rigor, Is.EqualTo Numerical)
    Assert.That(Bound.product a Bound.one, Is.EqualTo a)
    Assert.That(Bound.sum a Bound.zero, Is.EqualTo a)
    Assert.That((Bound.weaken Estimate a).Rigor, Is.EqualTo Estimate)

[<Test>]
let ``a radius is finite and not negative`` () =
    for bad in [ nan; infinity; -infinity; -1.0 ] do
        Assert.That(Result.isError (Radius.create bad), Is.True, string bad)

    for good in [ 0.0; Double.Epsilon; 1e300 ] do
        Assert.That(Result.isOk (Radius.create good), Is.True, string good)

[<Test>]
let ``normal draws repeat for one seed and stream, and differ for others`` () =
    // Beyond one block of 65536, so that blocks drawn side by side take part.
    let draw seed stream = Gaussian.draw seed stream 150_001
    let first = draw 3 1
    Assert.That((first = draw 3 1), Is.True)
    Assert.That((first = draw 4 1), Is.False)
    Assert.That((first = draw 3 2), Is.False)
    Assert.That((first[..999] = Gaussian.draw 3 1 1000), Is.True)
    Assert.That((first[..999] = first[65536 .. 65536 + 999]), Is.False)
    Assert.That(first, Is.All.Matches(fun (x: float) -> Double.IsFinite x))

[<Test>]
let ``normal draws have mean zero and variance one`` () =
    let values = Gaussian.draw 5 0 200_000
    // Five standard deviations of the mean (1/√n) and of the variance (√(2/n)).
    Assert.That(Array.average values, Is.EqualTo(0.0).Within(5.0 / sqrt 200_000.0))
    Assert.That(values |> Array.averageBy (fun x -> x * x), Is.EqualTo(1.0).Within(5.0 * sqrt (2.0 / 200_000.0)))
