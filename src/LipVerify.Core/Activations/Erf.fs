/// The error function, of which GELU is made in many files.
module LipVerify.Core.Activations.Erf

open System
open LipVerify.Core.Numbers

/// `√2`.
let private rootTwo =
    {
        Low = 1.4142135623730949
        High = 1.4142135623730952
    }

let private value (y: float) =
    if y = 0.0 || Double.IsInfinity y then
        Interval.point (float (sign y))
    else
        let size = Elementary.erf (abs y)
        if y > 0.0 then size else Interval.negate size

/// `2 e^(−y²)/√π = 2√2 φ(√2 y)`.
let private slope (y: float) =
    let argument = Interval.multiply rootTwo (Interval.point (abs y))

    Interval.ofEnds (Elementary.normalDensity argument.High).Low (Elementary.normalDensity argument.Low).High
    |> Interval.multiply (Interval.multiply (Interval.point 2.0) rootTwo)

/// The activation: convex below 0, concave above it.
let activation: Activation =
    Piecewise.activation
        "erf"
        [|
            Piece.curved Convex Double.NegativeInfinity 0.0 value slope
            Piece.curved Concave 0.0 Double.PositiveInfinity value slope
        |]
