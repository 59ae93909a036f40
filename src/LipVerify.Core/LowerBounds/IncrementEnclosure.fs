/// Enclosures of `f(x + Δ) − f(x)` and of the one-sided derivative `f′(x; Δ)`, with rounding enclosed. The increment is carried
/// beside the nominal values instead of being a difference of outputs, so that it stays accurate however small it is against
/// them: only where a ReLU or a pooling window is close to a kink does the rounding of a nominal value enter, and there by
/// no more than the increment itself.
module LipVerify.Core.LowerBounds.IncrementEnclosure

open System
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Activations
open LipVerify.Core.Networks

/// What happens to increments at the layers that bend.
[<NoEquality; NoComparison>]
type private Rules =
    {
        /// From the enclosures of a pre-activation and of its increment to that of the activation's increment.
        Activation: Activation -> Interval -> Interval -> Interval
        /// The same for the members of a pooling window.
        Pool: ArraySegment<int> -> Interval[] -> Interval[] -> Interval
    }

[<ReferenceEquality>]
type private Increment =
    {
        Nominal: EnclosedTensor
        Change: EnclosedTensor
    }

let private subtractUp (a: float) (b: float) =
    if a = b then 0.0
    elif b = 0.0 then a
    else Math.BitIncrement(a - b)

let private subtractDown (a: float) (b: float) =
    if a = b then 0.0
    elif b = 0.0 then a
    else Math.BitDecrement(a - b)

let private addDown (a: float) (b: float) = subtractDown a -b

let private intervals (enclosed: EnclosedTensor) =
    Array.map2
        (fun value error ->
            // A value that left the range of doubles may be anything.
            if Double.IsFinite value && Double.IsFinite error then
                {
                    Low = subtractDown value error
                    High = Rounding.addUp value error
                }
            else
                {
                    Low = Double.NegativeInfinity
                    High = Double.PositiveInfinity
                })
        (Tensor.values enclosed.Value)
        (Tensor.values enclosed.Error)

let private enclosed (shape: Shape) (intervals: Interval[]) =
    let middle interval =
        0.5 * interval.Low + 0.5 * interval.High

    let reach interval =
        let middle = middle interval
        max (subtractUp interval.High middle) (subtractUp middle interval.Low)

    {
        Value = Tensor.ofArray shape (Array.map middle intervals)
        Error = Tensor.ofArray shape (Array.map reach intervals)
    }

let private finite =
    {
        Activation = _.Change
        Pool =
            fun members y change ->
                let best (value: int -> float) =
                    members |> Seq.fold (fun best i -> max best (value i)) Double.NegativeInfinity

                let before =
                    {
                        Low = best (fun i -> y[i].Low)
                        High = best (fun i -> y[i].High)
                    }

                let lower i = addDown y[i].Low change[i].Low
                let upper i = Rounding.addUp y[i].High change[i].High
                let after = { Low = best lower; High = best upper }

                // The change is at least that of whichever member wins before, and at most that of the one that wins after.
                let least =
                    (Double.PositiveInfinity, members)
                    ||> Seq.fold (fun least i ->
                        if y[i].High >= before.Low then
                            min least change[i].Low
                        else
                            least)

                let most =
                    (Double.NegativeInfinity, members)
                    ||> Seq.fold (fun most i ->
                        if upper i >= after.Low then
                            max most change[i].High
                        else
                            most)

                {
                    Low = max least (subtractDown after.Low before.High)
                    High = min most (subtractUp after.High before.Low)
                }
    }

