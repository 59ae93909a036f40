/// GELU, `y Φ(y)` for the normal distribution function `Φ` (Hendrycks & Gimpel 2016), and its approximation by a hyperbolic tangent.
module LipVerify.Core.Activations.Gelu

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Activations.Curves

let private value (y: float) =
    Interval.multiply (Interval.point y) (Elementary.normalDistribution y)

/// `Φ(y) + y φ(y)`.
let private slope (y: float) =
    Interval.multiply (Interval.point y) (Elementary.normalDensity y)
    |> Interval.add (Elementary.normalDistribution y)

/// `y Φ(y)`: its second derivative `φ(y)(2 − y²)` changes its sign at `±√2`.
let activation: Activation =
    Piecewise.turning "gelu" value slope -1.4142135623730951 1.4142135623730951

/// `y (1 + erf u)` for a multiple `u` of `y`, whose second derivative has the sign of `1 − u²`: it turns where `u = ±1`.
let private byMultiple name (multiple: Interval -> Interval) turn =
    let argument (y: float) = multiple (Interval.point y)

    /// `1 + erf u`, from the tail where `u` is negative.
    let factor (u: Interval) =
        Elementary.ofGrowing Elementary.onePlusErf u

    let value (y: float) =
        Interval.multiply (Interval.point y) (factor (argument y))

    let slope (y: float) =
        let u = argument y

        Interval.multiply u (Elementary.erfDerivative u) |> Interval.add (factor u)

    Piecewise.turning name value slope -turn turn

let private require (number: float) =
    if not (number > 1e-100 && number < 1e100) then
        invalidArg (nameof number) $"the argument of an error function must be a positive multiple, not by {number}"

/// `y (1 + erf(y/c))`, of which files make GELU: for `c = √2`, twice that.
let byErf (divisor: float) : Activation =
    require divisor

    byMultiple (Piecewise.named "gelu_erf" [ divisor ]) (fun y -> Interval.divide y (Interval.point divisor)) divisor

/// `y (1 + erf(f y))`.
let byErfOfMultiple (factor: float) : Activation =
    require factor

    byMultiple (Piecewise.named "gelu_erf_of" [ factor ]) (Interval.multiply (Interval.point factor)) (1.0 / factor)

/// `2√(2/π)` and the factor of the cube.
let private rate, private cubic =
    Interval.around (Math.ScaleB(1.0, -52)) 1.5957691216057308, Interval.point 0.044715

/// `z = 2√(2/π)(y + c y³)`.
let private inner (y: float) =
    let y = Interval.point y

    Interval.multiply y y
    |> Interval.multiply cubic
    |> Interval.add (Interval.point 1.0)
    |> Interval.multiply y
    |> Interval.multiply rate

/// `σ` of an interval, for the logistic function `σ`.
let private logistic = Elementary.ofGrowing Sigmoid.value

/// Beyond it the exponentials are below 10^-300, and so is what they are multiplied by here.
let private far = 40.0

let private vanishing = 1e-300

let private tanhValue (y: float) =
    if y <= -far then
        Interval.ofEnds -vanishing 0.0
    else
        Interval.multiply (Interval.point y) (logistic (inner y))

/// `σ(z) + y z′ σ(z)σ(−z)`.
let private tanhSlope (y: float) =
    if abs y >= far then
        // Of y below 0 it is the vanishing part alone.
        if y > 0.0 then
            Interval.ofEnds 1.0 (1.0 + vanishing |> Math.BitIncrement)
        else
            Interval.ofEnds -vanishing 0.0
    else
        let z = inner y
        let sigma, rest = logistic z, logistic (Interval.negate z)

        let derivative =
            Interval.multiply (Interval.point y) (Interval.point y)
            |> Interval.multiply cubic
            |> Interval.multiply (Interval.point 3.0)
            |> Interval.add (Interval.point 1.0)
            |> Interval.multiply rate

        Interval.multiply (Interval.multiply sigma rest) derivative
        |> Interval.multiply (Interval.point y)
        |> Interval.add sigma

/// `y/2·(1 + tanh(√(2/π)(y + 0.044715 y³))) = y σ(z)`. Its second derivative has the sign of `2z′ + y z″ − y z′² tanh(z/2)`; the quotient of
/// `2z′ + y z″` by `y z′²` falls for `y > 0`, since with `u = c y²` its logarithm has the derivative
/// `(12u/(1 + 6u) − 1 − 12u/(1 + 3u))/y < 0`, while the tangent grows: there is one positive root.
let byTanh: Activation =
    Piecewise.turning "gelu_tanh" tanhValue tanhSlope -1.4185040087908284 1.4185040087908284
