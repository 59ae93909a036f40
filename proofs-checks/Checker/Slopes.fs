/// Slopes of ReLUs between a nominal value and another, or between any two values.
module LipVerify.Checker.Slopes

open System
open LipVerify.Checker.Directed

/// A value: where its nominal value lies, and how far it can fall and rise from there. `Least` is below all its values too; behind
/// a ReLU it says that none is negative, which rounding of the nominal value would hide.
[<Struct>]
type Range =
    {
        Nominal: Interval
        Fall: float
        Rise: float
        Least: float
    }

/// The least and the largest value.
let extremes range =
    {
        Lo = max range.Least (addDown range.Nominal.Lo -range.Fall)
        Hi = addUp range.Nominal.Hi range.Rise
    }

/// `a / b` from below, for `0 ≤ a < b`.
let private divDown (a: float) (b: float) =
    if a = 0.0 then 0.0 else max 0.0 (Math.BitDecrement(a / b))

/// All `λ` that can occur in `relu(y) − relu(y0) = λ(y − y0)`. A chord of a convex function steepens with either end, so the
/// steepest one starts at the largest nominal value and the flattest at the smallest.
let slopes isUniform range =
    let low, high = range.Nominal.Lo, range.Nominal.Hi
    let top = addUp high range.Rise

    let upper =
        if top <= 0.0 then 0.0
        elif isUniform || high >= 0.0 then 1.0
        else min 1.0 (divUp top range.Rise)

    let lower =
        if low >= range.Fall || range.Least >= 0.0 then 1.0
        elif isUniform || low <= 0.0 then 0.0
        else divDown low range.Fall

    // Both hold, and one of them alone where the other says more: a value that cannot move has every slope.
    { Lo = min lower upper; Hi = upper }

/// The middle of an interval, and a half-width that reaches both ends.
let middle slopes =
    if slopes.Lo = slopes.Hi then
        struct (slopes.Lo, 0.0)
    else
        let center = 0.5 * (slopes.Lo + slopes.Hi)
        struct (center, max (addUp slopes.Hi -center) (addUp center -slopes.Lo))

let private positive (x: float) = max 0.0 x

/// The range of the ReLU of a value.
let rectify range =
    let high = range.Nominal.Hi

    {
        Nominal =
            {
                Lo = positive range.Nominal.Lo
                Hi = positive high
            }
        Fall = min range.Fall (positive high)
        Rise =
            if high >= 0.0 then
                range.Rise
            else
                min range.Rise (positive (addUp high range.Rise))
        Least = positive range.Least
    }

/// The range of `b − a`.
let difference a b =
    {
        Nominal =
            {
                Lo = addDown b.Nominal.Lo -a.Nominal.Hi
                Hi = addUp b.Nominal.Hi -a.Nominal.Lo
            }
        Fall = addUp b.Fall a.Rise
        Rise = addUp b.Rise a.Fall
        Least = Double.NegativeInfinity
    }

/// The range of the larger of two values: it falls and rises no more than one of them does.
let larger a b =
    {
        Nominal =
            {
                Lo = max a.Nominal.Lo b.Nominal.Lo
                Hi = max a.Nominal.Hi b.Nominal.Hi
            }
        Fall = max a.Fall b.Fall
        Rise = max a.Rise b.Rise
        Least = max a.Least b.Least
    }

/// The range of `a + b`.
let sum a b =
    {
        Nominal = add a.Nominal b.Nominal
        Fall = addUp a.Fall b.Fall
        Rise = addUp a.Rise b.Rise
        Least = addDown a.Least b.Least
    }
