/// `γ y` above 0, and below it an exponential that settles: ELU (Clevert et al. 2016), SELU (Klambauer et al. 2017), CELU (Barron 2017).
module LipVerify.Core.Activations.Elu

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Activations.Curves

/// `gain·y` above 0, `amplitude·(e^(y/scale) − 1)` below.
let private exponential name isSmooth (gain: float) (amplitude: Interval) (scale: float) : Activation =
    let argument (y: float) =
        Interval.divide (Interval.point y) (Interval.point scale)

    let value (y: float) =
        argument y
        |> Elementary.ofGrowing Elementary.expMinusOne
        |> Interval.multiply amplitude

    let slopeAtZero = Interval.divide amplitude (Interval.point scale)

    let slope (y: float) =
        argument y
        |> Elementary.ofGrowing Elementary.exp
        |> Interval.multiply slopeAtZero

    Piecewise.activation
        name
        [|
            Piece.curved (if amplitude.Low >= 0.0 then Convex else Concave) Double.NegativeInfinity 0.0 value slope

            if not isSmooth then
                Piece.corner 0.0 0.0 (fun _ -> Interval.point 0.0) slopeAtZero (Interval.point gain)

            Piece.straight 0.0 Double.PositiveInfinity gain 0.0
        |]

/// `α (e^y − 1)` below 0.
let elu (alpha: float) : Activation =
    if alpha = 0.0 then
        Relu.activation
    else
        exponential (Piecewise.named "elu" [ alpha ]) (alpha = 1.0) 1.0 (Interval.point alpha) 1.0

/// `γ y` above 0 and `γ α (e^y − 1)` below.
let selu (alpha: float) (gamma: float) : Activation =
    if alpha = 0.0 || gamma <= 0.0 then
        invalidArg (nameof gamma) $"SELU needs a gain that is positive and an amplitude, not {gamma} and {alpha}"

    exponential
        (Piecewise.named "selu" [ alpha; gamma ])
        (alpha = 1.0)
        gamma
        (Interval.multiply (Interval.point gamma) (Interval.point alpha))
        1.0

/// `α (e^(y/α) − 1)` below 0, smooth at 0.
let celu (alpha: float) : Activation =
    if not (alpha > 0.0) then
        invalidArg (nameof alpha) $"CELU needs a scale that is positive, not {alpha}"

    exponential (Piecewise.named "celu" [ alpha ]) true 1.0 (Interval.point alpha) alpha
