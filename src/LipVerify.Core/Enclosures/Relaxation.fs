/// Linear lower and upper functions of what bends, in terms of deviations from the exact nominal values (METHODS section 6): for
/// a deviation `δ` of the input with `−fall ≤ δ ≤ rise`, that of the output lies between `lowerSlope·δ − lowerDrop` and
/// `upperSlope·δ + upperLift`. Drops and lifts are rounded upward, so that any computed slope is a sound one.
module LipVerify.Core.Enclosures.Relaxation

open System
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Activations
open LipVerify.Core.Activations.Curves
open LipVerify.Core.Networks
open LipVerify.Core.LowerBounds

/// The two functions of each output: the input entry that each refers to, its slope, and its offset, non-negative.
[<ReferenceEquality>]
type Relaxation =
    {
        /// The input entry of each lower function.
        LowerEntry: int[]
        /// Its slope.
        LowerSlope: float[]
        /// What it lies below `slope·δ` at least.
        LowerDrop: float[]
        /// The input entry of each upper function.
        UpperEntry: int[]
        /// Its slope.
        UpperSlope: float[]
        /// What it lies above `slope·δ` at least.
        UpperLift: float[]
    }

/// Deviations from exact nominal values, which lie in `[Low, High]`: `−Fall ≤ δ ≤ Rise`.
[<ReferenceEquality>]
type Deviations =
    {
        /// Lower ends of the nominal values.
        Low: float[]
        /// Upper ends of the nominal values.
        High: float[]
        /// How far below its nominal value each entry can lie.
        Fall: float[]
        /// How far above.
        Rise: float[]
    }

module Deviations =

    /// The deviations with the ends of the nominal values; ends are infinite where these are not finite numbers.
    let create (nominal: EnclosedTensor) (fall: float[]) (rise: float[]) =
        let ends sign =
            Array.map2
                (fun (value: float) error ->
                    if Double.IsFinite value && Double.IsFinite error then
                        sign * Rounding.addUp (sign * value) error
                    else
                        sign * Double.PositiveInfinity)
                (Tensor.values nominal.Value)
                (Tensor.values nominal.Error)

        {
            Low = ends -1.0
            High = ends 1.0
            Fall = fall
            Rise = rise
        }

    /// Those of one entry.
    let excursion (d: Deviations) i : Excursion =
        {
            NominalLow = d.Low[i]
            NominalHigh = d.High[i]
            Down = d.Fall[i]
            Up = d.Rise[i]
        }

/// `a − b` rounded upward; exact where `b = 0`.
let private subtractUp (a: float) (b: float) = Rounding.addUp a -b

/// Deviations of the outputs of activations.
let activated (activations: EntryActivations) (d: Deviations) =
    let ends =
        Array.Parallel.init d.Low.Length (fun i -> activations[i].Deviations(Deviations.excursion d i))

    struct (ends |> Array.map (fun struct (fall, _) -> fall), ends |> Array.map (fun struct (_, rise) -> rise))

/// The functions of activations.
let activation (activations: EntryActivations) (d: Deviations) : Relaxation =
    let lines =
        Array.Parallel.init d.Low.Length (fun i -> activations[i].Lines(Deviations.excursion d i))

    let entries = Array.init lines.Length id

    {
        LowerEntry = entries
        LowerSlope = lines |> Array.map _.LowerSlope
        LowerDrop = lines |> Array.map _.LowerDrop
        UpperEntry = entries
        UpperSlope = lines |> Array.map _.UpperSlope
        UpperLift = lines |> Array.map _.UpperLift
    }

/// What is known of one pooling window.
[<Struct>]
type private Window =
    {
        /// The maximum of the nominal values is at least this.
        Least: float
        /// The maximum of the values is at least this.
        Floor: float
    }

let private window (d: Deviations) (members: ArraySegment<int>) =
    let mutable least = Double.NegativeInfinity
    let mutable floor = Double.NegativeInfinity

    for i in members do
        least <- max least d.Low[i]
        floor <- max floor -(subtractUp d.Fall[i] d.Low[i])

    { Least = least; Floor = floor }

