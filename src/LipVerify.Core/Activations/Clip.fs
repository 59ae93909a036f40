/// `min(max(y, low), high)`: Clip, and ReLU6 for 0 and 6.
module LipVerify.Core.Activations.Clip

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Activations.Curves

/// The activation between the bounds `low < high`, which may be infinite.
let activation (low: float) (high: float) : Activation =
    if not (low < high) then
        invalidArg (nameof high) $"bounds of a clip must grow, not {low}, {high}"

    let zero, one = Interval.point 0.0, Interval.point 1.0

    let name =
        if low = 0.0 && high = 6.0 then
            "relu6"
        else
            Piecewise.named "clip" [ low; high ]

    if low = 0.0 && high = Double.PositiveInfinity then
        Relu.activation
    else
        Piecewise.activation
            name
            [|
                if low > Double.NegativeInfinity then
                    Piece.straight Double.NegativeInfinity low 0.0 low
                    Piece.corner low low (fun _ -> Interval.point low) zero one

                Piece.straight low high 1.0 0.0

                if high < Double.PositiveInfinity then
                    Piece.corner high high (fun _ -> Interval.point high) one zero
                    Piece.straight high Double.PositiveInfinity 0.0 high
            |]
