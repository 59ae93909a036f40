/// `ln(1 + e^y)`.
module LipVerify.Core.Activations.Softplus

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Activations.Curves

/// `max(y, 0) + ln(1 + e^(−|y|))`.
let internal value (y: float) =
    let rest = Elementary.exp -(abs y) |> Elementary.ofGrowing Elementary.logOnePlus

    if y > 0.0 then
        Interval.add (Interval.point y) rest
    else
        rest

/// The activation, convex everywhere; its slope is the logistic function.
let activation: Activation =
    Piecewise.activation
        "softplus"
        [|
            Piece.curved Convex Double.NegativeInfinity Double.PositiveInfinity value Sigmoid.value
        |]
