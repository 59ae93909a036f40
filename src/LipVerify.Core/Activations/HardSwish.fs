/// `y·min(max(y/6 + 1/2, 0), 1)`: 0, a parabola between −3 and 3, the identity (Howard et al. 2019).
module LipVerify.Core.Activations.HardSwish

open System
open LipVerify.Core.Numbers

let private value (y: float) =
    let y = Interval.point y

    Interval.multiply y (Interval.divide (Interval.add y (Interval.point 3.0)) (Interval.point 6.0))

/// `y/3 + 1/2`.
let private slope (y: float) =
    Interval.add (Interval.divide (Interval.point y) (Interval.point 3.0)) (Interval.point 0.5)

/// The activation.
let activation: Activation =
    Piecewise.activation
        "hard_swish"
        [|
            Piece.straight Double.NegativeInfinity -3.0 0.0 0.0
            Piece.corner -3.0 -3.0 (fun _ -> Interval.point 0.0) (Interval.point 0.0) (Interval.point -0.5)
            Piece.curved Convex -3.0 3.0 value slope
            Piece.corner 3.0 3.0 (fun _ -> Interval.point 3.0) (Interval.point 1.5) (Interval.point 1.0)
            Piece.straight 3.0 Double.PositiveInfinity 1.0 0.0
        |]
