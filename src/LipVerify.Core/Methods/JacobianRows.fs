/// Rows that are carried through the factors of a product of matrices, for the recursion of RecurJac (Zhang, Zhang & Hsieh 2019) with
/// linear functions where signs are not known (Shi, Wang, Zhang, Kolter & Hsieh 2022).
/// A row `w` with an offset `c` stands for a bound on an entry of the product: it is at most `Y w + c`, where `Y` is the row of the
/// derivatives of one output at the place where the row is now. Rows are taken as exact numbers; what rounding takes from them is
/// added to the offset.
module internal LipVerify.Core.JacobianRows

open System
open System.Threading.Tasks
open LipVerify.Compute

/// Bounds on the derivatives of all outputs at a place, entry by entry: `outputs × size`, row-major.
[<ReferenceEquality>]
type Derivatives = { Lower: float[]; Upper: float[] }

/// A factor with what is known of the derivatives behind it.
[<ReferenceEquality>]
type Link =
    /// A linear map. `weights` bound the sizes of the derivatives before it, `outputs × inputs`; `lost` bounds what products below the
    /// range of doubles may change in each output.
    | Linear of map: LinearMap * isAdjoint: bool * weights: float[] * lost: float[]
    /// Slopes, means or a spread, with the derivatives behind them.
    | Bend of JacobianFactor * Derivatives
    /// A sum of branches; `weights` bound the sizes of the derivatives behind it.
    | Summed of branches: Link list list * weights: float[]

/// Rows of one output under way, `Width` coefficients each.
[<ReferenceEquality>]
type Rows =
    {
        /// The output whose derivatives they bound.
        Output: int
        Count: int
        Width: int
        Coefficients: float[]
        Offsets: float[]
    }

let private forRows count (work: int -> unit) =
    if count = 1 then
        work 0
    else
        Parallel.For(0, count, work) |> ignore

/// What makes a computed sum of that many non-negative products an upper bound, up to products that underflow.
let private inflation terms =
    1.0 + 2.0 * Rounding.gamma (2 * terms + 4)

/// `a·b`, rounded upward; exact where a factor is 0 or 1.
let private timesUp (a: float) (b: float) =
    if a = 0.0 || b = 0.0 then 0.0
    elif a = 1.0 then b
    elif b = 1.0 then a
    else Math.BitIncrement(a * b)

/// `A w` for each row.
let image (engine: IEngine) map isAdjoint count (coefficients: float[]) : float[] =
    let width =
        if isAdjoint then
            LinearMap.inputs map
        else
            LinearMap.outputs map

    let carried = engine.Allocate(Checked.(*) count width)

    if isAdjoint then
        LinearMap.adjoint engine map count (HostStorage coefficients) carried
    else
        LinearMap.apply engine map count (HostStorage coefficients) carried

    Tensor.values (Tensor.ofStorage [ carried.Length ] carried)

/// The `γ` of `|fl(A w) − A w| ≤ γ|A||w|`.
let private gamma (engine: IEngine) map isAdjoint count =
    if isAdjoint then
        LinearMap.adjointDepth engine map count
    else
        LinearMap.applyDepth engine map count
    |> Rounding.gamma

/// What the rounding of `A w` may change in the bound: `|Y (fl(A w) − A w)| ≤ γ|Y||A||w|`, for each row.
let private roundings engine map isAdjoint (weights: float[]) (lost: float[]) output count (coefficients: float[]) =
    let width = coefficients.Length / count
    let factor = Rounding.mulUp (gamma engine map isAdjoint count) (inflation width)
    let underflow = Rounding.addUp (float width * Double.Epsilon) lost[output]
    let roundings = Array.zeroCreate count

    forRows count (fun r ->
        let mutable sum = 0.0

        for i in 0 .. width - 1 do
            let w = coefficients[r * width + i]

            if w <> 0.0 then
                sum <- sum + abs w * weights[output * width + i]

        roundings[r] <- Rounding.addUp (Rounding.mulUp factor sum) underflow)

    roundings

