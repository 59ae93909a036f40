/// The error function, of which GELU is made in many files.
module LipVerify.Core.Activations.Erf

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Activations.Curves

let private value (y: float) =
    if y = 0.0 || Double.IsInfinity y then
        Interval.point (float (sign y))
    else
        let size = Elementary.erf (abs y)
        if y > 0.0 then size else Interval.negate size

/// `2 e^(−y²)/√π`.
let private slope (y: float) =
    Elementary.erfDerivative (Interval.point y)

/// The activation: convex below 0, concave above it.
let activation: Activation =
    Piecewise.activation
        "erf"
        [|
            Piece.curved Convex Double.NegativeInfinity 0.0 value slope
            Piece.curved Concave 0.0 Double.PositiveInfinity value slope
        |]
