/// `y·min(max(α y + β, 0), γ)`: 0, a parabola, a line. With 1/6, 1/2 and 1 it is hard-swish (Howard et al. 2019); files also make it of a clip or a hard
/// sigmoid with rounded factors.
module LipVerify.Core.Activations.HardSwish

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Activations.Curves

/// The curve for a factor `alpha > 0`, from `beta` at 0, between the levels 0 and `gamma`, with kinks at the given places.
let private curve name alpha beta (gamma: float) (start: Interval) (finish: Interval) =
    let line (y: float) =
        Interval.add (Interval.multiply alpha (Interval.point y)) (Interval.point beta)

    let value (y: float) =
        Interval.multiply (Interval.point y) (line y |> Interval.clamp 0.0 gamma)

    /// `2 α y + β`.
    let slope (y: float) =
        Interval.add (line y) (Interval.multiply alpha (Interval.point y))

    let zero, top = Interval.point 0.0, Interval.point gamma

    if not (start.High < finish.Low) then
        invalidArg (nameof gamma) $"{name} is too steep for its kinks to be told apart"

    Piecewise.activation
        name
        [|
            Piece.straight Double.NegativeInfinity start.Low 0.0 0.0
            Piece.corner start.Low start.High value zero (Interval.hull (slope start.Low) (slope start.High))
            Piece.curved Convex start.High finish.Low value slope
            Piece.corner finish.Low finish.High value (Interval.hull (slope finish.Low) (slope finish.High)) top
            { Piece.straight finish.High Double.PositiveInfinity gamma 0.0 with
                Value = value
            }
        |]

/// `y·min(max(y/6 + 1/2, 0), 1)`.
let activation: Activation =
    let sixth = Interval.divide (Interval.point 1.0) (Interval.point 6.0)
    curve "hard_swish" sixth 0.5 1.0 (Interval.point -3.0) (Interval.point 3.0)

/// `y·min(max(α y + β, 0), γ)`.
let general (alpha: float) (beta: float) (gamma: float) : Activation =
    if
        not (
            alpha > 0.0
            && gamma > 0.0
            && Double.IsFinite alpha
            && Double.IsFinite beta
            && Double.IsFinite gamma
        )
    then
        invalidArg (nameof alpha) $"a hard swish needs factors that are positive, not {alpha} and {gamma}"

    let alpha' = Interval.point alpha

    /// Where the line comes to a level.
    let reaches level =
        Interval.divide (Interval.subtract (Interval.point level) (Interval.point beta)) alpha'

    curve (Piecewise.named "hard_swish" [ alpha; beta; gamma ]) alpha' beta gamma (reaches 0.0) (reaches gamma)
