/// Arithmetic with directed rounding. The rounding error of a sum or product is itself a double, computed by two-sum and by
/// a fused multiplication; a result on the wrong side of the exact value is moved by one step.
module LipVerify.Checker.Directed

open System

/// Below this the error of a product may underflow, so that its sign is not known.
let private tiny = Math.ScaleB(1.0, -960)

/// `(a + b) − fl(a + b)`, exact (Knuth).
let inline private sumError (a: float) (b: float) (s: float) =
    let bVirtual = s - a
    (a - (s - bVirtual)) + (b - bVirtual)

/// `a + b` from above.
let inline addUp (a: float) (b: float) =
    let s = a + b
    if sumError a b s > 0.0 then Math.BitIncrement s else s

/// `a + b` from below.
let inline addDown (a: float) (b: float) =
    let s = a + b
    if sumError a b s < 0.0 then Math.BitDecrement s else s

/// `a·b` from above.
let mulUp (a: float) (b: float) =
    let p = a * b

    if a = 0.0 || b = 0.0 then
        0.0
    elif abs p < tiny || Math.FusedMultiplyAdd(a, b, -p) > 0.0 then
        Math.BitIncrement p
    else
        p

/// `a·b` from below.
let mulDown (a: float) (b: float) = -(mulUp -a b)

/// `a / b` from above, for `a ≥ 0` and `b > 0`.
let divUp (a: float) (b: float) =
    let q = a / b

    if a = 0.0 then
        0.0
    elif a >= tiny && Math.FusedMultiplyAdd(q, b, -a) >= 0.0 then
        q
    else
        Math.BitIncrement q

/// `√a` from above.
let sqrtUp (a: float) =
    let root = sqrt a

    if a = 0.0 then
        0.0
    elif a >= tiny && Math.FusedMultiplyAdd(root, root, -a) >= 0.0 then
        root
    else
        Math.BitIncrement root

/// `a·2^exponent` from above, for `a ≥ 0`.
let scaleUp (a: float) exponent =
    let scaled = Math.ScaleB(a, exponent)

    if Math.ScaleB(scaled, -exponent) < a then
        Math.BitIncrement scaled
    else
        scaled

/// All reals between two doubles.
[<Struct>]
type Interval = { Lo: float; Hi: float }

/// One number.
let point value = { Lo = value; Hi = value }

/// The sum of two numbers in intervals.
let add a b =
    {
        Lo = addDown a.Lo b.Lo
        Hi = addUp a.Hi b.Hi
    }

/// A double times a number in an interval.
let scale (a: float) x =
    if a >= 0.0 then
        {
            Lo = mulDown a x.Lo
            Hi = mulUp a x.Hi
        }
    else
        {
            Lo = mulDown a x.Hi
            Hi = mulUp a x.Lo
        }

/// The product of numbers in two intervals, the first without negative numbers.
let multiply nonNegative x =
    let low, high = scale nonNegative.Lo x, scale nonNegative.Hi x

    {
        Lo = min low.Lo high.Lo
        Hi = max low.Hi high.Hi
    }

/// A sum of products that is known almost to twice the precision: rounded step by step it might exceed the engine's own bound
/// where few terms cancel.
[<Struct>]
type Sum =
    {
        High: float
        Low: float
        /// `Σ|a·b|`, and the number of terms.
        Magnitude: float
        Terms: int
        /// What was lost before the terms were added.
        Lost: float
    }

module Sum =
    let zero =
        {
            High = 0.0
            Low = 0.0
            Magnitude = 0.0
            Terms = 0
            Lost = 0.0
        }

    /// The sum and `a·b`.
    let add a b sum =
        if a = 0.0 || b = 0.0 then
            sum
        else
            let p = a * b
            let high = sum.High + p

            { sum with
                High = high
                Low = sum.Low + (sumError sum.High p high + Math.FusedMultiplyAdd(a, b, -p))
                Magnitude = sum.Magnitude + abs p
                Terms = sum.Terms + 1
            }

    /// A bound on the distance of `High + Low` from the exact sum: `n` terms and their error terms, at most `(n + 1)u` of the
    /// magnitudes, lose `2(n + 2)²u²` of them to rounding, and less than `2⁻¹⁰⁷²` each to underflow.
    let private lost sum =
        let n = float sum.Terms

        if sum.Terms = 0 then
            sum.Lost
        else
            (n + 2.0) * (n + 2.0) * Math.ScaleB(sum.Magnitude, -104)
            + n * Math.ScaleB(1.0, -1071)
            |> addUp sum.Lost

    /// `a` times the sum.
    let times a sum =
        { zero with
            Lost = mulUp (abs a) (lost sum)
        }
        |> add a sum.High
        |> add a sum.Low

    /// The exact sum from above.
    let upper sum =
        let value = addUp sum.High (addUp sum.Low (lost sum))

        if Double.IsNaN value then
            Double.PositiveInfinity
        else
            value

    /// The exact sum from below.
    let lower sum =
        -(upper
            { sum with
                High = -sum.High
                Low = -sum.Low
            })
