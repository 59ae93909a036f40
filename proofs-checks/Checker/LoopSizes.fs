/// What rounding may change in passes through a loop.
///
/// Each step of a pass computes `A x` with an error of at most `η|A||x|`, entry by entry. Written as a sum over all paths from an input to
/// a result, `K` becomes a sum of products of entries; with `|K|` the sum of their absolute values, a whole pass therefore errs by at
/// most `(Π(1 + η) − 1)|K||x|`, forward, and with the transposed of `|K|` backward. Sums of the rows and columns of `|K|` come from one pass each
/// way over absolute values.
module LipVerify.Checker.LoopSizes

open System
open LipVerify.Checker.Directed
open LipVerify.Checker.LiveMatrix
open LipVerify.Checker.Loop

[<NoEquality; NoComparison>]
type Sizes =
    {
        /// `Π(1 + η) − 1` over all steps.
        Relative: float
        /// Row sums of `|K|`, as far as the increments before each place. 0 where a row has no path.
        Increments: float[][]
        /// `√(‖|K|‖₁‖|K|‖_∞) ≥ ‖|K|‖ ≥ ‖K‖`.
        Norm: float
        /// The largest row or column sum at any point on the way.
        Largest: float
    }

/// Absolute values are summed in plain floating point; this is more than rounding takes.
let private inflation = 1.0 + 1e-6

/// What underflow may take from one product, and more: so that what is positive stays so.
let private least = 1e-290

let private product a x =
    if a = 0.0 || x = 0.0 then 0.0 else abs a * x + least

let private multiplyAbsolute (matrix: Matrix) (x: float[]) =
    Array.Parallel.init matrix.RowCount (fun i ->
        let mutable sum = 0.0

        for k in matrix.Starts[i] .. matrix.Starts[i + 1] - 1 do
            sum <- sum + product matrix.Values[k] x[matrix.Indices[k]]

        sum)

let private factored (map: Map) y =
    if map.Factors.Length = 0 then
        y
    else
        Array.map2 product map.Factors y

let private added (a: float[]) b = Array.map2 (+) a b

/// The most outputs of a bend that one entry has a part in.
let private overlap (bend: Bend) =
    let counts = Array.zeroCreate<int> bend.Inputs

    let count i =
        if i >= 0 then
            counts[i] <- counts[i] + 1

    for k in 0 .. bend.Leaders.Length - 1 do
        count bend.Leaders[k]

        if bend.Channels[k] >= 0 then
            count bend.Plus[k]
            count bend.Minus[k]

    Array.max counts

/// The relative error of each step, forward and backward. Operations in a bend follow each other in a sum of as many terms as overlap.
let rec private relative step =
    match step with
    | Mapped map ->
        Twofold.multiplicationError map.Rows
        + Twofold.multiplicationError map.Columns
        + 4.0 * Twofold.error
        + map.Spread
    | Bent(_, bend) -> float (2 * overlap bend + 16) * Twofold.error
    | Added branches ->
        (branches |> List.sumBy (List.sumBy relative))
        + float branches.Length * Twofold.error

/// Sizes of an operator with so many places.
let measure (operator: Operator) places : Sizes =
    let loop = operator.Loop
    let increments = Array.create places [||]
    let mutable largest = 0.0

    let seen (x: float[]) =
        largest <- max largest (Array.max x)
        x

    let v = Array.zeroCreate<float> loop.Widths.Length

    let rec forward (z: float[]) step =
        match step with
        | Mapped map -> multiplyAbsolute map.Rows z |> factored map
        | Bent(place, bend) ->
            increments[place] <- z

            bend.Leaders
            |> Array.mapi (fun k leader ->
                let followed = product bend.Slopes[k] z[leader]
                let channel = bend.Channels[k]

                if channel < 0 then
                    followed
                else
                    let d = z[bend.Plus[k]] + (if bend.Minus[k] < 0 then 0.0 else z[bend.Minus[k]])
                    v[channel] <- product operator.Out[channel] d
                    followed + product bend.Means[k] d + operator.In[channel])
        | Added branches -> branches |> List.map (List.fold forward z) |> List.reduce added
        |> seen

    let rows =
        List.fold forward (Array.create loop.Inputs 1.0) loop.Steps
        |> Array.map (product operator.Scale)

    let u = Array.zeroCreate<float> loop.Widths.Length

    let rec backward step (y: float[]) =
        match step with
        | Mapped map -> factored map y |> multiplyAbsolute map.Columns
        | Bent(_, bend) ->
            let z = Array.zeroCreate<float> bend.Inputs

            for k in 0 .. y.Length - 1 do
                z[bend.Leaders[k]] <- z[bend.Leaders[k]] + product bend.Slopes[k] y[k]
                let channel = bend.Channels[k]

                if channel >= 0 then
                    let d = product bend.Means[k] y[k] + operator.Out[channel]
                    z[bend.Plus[k]] <- z[bend.Plus[k]] + d

                    if bend.Minus[k] >= 0 then
                        z[bend.Minus[k]] <- z[bend.Minus[k]] + d

                    u[channel] <- product operator.In[channel] y[k]

            z
        | Added branches ->
            branches
            |> List.map (fun steps -> List.foldBack backward steps y)
            |> List.reduce added
        |> seen

    let columns =
        List.foldBack backward loop.Steps (Array.create loop.Outputs operator.Scale)

    let most (a: float[]) (b: float[]) =
        inflation * max (Array.max a) (Array.fold max 0.0 b)

    let norm = sqrt (most rows v * most columns u) * inflation
    // The outputs are scaled at the end, or at the start.
    let eta = (loop.Steps |> List.sumBy relative) + 4.0 * Twofold.error

    {
        // Π(1 + η) − 1 ≤ Ση·(1 + Ση) where that is small; anything else is refused.
        Relative =
            if eta < 1e-3 then
                eta * (1.0 + 1e-2)
            else
                Double.PositiveInfinity
        Increments = increments |> Array.map (Array.map ((*) inflation))
        Norm = norm
        Largest =
            List.fold
                max
                largest
                [
                    most rows v
                    most columns u
                    Array.fold max 0.0 operator.In
                    Array.fold max 0.0 operator.Out
                ]
    }
