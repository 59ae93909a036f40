/// SiLU or swish, `y·σ(y)` for the logistic function `σ` (Elfwing et al. 2018).
module LipVerify.Core.Activations.Silu

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Activations.Curves

let private value (y: float) =
    Interval.multiply (Interval.point y) (Sigmoid.value y)

/// `σ(y)(1 + y σ(−y))`.
let private slope (y: float) =
    Interval.multiply (Interval.point y) (Sigmoid.value -y)
    |> Interval.add (Interval.point 1.0)
    |> Interval.multiply (Sigmoid.value y)

/// The root of `y tanh(y/2) = 2`, the only positive one since the left side grows: the second derivative
/// `σ(y)σ(−y)(2 − y tanh(y/2))` changes its sign there.
let private turn = 2.3993572805154677

/// The activation: convex between the turns, concave outside.
let activation: Activation = Piecewise.turning "silu" value slope -turn turn
