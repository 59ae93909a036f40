/// `max(y, 0)`: convex, with one kink, and 0 below it. Everything follows from the signs that a pre-activation can have.
module LipVerify.Core.Activations.Relu

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Activations.Curves

/// `relu(v)`, and 0 where nothing is known.
let private rectified (v: float) = if v > 0.0 then v else 0.0

let private unit value = min 1.0 value

/// `(relu(y0 + up) − relu(y0)) / up` for the largest nominal value: chords of a convex function steepen with either end.
let private steepest excursion =
    let high = excursion.NominalHigh

    if Rounding.addUp high excursion.Up <= 0.0 then
        0.0
    elif high >= 0.0 then
        1.0
    else
        unit (Rounding.divUp (Rounding.addUp high excursion.Up) excursion.Up)

/// `(relu(y0) − relu(y0 − down)) / down` for the smallest nominal value, rounded downward.
let private flattest excursion =
    let low = excursion.NominalLow

    if low <= 0.0 then
        // At the kink the ReLU is the identity only for inputs that surely do not fall.
        if low = 0.0 && excursion.Down = 0.0 then 1.0 else 0.0
    elif low >= excursion.Down then
        1.0
    else
        max 0.0 (Math.BitDecrement(low / excursion.Down))

let private slopes definition excursion =
    let lower, upper =
        match definition with
        | Nominal -> flattest excursion, steepest excursion
        | Uniform ->
            (if excursion.NominalLow >= excursion.Down then 1.0 else 0.0),
            (if Rounding.addUp excursion.NominalHigh excursion.Up <= 0.0 then
                 0.0
             else
                 1.0)

    // A pre-activation that cannot move has every slope.
    {
        Lower = min lower upper
        Upper = upper
    }

/// 1 where `y0 + δ` is surely not negative, 0 where it is surely not positive. Comparisons are exact, sums would not be.
let private settled excursion =
    if excursion.NominalHigh <= -excursion.Up then
        ValueSome 0.0
    elif excursion.NominalLow >= excursion.Down then
        ValueSome 1.0
    else
        ValueNone

/// Where every slope is possible, no reach is claimed.
let private slopesWithin definition low high reach =
    if not (Double.IsFinite low && Double.IsFinite high && Double.IsFinite reach) then
        struct ({ Lower = 0.0; Upper = 1.0 }, Double.PositiveInfinity)
    elif high + reach <= 0.0 then
        struct (SlopeIntervals.none, -high)
    elif low >= reach && low > 0.0 then
        struct (SlopeIntervals.all, low)
    else
        let interval =
            slopes
                definition
                {
                    NominalLow = low
                    NominalHigh = high
                    Down = reach
                    Up = reach
                }

        let isFree = interval.Lower = 0.0 && interval.Upper = 1.0
        struct (interval, (if isFree then Double.PositiveInfinity else reach))

/// How far the ReLU can rise: `relu(y0 + up) − relu(y0)`, which grows with `y0`.
let private rise excursion =
    if excursion.NominalHigh >= 0.0 then
        excursion.Up
    else
        min excursion.Up (rectified (Rounding.addUp excursion.NominalHigh excursion.Up))

/// How far it can fall: `relu(y0) − relu(y0 − down)`, which grows with `y0` too.
let private fall excursion =
    min excursion.Down (rectified excursion.NominalHigh)

/// The identity where `y̲ ≥ 0`, zero where `ȳ ≤ 0`; else above the chord, below `α·y` with `α = [ȳ > −y̲]`.
let private lines excursion =
    match settled excursion with
    | ValueSome slope ->
        {
            LowerSlope = slope
            LowerDrop = 0.0
            UpperSlope = slope
            UpperLift = 0.0
        }
    | ValueNone ->
        let {
                NominalLow = low
                NominalHigh = high
                Down = down
                Up = up
            } =
            excursion

        let struct (slope, lift) =
            Chord.above down up -(min down (rectified low)) (rise excursion)

        // α(y0 + δ) − relu(y0) is −relu(−y0) + δ for α = 1; for α = 0 the ReLU's fall bounds the same from below.
        let isSteep = high + up > down - low

        {
            LowerSlope = if isSteep then 1.0 else 0.0
            LowerDrop = if isSteep then rectified -low else fall excursion
            UpperSlope = slope
            UpperLift = lift
        }

/// `relu(y + Δ) − relu(y)` for exact `y`: `max(Δ, −y)` above 0, `max(0, y + Δ)` below.
let private changeAt add (y: float) (change: float) =
    if y >= 0.0 then max change -y
    elif change <= 0.0 then 0.0
    else max 0.0 (add y change) |> min change

let private addDown (a: float) (b: float) =
    if a = -b then 0.0
    elif b = 0.0 then a
    else Math.BitDecrement(a + b)

// For fixed Δ the change is monotone in y, and for fixed y in Δ: the extremes are at the ends.
let private change y change : Interval =
    {
        Low = min (changeAt addDown y.Low change.Low) (changeAt addDown y.High change.Low)
        High = max (changeAt Rounding.addUp y.Low change.High) (changeAt Rounding.addUp y.High change.High)
    }

let private derivative y change : Interval =
    if y.Low > 0.0 then
        change
    elif y.High < 0.0 then
        Interval.point 0.0
    elif y.Low = 0.0 && y.High = 0.0 then
        {
            Low = max 0.0 change.Low
            High = max 0.0 change.High
        }
    else
        {
            Low = min 0.0 change.Low
            High = max 0.0 change.High
        }

/// The activation.
let activation: Activation =
    {
        Name = "relu"
        Value = fun y -> max y 0.0
        // It moves no two values further apart, and gives exactly 0 where the enclosure does not reach above 0.
        Enclose = fun value error -> struct (max value 0.0, (if Rounding.addUp value error <= 0.0 then 0.0 else error))
        Slope = fun y -> if y > 0.0 then 1.0 else 0.0
        Global = { Lower = 0.0; Upper = 1.0 }
        Slopes = slopes
        Settled = settled
        SlopesWithin = slopesWithin
        Deviations = fun excursion -> struct (fall excursion, rise excursion)
        Lines = lines
        Change = change
        Derivative = derivative
        MayBreak = fun y -> not (y.Low > 0.0) && not (y.High < 0.0)
        IsNondecreasing = true
        IsRelu = true
    }
