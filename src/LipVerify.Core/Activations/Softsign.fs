/// `y/(1 + |y|)`.
module LipVerify.Core.Activations.Softsign

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Activations.Curves

let private below (y: float) =
    Interval.add (Interval.point 1.0) (Interval.point (abs y))

let private value (y: float) =
    if Double.IsInfinity y then
        Interval.point (float (sign y))
    else
        Interval.divide (Interval.point y) (below y)

let private slope (y: float) =
    let root = Interval.divide (Interval.point 1.0) (below y)
    Interval.multiply root root |> Interval.clamp 0.0 1.0

/// The activation: convex below 0, concave above it.
let activation: Activation =
    Piecewise.activation
        "softsign"
        [|
            Piece.curved Convex Double.NegativeInfinity 0.0 value slope
            Piece.curved Concave 0.0 Double.PositiveInfinity value slope
        |]
