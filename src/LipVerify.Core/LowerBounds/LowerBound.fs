namespace LipVerify.Core.LowerBounds

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks

/// Where a slope is attained.
[<ReferenceEquality>]
type Attainment =
    /// `‖f(x) − f(y)‖ / ‖x − y‖` for two inputs of the ball; `y` is the nominal input where the definition is the nominal one.
    | Between of x: Tensor * y: Tensor
    /// `‖f′(x; v)‖ / ‖v‖`, the limit of slopes from `x` along `v`.
    | Along of x: Tensor * v: Tensor
    /// No slope is above 0 as far as is known.
    | Nowhere

/// A lower bound on a local Lipschitz constant, and the slope that proves it.
[<ReferenceEquality>]
type LowerBound =
    {
        /// The bound, rounded downward.
        Value: float
        /// What it promises. `Certified`: the rounding of the slope is enclosed. `Numerical`: the slope was computed in double
        /// precision, on a network so deep and wide that its enclosure is of no use.
        Rigor: Rigor
        /// Where the slope is attained.
        Attainment: Attainment
    }

/// Slopes as lower bounds, with their rounding enclosed. No certified lower bound exceeds the constant, whatever the scale of the
/// network, the offset of the input or the radius.
module LowerBound =

    /// The bound that always holds.
    let none =
        {
            Value = 0.0
            Rigor = Certified
            Attainment = Nowhere
        }

    /// The larger of two.
    let max a b = if b.Value > a.Value then b else a

    let private slope numerator denominator attainment =
        let value = Math.BitDecrement(numerator / denominator)

        if numerator > 0.0 && value > 0.0 then
            { none with
                Value = value
                Attainment = attainment
            }
        else
            none

    /// `‖f(x) − f(y)‖ / ‖x − y‖` in the norm, certified: the lower end of the one over the upper end of the other; 0 for equal inputs.
    let between context norm network (x: Tensor) (y: Tensor) : LowerBound =
        let distance = NormedVectors.distanceUp norm x y

        if distance = 0.0 then
            none
        else
            let change = IncrementEnclosure.difference context network y x
            slope (IncrementEnclosure.sizeDown norm change) distance (Between(x, y))

    /// `‖f′(x; v)‖ / ‖v‖` in the norm, certified; 0 for `v = 0`. It is a limit of slopes within every ball of a positive radius around `x`.
    let along context norm network (x: Tensor) (v: Tensor) : LowerBound =
        let length = NormedVectors.sizeUp norm (Tensor.values v)

        if length = 0.0 then
            none
        else
            let change = IncrementEnclosure.derivative context network x v
            slope (IncrementEnclosure.sizeDown norm change) length (Along(x, v))

    /// Outputs that differ by less than this relative to their size may owe the difference to rounding.
    let private cancellation = 1e-6

    /// `between`, or where its enclosure takes off more than half, the slope as computed, unless cancellation may have made it.
    /// Enclosures assume that all roundings conspire, which on networks of many wide layers makes them useless.
    let attained (context: Context) norm (network: Network) (x: Tensor) (y: Tensor) : LowerBound =
        let distance = NormedVectors.distanceUp norm x y

        if distance = 0.0 then
            none
        else
            let enclosed = IncrementEnclosure.difference context network y x

            let certified =
                slope (IncrementEnclosure.sizeDown norm enclosed) distance (Between(x, y))

            let outputs =
                Points.outputs context network (Array.append (Tensor.values x) (Tensor.values y))
                |> Array.splitInto 2

            let size (v: float[]) =
                NormedVectors.size norm (ReadOnlySpan v)

            let change = size (Array.map2 (-) outputs[0] outputs[1])

            // Behind a kink outputs may be rounding alone; no more than the enclosure allows is the network's.
            let computed =
                (1.0 - cancellation) * min change (IncrementEnclosure.sizeUp norm enclosed)
                / distance

            if
                Double.IsFinite computed
                && change > cancellation * (size outputs[0] + size outputs[1])
                && certified.Value < 0.5 * computed
            then
                {
                    Value = computed
                    Rigor = Numerical
                    Attainment = Between(x, y)
                }
            else
                certified

    /// `c + d`, rounded towards `c`.
    let private towards (center: float) (displacement: float) =
        let sum = center + displacement

        if abs (sum - center) <= abs displacement then sum
        elif sum > center then Math.BitDecrement sum
        else Math.BitIncrement sum

    /// How much a displacement is shortened to stay inside the ball: hardly, but where rounding has a large share in it.
    let private shrinks =
        [|
            yield 1.0
            for exponent in -50..5..-5 -> 1.0 - Math.ScaleB(1.0, exponent)
            for exponent in -1..-1..-20 -> Math.ScaleB(1.0, exponent)
            yield 0.0
        |]

    /// The input at a displacement from the centre, surely inside the ball of the norm: coordinates that may not move stay, and a point
    /// outside is drawn towards the centre.
    let inside norm (ball: RestrictedBall) (displacement: float[]) : Tensor =
        let center, mask = Tensor.values ball.Center, Tensor.values ball.Mask

        let point shrink =
            Array.map3
                (fun c m d ->
                    if m = 0.0 || not (Double.IsFinite d) then
                        c
                    else
                        towards c (shrink * d))
                center
                mask
                displacement
            |> Tensor.ofArray ball.Center.Shape

        shrinks
        |> Seq.map point
        |> Seq.find (fun point -> NormedVectors.distanceUp norm point ball.Center <= ball.Radius.Value)
