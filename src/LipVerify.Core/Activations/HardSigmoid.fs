/// `min(max(α y + β, 0), 1)`, whose kinks are at quotients that are not doubles.
module LipVerify.Core.Activations.HardSigmoid

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Activations.Curves

/// The activation with the slope `alpha > 0` and the value `beta` at 0.
let activation (alpha: float) (beta: float) : Activation =
    if not (alpha > 0.0 && Double.IsFinite alpha && Double.IsFinite beta) then
        invalidArg (nameof alpha) $"the slope of a hard sigmoid must be positive, not {alpha}"

    let slope, zero = Interval.point alpha, Interval.point 0.0

    let value (y: float) =
        Interval.add (Interval.multiply slope (Interval.point y)) (Interval.point beta)
        |> Interval.clamp 0.0 1.0

    /// Where the line comes to a level.
    let reaches level =
        Interval.divide (Interval.subtract (Interval.point level) (Interval.point beta)) slope

    let start, finish = reaches 0.0, reaches 1.0

    if not (start.High < finish.Low) then
        invalidArg
            (nameof alpha)
            $"a hard sigmoid with the factors {alpha} and {beta} is too steep for its kinks to be told apart"

    Piecewise.activation
        (Piecewise.named "hard_sigmoid" [ alpha; beta ])
        [|
            Piece.straight Double.NegativeInfinity start.Low 0.0 0.0
            Piece.corner start.Low start.High value zero slope
            { Piece.straight start.High finish.Low alpha beta with
                Value = value
            }
            Piece.corner finish.Low finish.High value slope zero
            Piece.straight finish.High Double.PositiveInfinity 0.0 1.0
        |]
