/// Enclosures of elementary functions by additions, multiplications and divisions alone: libraries promise no errors, and bounds rest
/// on these. The relative errors claimed are derived beside the formulas; tests hold them against many digits.
module LipVerify.Core.Numbers.Elementary

open System

/// A bound on the relative errors below, 2⁻⁴⁹.
let private relative = Math.ScaleB(1.0, -49)

/// `1 + r/1·(1 + r/2·(1 + … ))` from the given term on, up to `r^terms`. For `|r| ≤ 0.35` each step takes three roundings, and what they
/// err by shrinks by `|r|/k` on the way out: less than 7 u in all, beside a remainder below 5·10⁻¹⁸ for 13 terms.
let private nested (r: float) first terms =
    let mutable sum = 1.0

    for k in terms .. -1 .. first do
        sum <- 1.0 + r / float k * sum

    sum

/// Both ends of `ln 2`: the first has 33 bits, so that its products with exponents are exact.
let private ln2High, private ln2Low =
    Math.ScaleB(5954088943.0, -33), 7.440617110012397e-11

/// `e^x`. For `x = k ln 2 + r` with `|r| ≤ 0.35`, `r` is computed to within 10⁻¹⁶ and its series to within 7 u.
let exp (x: float) : Interval =
    if Double.IsNaN x then
        Interval.ofEnds 0.0 Double.PositiveInfinity
    elif x > 709.0 then
        Interval.ofEnds (if x = Double.PositiveInfinity then x else 8e307) Double.PositiveInfinity
    elif x < -700.0 then
        Interval.ofEnds 0.0 (if x = Double.NegativeInfinity then 0.0 else 1e-304)
    else
        let k = Math.Round(x / Math.Log 2.0)
        let r = (x - k * ln2High) - k * ln2Low
        Interval.around relative (Math.ScaleB(nested r 1 13, int k))

/// `e^x − 1`, with a relative error near 0 too.
let expMinusOne (x: float) : Interval =
    if x = 0.0 then
        Interval.point 0.0
    elif abs x <= 0.35 then
        Interval.around relative (x * nested x 2 14)
    else
        Interval.subtract (exp x) (Interval.point 1.0)

/// `ln(1 + u)` for `0 ≤ u ≤ 1.1`: `2 artanh z` for `z = u/(2 + u) ≤ 0.36`, whose terms are positive and fall by a seventh at least.
let logOnePlus (u: float) : Interval =
    if u = 0.0 then
        Interval.point 0.0
    else
        let z = u / (2.0 + u)
        let square = z * z
        let mutable sum = 0.0

        for k in 20..-1..0 do
            sum <- 1.0 / float (2 * k + 1) + square * sum

        Interval.around relative (2.0 * z * sum)

/// The functions of an interval that grow with their argument.
let ofGrowing (f: float -> Interval) (x: Interval) : Interval =
    Interval.ofEnds (f x.Low).Low (f x.High).High

/// `1/√π`.
let private inverseRootPi = Interval.around relative 0.56418958354775628695

/// `e^(−y²)` for `y ≥ 0`.
let private gaussian (y: float) =
    let square = Interval.multiply (Interval.point y) (Interval.point y)
    ofGrowing exp (Interval.negate square)

/// `erf y` for `0 ≤ y ≤ 2.5`: `2/√π · e^(−y²) · Σ 2ⁿ y^(2n+1) / (2n+1)!!`, whose terms are positive. The n-th has at most `4 n` roundings,
/// and adding them one each.
let private erfOfSeries (y: float) =
    let mutable term = y
    let mutable sum = y
    let mutable n = 0

    while term > 1e-18 * sum || float (2 * n + 3) < 4.0 * y * y do
        n <- n + 1
        term <- term * (2.0 * y * y) / float (2 * n + 1)
        sum <- sum + term

    // What is left falls by half with each term, since 2n + 3 ≥ 4y² there.
    let series = Interval.around (float (5 * n + 8) * Rounding.unitRoundoff + 2e-18) sum

    Interval.multiply series (gaussian y)
    |> Interval.multiply inverseRootPi
    |> Interval.multiply (Interval.point 2.0)