/// The same for the unit vectors from `first` on.
let unitRoundings engine map isAdjoint (weights: float[]) (lost: float[]) output (first: int) count =
    let width = weights.Length / lost.Length
    let gamma = gamma engine map isAdjoint count

    Array.init count (fun r -> Rounding.addUp (Rounding.mulUp gamma weights[output * width + first + r]) lost[output])

let private throughLinear engine map isAdjoint weights lost rows =
    let roundings =
        roundings engine map isAdjoint weights lost rows.Output rows.Count rows.Coefficients

    let carried = image engine map isAdjoint rows.Count rows.Coefficients

    { rows with
        Width = carried.Length / rows.Count
        Coefficients = carried
        Offsets = Array.map2 Rounding.addUp rows.Offsets roundings
    }

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

let private throughBend bend derivatives rows =
    let rows = checkedOffsets rows

    match bend with
    | SpreadFactor(contenders, inputs) -> throughSpread contenders inputs derivatives rows
    | _ -> throughSlopes bend derivatives rows

/// `w₁ + w₂` of two branches; the offsets of the second are those of it alone.
let private addRows (weights: float[]) a b =
    let width = a.Width
    let sum = Array.zeroCreate a.Coefficients.Length
    let factor = Rounding.mulUp Rounding.unitRoundoff (inflation width)

    let offsets =
        Array.init a.Count (fun r ->
            let mutable rounded = 0.0

            for i in 0 .. width - 1 do
                let at = r * width + i
                sum[at] <- a.Coefficients[at] + b.Coefficients[at]

                if sum[at] <> 0.0 then
                    rounded <- rounded + abs sum[at] * weights[a.Output * width + i]

            Rounding.mulUp factor rounded
            |> Rounding.addUp (float width * Double.Epsilon)
            |> Rounding.addUp b.Offsets[r]
            |> Rounding.addUp a.Offsets[r])

    { a with
        Coefficients = sum
        Offsets = offsets
    }

let rec private through (context: Context) rows link =
    Context.check context

    match link with
    | Linear(map, isAdjoint, weights, lost) -> throughLinear context.Engine map isAdjoint weights lost rows
    | Bend(bend, derivatives) ->
        let struct (rows, _) = throughBend bend derivatives rows
        rows
    | Summed(branches, weights) ->
        let start =
            { rows with
                Offsets = Array.zeroCreate rows.Count
            }

        let sum =
            branches
            |> List.map (fun links -> (start, links) ||> List.fold (through context))
            |> List.reduce (addRows weights)

        { sum with
            Offsets = Array.map2 Rounding.addUp rows.Offsets sum.Offsets
        }

let private isLinear link =
    match link with
    | Linear _ -> true
    | Bend _
    | Summed _ -> false

let private tighter (bound: float) best = if bound < best then bound else best

/// Carries rows to the output, and takes the least of the bounds on the way. Derivatives behind the last bend are entries of linear
/// maps, whose signs are known: going on would add nothing.
let rec private follow context links rows (best: float[]) : float[] =
    match links with
    | [] ->
        let ends =
            Array.init rows.Count (fun r ->
                let value = rows.Coefficients[r * rows.Width + rows.Output]

                if Double.IsFinite value then
                    Rounding.addUp rows.Offsets[r] value
                else
                    nan)

        Array.map2 tighter ends best
    | Bend(bend, derivatives) :: rest ->
        Context.check context
        let struct (behind, stops) = throughBend bend derivatives rows
        let best = Array.map2 tighter stops best

        if List.forall isLinear rest then
            best
        else
            follow context rest behind best
    | link :: rest -> follow context rest (through context rows link) best

/// Upper bounds on the entries that rows stand for, given the links from there to the output, the next one first; infinite where nothing is
/// known.
let upperBounds context links rows =
    follow context links rows (Array.create rows.Count Double.PositiveInfinity)
