/// What slopes, means and their adjoints make of rows (`JacobianRows`).
module internal LipVerify.Core.Bounds.Jacobian.JacobianBends

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Bounds.Jacobian.JacobianRows

/// `a·b`, rounded upward; exact where a factor is 0 or 1.
let private timesUp (a: float) (b: float) =
    if a = 0.0 || b = 0.0 then 0.0
    elif a = 1.0 then b
    elif b = 1.0 then a
    else Math.BitIncrement(a * b)

/// The largest `y·v` over `y ∈ [lower, upper]`, `v ∈ [least, largest]`, rounded upward.
let private largestProduct lower upper least largest =
    max (max (timesUp upper largest) (timesUp lower least)) (max (timesUp upper least) (timesUp lower largest))

/// A term `y·v` is at most `Kept·y + Known`.
[<Struct>]
type private Term = { Kept: float; Known: float }

/// The term `y·v` for `y ∈ [lower, upper]` and `v ∈ [least, largest]`, both rounded outward. Where the sign of `y` is known, so is the
/// worst `v`; else the largest value, `max(y·largest, y·least)`, is convex in `y`, and lies below its chord (Shi et al. 2022).
let private term lower upper least largest =
    if least = largest then
        { Kept = least; Known = 0.0 }
    elif lower >= 0.0 then
        { Kept = largest; Known = 0.0 }
    elif upper <= 0.0 then
        { Kept = least; Known = 0.0 }
    else
        // Any slope is a sound one, given what the ends lie above it.
        let slope =
            let slope = (upper * largest - lower * least) / (upper - lower)
            if Double.IsFinite slope then slope else 0.0

        {
            Kept = slope
            Known = max (timesUp upper (Rounding.addUp largest -slope)) (timesUp -lower (Rounding.addUp slope -least))
        }

/// Bounds on the values behind slopes or means, one pair for each entry of the derivatives: `bound i (least, largest)`.
let private overBend bend (w: ReadOnlyMemory<float>) : struct (int * (int -> struct (float * float))) =
    match bend with
    | SlopeFactor slopes ->
        struct (slopes.Length,
                fun i ->
                    let w, slope = w.Span[i], slopes[i]

                    if w >= 0.0 then
                        struct (-(timesUp -w slope.Lower), timesUp w slope.Upper)
                    else
                        struct (-(timesUp -w slope.Upper), timesUp w slope.Lower))
    | MeanFactor(contenders, _) ->
        struct (contenders.Length,
                fun o ->
                    let values = w.Span
                    let mutable least = Double.PositiveInfinity
                    let mutable largest = Double.NegativeInfinity

                    for i in contenders[o] do
                        least <- min least values[i]
                        largest <- max largest values[i]

                    struct (least, largest))
    | _ -> invalidArg (nameof bend) "no slopes and no means"

/// What slopes or means make of coefficients, by `term`. Beside the rows behind the bend come the bounds that
/// the intervals of the derivatives there give at once.
let private throughSlopes bend (behind: Derivatives) rows =
    let struct (width, _) = overBend bend (ReadOnlyMemory rows.Coefficients)
    let carried = Array.zeroCreate (Checked.(*) rows.Count width)
    let offsets = Array.copy rows.Offsets
    let stops = Array.copy rows.Offsets

    forRows rows.Count (fun r ->
        let w = ReadOnlyMemory(rows.Coefficients, r * rows.Width, rows.Width)
        let struct (_, values) = overBend bend w

        for i in 0 .. width - 1 do
            let struct (least, largest) = values i

            if least <> 0.0 || largest <> 0.0 then
                let lower, upper =
                    behind.Lower[rows.Output * width + i], behind.Upper[rows.Output * width + i]

                let term = term lower upper least largest
                carried[r * width + i] <- term.Kept
                offsets[r] <- Rounding.addUp offsets[r] term.Known
                stops[r] <- Rounding.addUp stops[r] (largestProduct lower upper least largest))

    struct ({ rows with
                Width = width
                Coefficients = carried
                Offsets = offsets
            },
            stops)

/// The adjoint of means: an entry with one contender goes to it, and the part of any other in the bound is known.
let private throughSpread (contenders: int[][]) inputs (behind: Derivatives) rows =
    let carried = Array.zeroCreate (Checked.(*) rows.Count inputs)
    let offsets = Array.copy rows.Offsets
    let stops = Array.copy rows.Offsets
    let first = rows.Output * inputs

    forRows rows.Count (fun r ->
        for o in 0 .. contenders.Length - 1 do
            let w = rows.Coefficients[r * rows.Width + o]

            if w <> 0.0 then
                let mutable lower = Double.PositiveInfinity
                let mutable upper = Double.NegativeInfinity

                for i in contenders[o] do
                    lower <- min lower behind.Lower[first + i]
                    upper <- max upper behind.Upper[first + i]

                let known = largestProduct lower upper w w
                stops[r] <- Rounding.addUp stops[r] known

                if contenders[o].Length = 1 then
                    let at = r * inputs + contenders[o][0]
                    let sum = carried[at] + w

                    if carried[at] <> 0.0 then
                        let rounding = Rounding.mulUp Rounding.unitRoundoff (abs sum)

                        offsets[r] <-
                            Rounding.mulUp rounding (max (abs lower) (abs upper))
                            |> Rounding.addUp offsets[r]

                    carried[at] <- sum
                else
                    offsets[r] <- Rounding.addUp offsets[r] known)

    struct ({ rows with
                Width = inputs
                Coefficients = carried
                Offsets = offsets
            },
            stops)

/// Numbers that left the range of doubles have no sign: nothing is said of their rows.
let private checkedOffsets rows =
    let offsets =
        Array.init rows.Count (fun r ->
            let row = ReadOnlySpan(rows.Coefficients, r * rows.Width, rows.Width)

            if Double.IsFinite(Numerics.Tensors.TensorPrimitives.MaxMagnitude row) then
                rows.Offsets[r]
            else
                nan)

    { rows with Offsets = offsets }

/// Rows behind a bend, and the bounds that the derivatives there give at once.
let throughBend bend derivatives rows =
    let rows = checkedOffsets rows

    match bend with
    | SpreadFactor(contenders, inputs) -> throughSpread contenders inputs derivatives rows
    | _ -> throughSlopes bend derivatives rows
