/// The hyperbolic tangent.
module LipVerify.Core.Activations.Tanh

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Activations.Curves

let private two = Interval.point 2.0

/// `tanh |y| = −m/(2 + m)` for `m = e^(−2|y|) − 1`.
let internal value (y: float) =
    if y = 0.0 || Double.IsInfinity y then
        Interval.point (float (sign y))
    else
        let m = Elementary.expMinusOne (-2.0 * abs y)

        let size =
            Interval.divide (Interval.negate m) (Interval.add two m)
            |> Interval.clamp 0.0 1.0

        if y > 0.0 then size else Interval.negate size

/// `4 e^(−2|y|)/(1 + e^(−2|y|))²`.
let private slope (y: float) =
    let e = Elementary.exp (-2.0 * abs y)
    let root = Interval.divide two (Interval.add (Interval.point 1.0) e)
    Interval.multiply e (Interval.multiply root root) |> Interval.clamp 0.0 1.0

/// The activation: convex below 0, concave above it.
let activation: Activation =
    Piecewise.activation
        "tanh"
        [|
            Piece.curved Convex Double.NegativeInfinity 0.0 value slope
            Piece.curved Concave 0.0 Double.PositiveInfinity value slope
        |]