/// `erfc y` for `y ≥ 2.5`: `e^(−y²)/√π` over the continued fraction `y + (1/2)/(y + 1/(y + (3/2)/(y + …)))`, between whose convergents
/// it lies. All terms are positive, and a level adds two roundings to its share of those of the next, which is less than 0.8.
let private erfcOfFraction (y: float) =
    let convergent levels =
        let mutable tail = y

        for k in levels .. -1 .. 1 do
            tail <- y + 0.5 * float k / tail

        tail

    let fraction =
        Interval.hull (Interval.around relative (convergent 90)) (Interval.around relative (convergent 91))

    Interval.divide (Interval.multiply (gaussian y) inverseRootPi) fraction

/// `erfc y = 1 − erf y` for `y ≥ 0`, with a relative error in its tail.
let private erfc (y: float) =
    if y = Double.PositiveInfinity then
        Interval.point 0.0
    elif y > 26.0 then
        Interval.ofEnds 0.0 1e-290
    elif y > 2.5 then
        erfcOfFraction y
    elif y = 0.0 then
        Interval.point 1.0
    else
        Interval.subtract (Interval.point 1.0) (erfOfSeries y) |> Interval.clamp 0.0 1.0

/// The error function `erf y` for `y ≥ 0`, with a relative error near 0.
let erf (y: float) : Interval =
    if y <= 2.5 then
        if y = 0.0 then Interval.point 0.0 else erfOfSeries y
    else
        Interval.subtract (Interval.point 1.0) (erfc y)
    |> Interval.clamp 0.0 1.0

/// `1 + erf y`, with a relative error in its tail.
let onePlusErf (y: float) : Interval =
    if Double.IsNaN y then Interval.ofEnds 0.0 2.0
    elif y >= 0.0 then Interval.add (Interval.point 1.0) (erf y)
    else erfc -y

/// `erf′ = 2 e^(−y²)/√π` over an interval.
let erfDerivative (y: Interval) : Interval =
    let at (y: float) =
        if Double.IsInfinity y then
            Interval.point 0.0
        else
            Interval.multiply (Interval.multiply (Interval.point 2.0) inverseRootPi) (gaussian (abs y))

    let far = max (abs y.Low) (abs y.High)

    let near =
        if y.Low <= 0.0 && y.High >= 0.0 then
            0.0
        else
            min (abs y.Low) (abs y.High)

    Interval.ofEnds (at far).Low (at near).High

/// `1/√2`.
let private inverseRootTwo = 0.70710678118654752440

/// The normal distribution function `Φ(x) = erfc(−x/√2)/2`.
let normalDistribution (x: float) : Interval =
    if Double.IsNaN x then
        Interval.ofEnds 0.0 1.0
    else
        // erfc falls, so its ends are those of the argument.
        let size = Interval.around relative (abs x * inverseRootTwo)

        let tail =
            if x = 0.0 then
                Interval.point 1.0
            elif Double.IsInfinity x then
                Interval.point 0.0
            else
                Interval.ofEnds (erfc size.High).Low (erfc (max 0.0 size.Low)).High

        let half = Interval.multiply (Interval.point 0.5) tail

        if x > 0.0 then
            Interval.subtract (Interval.point 1.0) half
        else
            half

/// The normal density `φ(x) = e^(−x²/2)/√(2π)`.
let normalDensity (x: float) : Interval =
    if Double.IsNaN x then
        Interval.ofEnds 0.0 0.4
    elif Double.IsInfinity x then
        Interval.point 0.0
    else
        let half =
            Interval.multiply (Interval.point x) (Interval.point x)
            |> Interval.multiply (Interval.point -0.5)

        Interval.multiply (ofGrowing exp half) (Interval.around relative 0.39894228040143267794)
