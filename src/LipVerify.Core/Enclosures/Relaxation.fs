/// Linear lower and upper functions of what bends, in terms of deviations from the exact nominal values (METHODS section 6): for
/// a deviation `δ` of the input with `−fall ≤ δ ≤ rise`, that of the output lies between `lowerSlope·δ − lowerDrop` and
/// `upperSlope·δ + upperLift`. Drops and lifts are rounded upward, so that any computed slope is a sound one.
module LipVerify.Core.Enclosures.Relaxation

open System
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.LowerBounds

/// The two functions of each output: the input entry that each refers to, its slope in [0, 1], and its offset, non-negative.
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

/// `a − b` rounded upward; exact where `b = 0`.
let private subtractUp (a: float) (b: float) = Rounding.addUp a -b

/// A line above two points, and so above every convex function between them: its slope, and its lift at 0, rounded upward.
let private chord fall rise (atFall: float) (atRise: float) =
    let slope =
        let slope = (atRise - atFall) / (rise + fall)
        // Written so that 0/0 and ∞/∞ become 0.
        if slope > 0.0 then min slope 1.0 else 0.0

    let least (product: float) =
        if product > 0.0 then Math.BitDecrement product else 0.0

    let lift =
        if slope = 0.0 then
            max atFall atRise
        else
            max (subtractUp atRise (least (slope * rise))) (Rounding.addUp atFall (Rounding.mulUp slope fall))

    struct (slope, max lift 0.0)

/// `relu(v)`, and 0 where nothing is known.
let private rectified (v: float) = if v > 0.0 then v else 0.0

/// How far the ReLU can rise: `relu(y0 + rise) − relu(y0)`, which grows with `y0`.
let private reluRise high rise =
    if high >= 0.0 then
        rise
    else
        min rise (rectified (Rounding.addUp high rise))

/// How far it can fall: `relu(y0) − relu(y0 − fall)`, which grows with `y0` too.
let private reluFall high fall = min fall (rectified high)

/// Deviations of the ReLU's outputs.
let rectify (d: Deviations) =
    struct (Array.map2 reluFall d.High d.Fall, Array.map2 reluRise d.High d.Rise)

/// Whether the sign of `y0 + δ` is known: 1 where it is not negative, −1 where it is not positive, else 0.
let sign (d: Deviations) i =
    // Comparisons are exact, sums would not be.
    if d.High[i] <= -d.Rise[i] then -1
    elif d.Low[i] >= d.Fall[i] then 1
    else 0

/// The functions of the ReLU: the identity where `y̲ ≥ 0`, zero where `ȳ ≤ 0`; else above the chord, below `α·y` with
/// `α = [ȳ > −y̲]`.
let relu (d: Deviations) : Relaxation =
    let n = d.Low.Length
    let lowerSlope, lowerDrop = Array.zeroCreate n, Array.zeroCreate n
    let upperSlope, upperLift = Array.zeroCreate n, Array.zeroCreate n

    for i in 0 .. n - 1 do
        let low, high, fall, rise = d.Low[i], d.High[i], d.Fall[i], d.Rise[i]

        match sign d i with
        | 1 ->
            lowerSlope[i] <- 1.0
            upperSlope[i] <- 1.0
        | -1 -> ()
        | _ ->
            let least = min fall (rectified low)
            let struct (slope, lift) = chord fall rise -least (reluRise high rise)
            upperSlope[i] <- slope
            upperLift[i] <- lift

            // α(y0 + δ) − relu(y0) is −relu(−y0) + δ for α = 1; for α = 0 the ReLU's fall bounds the same from below.
            if high + rise > fall - low then
                lowerSlope[i] <- 1.0
                lowerDrop[i] <- rectified -low
            else
                lowerDrop[i] <- reluFall high fall

    let entries = Array.init n id

    {
        LowerEntry = entries
        LowerSlope = lowerSlope
        LowerDrop = lowerDrop
        UpperEntry = entries
        UpperSlope = upperSlope
        UpperLift = upperLift
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
            let struct (slope, lift) = chord fall rise (max -fall others) (max own others)
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
