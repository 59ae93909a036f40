/// Activations whose graphs are made of convex and concave pieces: what bounds ask of them follows from those (METHODS section 16).
module internal LipVerify.Core.Activations.Curves.Piecewise

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Activations

/// A curve, and the curves that it becomes where it is turned: the largest slopes of one are the smallest of another.
[<NoEquality; NoComparison>]
type private Views =
    {
        Curve: Curve.Curve
        /// `−σ(x)`.
        Negated: Curve.Curve
        /// `−σ(−x)`.
        Turned: Curve.Curve
        /// `σ(−x)`.
        Mirrored: Curve.Curve
    }

let private viewsOf curve =
    {
        Curve = curve
        Negated = Curve.negated curve
        Turned = Curve.turned curve
        Mirrored = curve |> Curve.turned |> Curve.negated
    }

/// The ends of all pre-activations of an excursion.
let private range excursion =
    let ends =
        Interval.ofEnds
            -(Rounding.addUp -excursion.NominalLow excursion.Down)
            (Rounding.addUp excursion.NominalHigh excursion.Up)

    struct (ends.Low, ends.High)

let private ofInterval (interval: Interval) : SlopeInterval =
    {
        Lower = interval.Low
        Upper = interval.High
    }

/// The steepest chord from the nominal value to any place on the right or on the left of it.
let private steepest right left excursion low high bound =
    max
        (Curve.steepestTo right excursion.NominalLow excursion.NominalHigh high bound)
        (Curve.steepestTo left -excursion.NominalHigh -excursion.NominalLow -low bound)

let private chords views excursion : SlopeInterval =
    let struct (low, high) = range excursion
    let tangents = Curve.slopes views.Curve low high
    let upper = steepest views.Curve views.Turned excursion low high tangents

    let lower =
        -(steepest views.Negated views.Mirrored excursion low high (Interval.negate tangents))

    // Where nothing moves there is no chord.
    if lower <= upper then
        { Lower = lower; Upper = upper }
    else
        ofInterval tangents

let private slopes views definition excursion =
    match definition with
    | Nominal -> chords views excursion
    | Uniform ->
        let struct (low, high) = range excursion
        Curve.slopes views.Curve low high |> ofInterval

/// The line that the whole excursion is on. Comparisons are exact, sums would not be.
let private line (curve: Curve.Curve) excursion =
    curve
    |> Array.tryFind (fun piece ->
        piece.Curvature = Straight
        && (piece.From = Double.NegativeInfinity
            || excursion.NominalLow - piece.From >= excursion.Down
               && (piece.From = 0.0
                   || Math.BitDecrement(excursion.NominalLow - piece.From) >= excursion.Down))
        && (piece.To = Double.PositiveInfinity
            || piece.To - excursion.NominalHigh >= excursion.Up
               && (piece.To = 0.0
                   || Math.BitDecrement(piece.To - excursion.NominalHigh) >= excursion.Up)))

let private slopeOf (piece: Piece) = (piece.Slope 0.0).Low

/// A pre-activation that is surely within a reach of `[low, high]`.
let private within low high reach =
    {
        NominalLow = low
        NominalHigh = high
        Down = reach
        Up = reach
    }

let private slopesWithin views everywhere definition low high reach =
    if not (Double.IsFinite low && Double.IsFinite high && Double.IsFinite reach) then
        struct (everywhere, Double.PositiveInfinity)
    else
        match line views.Curve (within low high reach) with
        | Some piece ->
            let room = min (low - piece.From) (piece.To - high) |> Math.BitDecrement
            struct (SlopeIntervals.single (slopeOf piece), max reach room)
        | None ->
            let slopes = slopes views definition (within low high reach)

            struct (slopes,
                    (if slopes = everywhere then
                         Double.PositiveInfinity
                     else
                         reach))

/// How far `σ(y0 + δ) − σ(y0) − s·δ` can be above 0: by values, and by slopes where an excursion is so short that values tell little.
let private lift views (slopes: SlopeInterval) excursion s =
    let struct (low, high) = range excursion

    let byValues =
        let top = Curve.supremum views.Curve s low high

        let ground =
            Curve.supremum views.Negated -s excursion.NominalLow excursion.NominalHigh

        Rounding.addUp top ground

    let times (rate: float) (length: float) =
        if rate > 0.0 && length > 0.0 then
            Rounding.mulUp rate length
        else
            0.0

    let bySlopes =
        max
            (times (Rounding.addUp slopes.Upper -s) excursion.Up)
            (times (Rounding.addUp s -slopes.Lower) excursion.Down)

    // Written so that a NaN counts as not known.
    max 0.0 (if byValues < bySlopes then byValues else bySlopes)

let private opposite (slopes: SlopeInterval) : SlopeInterval =
    {
        Lower = -slopes.Upper
        Upper = -slopes.Lower
    }

/// The curve seen upside down.
let private upsideDown views =
    {
        Curve = views.Negated
        Negated = views.Curve
        Turned = views.Mirrored
        Mirrored = views.Turned
    }