/// Whether member `i` can be the largest.
let private canWin (d: Deviations) window i =
    not (Rounding.addUp d.High[i] d.Rise[i] < window.Floor)

/// Members of windows that can win where another can too: those whose bounds matter.
let contested (geometry: PoolingGeometry) (d: Deviations) : bool[] =
    let contested = Array.zeroCreate d.Low.Length

    PoolingWindows.iterate geometry (fun _ members ->
        let window = window d members
        let candidates = members |> Seq.filter (canWin d window) |> Seq.toArray

        if candidates.Length > 1 then
            for i in candidates do
                contested[i] <- true)

    contested

/// How far the maximum can lie above its nominal value `M0` if member `i` is the largest: at most `rise`, and at most the
/// member's upper bound less `M0`.
let private memberRise (d: Deviations) window i =
    let above = subtractUp (Rounding.addUp d.High[i] d.Rise[i]) window.Least
    if above < d.Rise[i] then above else d.Rise[i]

/// An upper bound on `M0 − y0_m`, 0 where the member is the only candidate.
let private gap (d: Deviations) (members: ArraySegment<int>) m =
    let mutable largest = Double.NegativeInfinity

    for i in members do
        if i <> m then
            largest <- max largest d.High[i]

    if largest <= d.Low[m] then
        0.0
    else
        subtractUp largest d.Low[m]

/// The member with the largest `key`, and among several that with the largest `second`.
let private best (members: ArraySegment<int>) (key: int -> float) (second: int -> float) =
    let mutable chosen = members[0]

    for i in members do
        let value, largest = key i, key chosen

        if value > largest || value = largest && second i > second chosen then
            chosen <- i

    chosen

/// `y̲` of an entry, rounded downward.
let private lowerEnd (d: Deviations) i = -(subtractUp d.Fall[i] d.Low[i])

/// `ȳ` of an entry, rounded upward.
let private upperEnd (d: Deviations) i = Rounding.addUp d.High[i] d.Rise[i]

/// Deviations of the maxima, and their functions: below, the member with the best lower bound; above, the chord of
/// `max(y_m, c)` over the range of the member with the largest upper bound, where `c` is the largest upper bound of the others. It is the
/// member itself where that dominates.
let maxPooling (geometry: PoolingGeometry) (d: Deviations) : struct (Relaxation * float[] * float[]) =
    let n = geometry.OutputSize
    let lowerEntry, lowerDrop = Array.zeroCreate n, Array.zeroCreate n

    let upperEntry, upperSlope, upperLift =
        Array.zeroCreate n, Array.zeroCreate n, Array.zeroCreate n

    let falls, rises = Array.zeroCreate n, Array.zeroCreate n

    PoolingWindows.iterate geometry (fun output members ->
        let window = window d members

        // Below: any member will do.
        let lower = best members (lowerEnd d) (upperEnd d)

        lowerEntry[output] <- lower
        lowerDrop[output] <- gap d members lower

        // M0 falls no further than the member that is largest nominally, nor than any other with what it lacks.
        let mutable deepest = 0.0

        for i in members do
            if not (d.High[i] < window.Least) then
                deepest <- max deepest d.Fall[i]

        falls[output] <- min deepest (Rounding.addUp d.Fall[lower] lowerDrop[output])

        // Above.
        let upper = best members (memberRise d window) (lowerEnd d)

        let mutable others = Double.NegativeInfinity

        for i in members do
            if i <> upper && canWin d window i then
                others <- max others (memberRise d window i)

        let own = memberRise d window upper
        upperEntry[output] <- upper
        rises[output] <- max 0.0 (max own others)

        if others <= -d.Fall[upper] then
            upperSlope[output] <- 1.0
        else
            let fall, rise = d.Fall[upper], d.Rise[upper]
            let struct (slope, lift) = Chord.above fall rise (max -fall others) (max own others)
            upperSlope[output] <- slope
            upperLift[output] <- lift)

    struct ({
                LowerEntry = lowerEntry
                LowerSlope = Array.create n 1.0
                LowerDrop = lowerDrop
                UpperEntry = upperEntry
                UpperSlope = upperSlope
                UpperLift = upperLift
            },
            falls,
            rises)
