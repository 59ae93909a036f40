namespace LipVerify.Core.Activations.Curves

open System
open LipVerify.Core.Numbers

/// How a piece of a curve is bent.
type internal Curvature =
    /// A line.
    | Straight
    /// The slope does not fall.
    | Convex
    /// The slope does not rise.
    | Concave
    /// It changes from one to the other, at a place known to the last digits only.
    | Inflected

/// A curve over `[From, To]`.
[<NoEquality; NoComparison>]
type internal Piece =
    {
        From: float
        To: float
        Curvature: Curvature
        /// Its value at a place.
        Value: float -> Interval
        /// Its slope at a place; over all of an inflected piece the same.
        Slope: float -> Interval
        /// Whether its slope may jump.
        Breaks: bool
    }

module internal Piece =

    /// The line `slope·x + offset`.
    let straight low high slope offset =
        {
            From = low
            To = high
            Curvature = Straight
            Value =
                fun x ->
                    Interval.add (Interval.multiply (Interval.point slope) (Interval.point x)) (Interval.point offset)
            Slope = fun _ -> Interval.point slope
            Breaks = false
        }

    /// A smooth piece.
    let curved curvature low high value slope =
        {
            From = low
            To = high
            Curvature = curvature
            Value = value
            Slope = slope
            Breaks = false
        }

    /// A kink between the slopes `left` and `right`, somewhere in `[low, high]`.
    let corner low high value (left: Interval) (right: Interval) =
        {
            From = low
            To = high
            // Over more than a point a curve beside may bend the other way, and slopes that rounding cannot tell apart say nothing.
            Curvature =
                if low < high then Inflected
                elif left.High <= right.Low then Convex
                elif right.High <= left.Low then Concave
                else Inflected
            Value = value
            Slope = fun _ -> Interval.hull left right
            Breaks = true
        }

    /// Where a smooth curve changes the way it is bent, somewhere in `[low, high]`.
    let inflection low high value (slope: float -> Interval) =
        // The slope is extreme there, and smooth: over so short a piece its change is far less than this.
        let around = Interval.hull (slope low) (slope high)
        let room = Math.ScaleB(1.0, -40)

        {
            From = low
            To = high
            Curvature = Inflected
            Value = value
            Slope = fun _ -> Interval.ofEnds (around.Low - room) (around.High + room)
            Breaks = false
        }

    let private opposite curvature =
        match curvature with
        | Convex -> Concave
        | Concave -> Convex
        | Straight
        | Inflected -> curvature

    /// The curve `−σ(x)`.
    let negated piece =
        { piece with
            Curvature = opposite piece.Curvature
            Value = piece.Value >> Interval.negate
            Slope = piece.Slope >> Interval.negate
        }

    /// The curve `−σ(−x)`, which has the same slopes.
    let turned piece =
        { piece with
            From = -piece.To
            To = -piece.From
            Curvature = opposite piece.Curvature
            Value = (~-) >> piece.Value >> Interval.negate
            Slope = (~-) >> piece.Slope
        }
