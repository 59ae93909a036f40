/// `y` above 0 and `α y` below: LeakyReLU and PReLU (one `α` an entry), and for `α = −1` the absolute value.
module LipVerify.Core.Activations.LeakyRelu

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Activations.Curves

/// The activation with the slope `alpha` below 0.
let activation (alpha: float) : Activation =
    let name =
        if alpha = -1.0 then
            "abs"
        else
            Piecewise.named "leaky_relu" [ alpha ]

    if alpha = 0.0 then
        Relu.activation
    else
        Piecewise.activation
            name
            [|
                Piece.straight Double.NegativeInfinity 0.0 alpha 0.0
                Piece.corner 0.0 0.0 (fun _ -> Interval.point 0.0) (Interval.point alpha) (Interval.point 1.0)
                Piece.straight 0.0 Double.PositiveInfinity 1.0 0.0
            |]