let private deviations views excursion =
    let slopes = chords views excursion
    struct (lift (upsideDown views) (opposite slopes) excursion 0.0, lift views slopes excursion 0.0)

/// Above the lowest line that lies above the curve at the middle of the excursion, below the highest that lies below it: tangents where the curve is
/// bent away from them, chords where it is bent towards them, else the tangent from an end (Singh et al. 2019; Zhang et al. 2018).
let private lines views excursion =
    match line views.Curve excursion with
    | Some piece ->
        {
            LowerSlope = slopeOf piece
            LowerDrop = 0.0
            UpperSlope = slopeOf piece
            UpperLift = 0.0
        }
    | None ->
        let slopes = chords views excursion
        let struct (low, high) = range excursion
        let upper = Curve.slopeAbove views.Curve low high
        let lower = Curve.slopeAbove views.Negated low high

        {
            LowerSlope = -lower
            LowerDrop = lift (upsideDown views) (opposite slopes) excursion lower
            UpperSlope = upper
            UpperLift = lift views slopes excursion upper
        }

let private excursionOf (y: Interval) (change: Interval) =
    {
        NominalLow = y.Low
        NominalHigh = y.High
        Down = max 0.0 -change.Low
        Up = max 0.0 change.High
    }

/// By slopes, and by values where these are apart.
let private change views (y: Interval) (change: Interval) =
    let slopes = chords views (excursionOf y change)

    let bySlopes =
        Interval.multiply
            {
                Low = slopes.Lower
                High = slopes.Upper
            }
            change

    let moved = Interval.add y change
    let largest = Curve.supremum views.Curve 0.0

    let smallest low high =
        -(Curve.supremum views.Negated 0.0 low high)

    let byValues =
        Interval.subtract
            (Interval.ofEnds (smallest moved.Low moved.High) (largest moved.Low moved.High))
            (Interval.ofEnds (smallest y.Low y.High) (largest y.Low y.High))

    Interval.meet bySlopes byValues

let private middle (interval: Interval) =
    if interval.Low = interval.High then
        interval.Low
    else
        0.5 * interval.Low + 0.5 * interval.High

/// Values that left the range of doubles stay recognisable.
let private enclose views (value: float) (error: float) =
    if not (Double.IsFinite value && Double.IsFinite error) then
        struct (nan, Double.PositiveInfinity)
    else
        let own = Curve.value views.Curve value
        let computed = middle own

        let all =
            if error = 0.0 then
                own
            else
                let low, high = -(Rounding.addUp -value error), Rounding.addUp value error

                Interval.ofEnds -(Curve.supremum views.Negated 0.0 low high) (Curve.supremum views.Curve 0.0 low high)

        struct (computed, max 0.0 (max (Rounding.addUp all.High -computed) (Rounding.addUp computed -all.Low)))

/// The activation whose graph is this curve.
let activation name (curve: Curve.Curve) : Activation =
    let views = viewsOf curve

    let everywhere =
        Curve.slopes curve Double.NegativeInfinity Double.PositiveInfinity |> ofInterval

    {
        Name = name
        Value = Curve.value curve >> middle
        Enclose = enclose views
        Slope =
            fun y ->
                if Double.IsNaN y then
                    nan
                else
                    middle (Curve.slopes curve y y)
        Global = everywhere
        Slopes = slopes views
        Settled =
            fun excursion ->
                match line curve excursion with
                | Some piece -> ValueSome(slopeOf piece)
                | None -> ValueNone
        SlopesWithin = slopesWithin views everywhere
        Deviations = deviations views
        Lines = lines views
        Change = change views
        Derivative =
            fun y change ->
                if Double.IsNaN y.Low || Double.IsNaN y.High then
                    Interval.ofEnds nan nan
                else
                    Interval.multiply (Curve.slopes curve y.Low y.High) change
        MayBreak =
            fun y ->
                curve
                |> Array.exists (fun piece -> piece.Breaks && piece.From <= y.High && y.Low <= piece.To)
        IsNondecreasing = everywhere.Lower >= 0.0
        IsRelu = false
    }

/// `name(a, b, …)`.
let named (name: string) (parameters: float list) =
    let text = parameters |> List.map Figure.exact |> String.concat ", "
    if parameters.IsEmpty then name else $"{name}({text})"

/// A smooth activation that is convex between two turns, known to the last digits, and concave outside.
let turning name value slope left right : Activation =
    let before (x: float) = Math.BitDecrement x
    let behind (x: float) = Math.BitIncrement x

    activation
        name
        [|
            Piece.curved Concave Double.NegativeInfinity (before left) value slope
            Piece.inflection (before left) (behind left) value slope
            Piece.curved Convex (behind left) (before right) value slope
            Piece.inflection (before right) (behind right) value slope
            Piece.curved Concave (behind right) Double.PositiveInfinity value slope
        |]