let private infinitesimal =
    {
        Activation = _.Derivative
        Pool =
            fun members y change ->
                let largest =
                    members |> Seq.fold (fun best i -> max best y[i].Low) Double.NegativeInfinity

                let candidates =
                    members |> Seq.filter (fun i -> y[i].High >= largest) |> Seq.toArray

                let isTie = candidates |> Array.forall (fun i -> y[i].Low = y[i].High)
                let lows = candidates |> Array.map (fun i -> change[i].Low)

                if candidates.Length = 0 then
                    { Low = nan; High = nan } // a nominal value that is no number
                else
                    {
                        Low = (if isTie then Array.max lows else Array.min lows)
                        High = candidates |> Array.map (fun i -> change[i].High) |> Array.max
                    }
    }

let private layer (engine: IEngine) rules (placed: PlacedLayer) increment =
    let nominal = EnclosedTensor.apply engine placed increment.Nominal

    let change =
        match placed.Layer with
        | Affine(map, _) -> EnclosedTensor.apply engine { placed with Layer = Layer.linear map } increment.Change
        | Activation activations ->
            let y, change = intervals increment.Nominal, intervals increment.Change

            Array.init y.Length (fun i -> rules.Activation activations[i] y[i] change[i])
            |> enclosed placed.Output
        | MaxPooling geometry ->
            let y, change = intervals increment.Nominal, intervals increment.Change
            let pooled = Array.zeroCreate geometry.OutputSize
            PoolingWindows.iterate geometry (fun output members -> pooled[output] <- rules.Pool members y change)
            enclosed placed.Output pooled
        | Reshape _
        | Identity -> EnclosedTensor.apply engine placed increment.Change

    { Nominal = nominal; Change = change }

let rec private walk (context: Context) rules increment node =
    Context.check context

    match node with
    | Leaf placed -> layer context.Engine rules placed increment
    | Chain nodes -> (increment, nodes) ||> List.fold (walk context rules)
    | Branches nodes ->
        nodes
        |> List.map (walk context rules increment)
        |> List.reduce (fun a b ->
            {
                Nominal = EnclosedTensor.add a.Nominal b.Nominal
                Change = EnclosedTensor.add a.Change b.Change
            })

let private run context rules (network: Network) (x: Tensor) change =
    let increment =
        {
            Nominal = EnclosedTensor.exact (Tensor.reshape network.InputShape x)
            Change = change
        }

    (walk context rules increment network.Node).Change

/// `f(y) − f(x)`, enclosed; both inputs are taken as exact.
let difference (context: Context) (network: Network) (x: Tensor) (y: Tensor) : EnclosedTensor =
    let change (a: float) (b: float) =
        {
            Low = subtractDown b a
            High = subtractUp b a
        }

    Array.map2 change (Tensor.values x) (Tensor.values y)
    |> enclosed network.InputShape
    |> run context finite network x

/// The one-sided derivative `f′(x; v) = lim (f(x + t v) − f(x)) / t` for `t ↓ 0`, enclosed. It exists at kinks too, and
/// `‖f′(x; v)‖ / ‖v‖` is a limit of slopes.
let derivative (context: Context) (network: Network) (x: Tensor) (direction: Tensor) : EnclosedTensor =
    EnclosedTensor.exact (Tensor.reshape network.InputShape direction)
    |> run context infinitesimal network x

/// An upper bound on the norm of an enclosed vector; infinite where a value or an error is not a finite number.
let sizeUp norm (vector: EnclosedTensor) =
    let sizes =
        Array.map2
            (fun value error -> Rounding.addUp (abs value) error)
            (Tensor.values vector.Value)
            (Tensor.values vector.Error)

    if Array.forall Double.IsFinite sizes then
        NormedVectors.sizeUp norm sizes
    else
        Double.PositiveInfinity

/// A lower bound on the norm of an enclosed vector; 0 where a value or an error is not a finite number.
let sizeDown norm (vector: EnclosedTensor) =
    let least (value: float) (error: float) =
        let low = Math.BitDecrement(abs value - error)
        // Written so that a NaN counts as 0.
        if low > 0.0 then low else 0.0

    Array.map2 least (Tensor.values vector.Value) (Tensor.values vector.Error)
    |> NormedVectors.sizeDown norm
