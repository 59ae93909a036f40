/// Mish, `y tanh(ln(1 + e^y))` (Misra 2019).
module LipVerify.Core.Activations.Mish

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Activations.Curves

/// `w = e^y` or, for `y > 0`, `w = e^(−y)`, which stays small.
let private small (y: float) = Elementary.exp -(abs y)

let private one, private two = Interval.point 1.0, Interval.point 2.0

let private square x = Interval.multiply x x

/// `tanh(ln(1 + e^y)) = (w² + 2w)/(w² + 2w + 2)` for `w = e^y`.
let private factor (y: float) =
    let w = small y

    if y <= 0.0 then
        let part = Interval.multiply w (Interval.add w two)
        Interval.divide part (Interval.add part two)
    else
        // Both sides over w².
        let part = Interval.add one (Interval.multiply two w)
        Interval.divide part (Interval.add part (Interval.multiply two (square w)))
    |> Interval.clamp 0.0 1.0

let private value (y: float) =
    Interval.multiply (Interval.point y) (factor y)

/// `factor + y·4w(w + 1)/(w² + 2w + 2)²`.
let private slope (y: float) =
    let w = small y

    let derivative =
        if y <= 0.0 then
            let below = Interval.add (Interval.multiply w (Interval.add w two)) two
            Interval.divide (Interval.multiply w (Interval.add w one)) (square below)
        else
            let below =
                Interval.add (Interval.add one (Interval.multiply two w)) (Interval.multiply two (square w))

            Interval.divide (Interval.multiply (square w) (Interval.add w one)) (square below)

    Interval.multiply (Interval.point 4.0) derivative
    |> Interval.multiply (Interval.point y)
    |> Interval.add (factor y)

/// The second derivative has the sign of `P + y Q` with `P = 2w³ + 6w² + 8w + 4 > 0` and `Q = −2w³ − 3w² + 2w + 2`, which has one positive root.
/// `P/Q` grows with `w`, as `P′Q − PQ′ = 6w⁴ + 40w³ + 72w² + 48w + 8`, so that it meets `−y` once on either side of that root.
let activation: Activation =
    Piecewise.turning "mish" value slope -2.2563763963607931 1.4905711794854285
