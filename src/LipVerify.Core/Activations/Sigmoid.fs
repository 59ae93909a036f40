/// The logistic function `1/(1 + e^(−y))`.
module LipVerify.Core.Activations.Sigmoid

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Activations.Curves

let private one = Interval.point 1.0

/// `σ(y)`, with a relative error where it is small.
let internal value (y: float) =
    if Double.IsNaN y then
        Interval.ofEnds 0.0 1.0
    elif Double.IsInfinity y then
        Interval.point (if y > 0.0 then 1.0 else 0.0)
    else
        let e = Elementary.exp -(abs y)

        Interval.divide (if y >= 0.0 then one else e) (Interval.add one e)
        |> Interval.clamp 0.0 1.0

/// `σ(y)·σ(−y)`.
let private slope (y: float) = Interval.multiply (value y) (value -y)

/// The activation: convex below 0, concave above it.
let activation: Activation =
    Piecewise.activation
        "sigmoid"
        [|
            Piece.curved Convex Double.NegativeInfinity 0.0 value slope
            Piece.curved Concave 0.0 Double.PositiveInfinity value slope
        |]
