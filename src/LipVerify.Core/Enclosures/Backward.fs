/// Linear functions of a stage's values, carried backward through the network to its input and bounded there (METHODS section 6).
/// A row `Λ` with an offset `c` stands for: the value sought is at most `Λ δ + c` for the deviations `δ` of the values where
/// the row is now. Rows are taken as exact numbers; what rounding takes from them is added to the offset.
module internal LipVerify.Core.Enclosures.Backward

open System
open System.Numerics
open System.Threading.Tasks
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.LowerBounds

/// One step from outputs back to inputs. `sizes` bound the deviations of its inputs: `|δ_j| ≤ sizes_j`.
[<ReferenceEquality>]
type Step =
    /// A linear map; `passed` is `|A|·sizes`, and `underflow` bounds what products below the range of doubles may add.
    | Linear of map: LinearMap * sizes: float[] * passed: float[] * underflow: float
    /// A ReLU or max pooling; at most `overlap` outputs refer to one input.
    | Bent of Relaxation.Relaxation * sizes: float[] * overlap: int
    /// The sum of branches, each a list of steps, the last first.
    | Summed of branches: Step list list * sizes: float[]

/// What products that underflow may change in `(Λ A) δ`: each entry of `Λ A`, and of the scaled `Λ` behind it, by the least double
/// a product, times the deviations that meet it.
let rec private underflowOf (engine: IEngine) map (sizes: Tensor) =
    match map with
    | Scaled(_, inner) ->
        let passed = RowNorms.absoluteRowSums engine inner sizes |> Tensor.values

        Rounding.addUp
            (underflowOf engine inner sizes)
            (Rounding.mulUp (2.0 * Double.Epsilon) (1.0 + 2.0 * Array.sum passed))
    | Rounded(_, inner) -> underflowOf engine inner sizes
    | _ ->
        let terms = float (LinearMap.termsInColumn map + 1)
        Rounding.mulUp (terms * Double.Epsilon) (1.0 + 2.0 * Array.sum (Tensor.values sizes))

/// The step of a linear map over inputs with deviations of at most `sizes`.
let linear (engine: IEngine) map (sizes: float[]) =
    let sizesTensor = Tensor.ofArray (LinearMap.inputShape map) sizes
    let lost = float (LinearMap.termsInRow map) * Double.Epsilon

    let passed =
        RowNorms.absoluteRowSums engine map sizesTensor
        |> Tensor.values
        |> Array.map (fun sum -> Rounding.addUp sum lost)

    Linear(map, sizes, passed, underflowOf engine map sizesTensor)

/// Rows under way: `count` rows of coefficients, and an offset each.
[<ReferenceEquality>]
type private Rows =
    {
        Count: int
        Coefficients: float[]
        Offsets: float[]
    }

/// What makes a computed sum of that many non-negative products an upper bound, up to products that underflow.
let private inflation terms =
    1.0 + 2.0 * Rounding.gamma (2 * terms + 4)

/// Below any sum that matters, and above what underflow takes from one.
let private lostInSum terms = float terms * Double.Epsilon

let private forRows count (work: int -> unit) =
    if count = 1 then
        work 0
    else
        Parallel.For(0, count, work) |> ignore

/// `(Λ A) δ ≤ fl(Λ A) δ + γ|Λ||A||δ|`.
let private throughLinear (engine: IEngine) map (passed: float[]) underflow rows =
    let gamma = Rounding.gamma (LinearMap.adjointDepth engine map rows.Count)
    let n = passed.Length
    let factor = Rounding.mulUp gamma (inflation n)

    let offsets = Array.copy rows.Offsets

    forRows rows.Count (fun r ->
        let mutable sum = 0.0

        for i in 0 .. n - 1 do
            let c = rows.Coefficients[r * n + i]

            if c <> 0.0 then
                sum <- sum + abs c * passed[i]

        offsets[r] <-
            Rounding.mulUp factor sum
            |> Rounding.addUp (lostInSum n)
            |> Rounding.addUp underflow
            |> Rounding.addUp offsets[r])

    let carried = engine.Allocate(Checked.(*) rows.Count (LinearMap.inputs map))
    LinearMap.adjoint engine map rows.Count (HostStorage rows.Coefficients) carried

    { rows with
        Coefficients = Tensor.values (Tensor.ofStorage [ carried.Length ] carried)
        Offsets = offsets
    }

/// Positive coefficients take the upper function, negative ones the lower.
let private throughBend (bend: Relaxation.Relaxation) (sizes: float[]) overlap rows =
    let outputs, inputs = bend.LowerEntry.Length, sizes.Length
    let carried = Array.zeroCreate (Checked.(*) rows.Count inputs)
    let offsets = Array.copy rows.Offsets
    let inflation = inflation outputs
    let gamma = Rounding.mulUp (Rounding.gamma (overlap + 1)) inflation

    forRows rows.Count (fun r ->
        let mutable lifted = 0.0
        let mutable rounded = 0.0
        let mutable vanished = 0.0

        for o in 0 .. outputs - 1 do
            let c = rows.Coefficients[r * outputs + o]

            // Nothing is multiplied by 0: offsets and sizes may be infinite.
            if c <> 0.0 then
                let isUpper = c > 0.0
                let entry = if isUpper then bend.UpperEntry[o] else bend.LowerEntry[o]
                let slope = if isUpper then bend.UpperSlope[o] else bend.LowerSlope[o]
                let offset = if isUpper then bend.UpperLift[o] else bend.LowerDrop[o]

                if offset <> 0.0 then
                    lifted <- lifted + abs c * offset

                if slope <> 0.0 then
                    let product = c * slope
                    carried[r * inputs + entry] <- carried[r * inputs + entry] + product
                    rounded <- rounded + abs product * sizes[entry]
                    vanished <- vanished + sizes[entry]
                elif Double.IsNaN c then
                    lifted <- nan

        offsets[r] <-
            Rounding.mulUp inflation lifted
            |> Rounding.addUp (Rounding.mulUp gamma rounded)
            |> Rounding.addUp (Rounding.mulUp Double.Epsilon (2.0 * vanished))
            |> Rounding.addUp (2.0 * lostInSum outputs)
            |> Rounding.addUp offsets[r])

    { rows with
        Coefficients = carried
        Offsets = offsets
    }

/// `Λ₁ + Λ₂` over the common input of two branches; the offsets of the second are those of it alone.
let private addRows (sizes: float[]) a b =
    let n = sizes.Length
    let sum = Array.zeroCreate a.Coefficients.Length
    let factor = Rounding.mulUp Rounding.unitRoundoff (inflation n)

    let offsets =
        Array.init a.Count (fun r ->
            let mutable rounded = 0.0

            for i in r * n .. (r + 1) * n - 1 do
                sum[i] <- a.Coefficients[i] + b.Coefficients[i]

                if sum[i] <> 0.0 then
                    rounded <- rounded + abs sum[i] * sizes[i - r * n]

            Rounding.mulUp factor rounded
            |> Rounding.addUp (lostInSum n)
            |> Rounding.addUp b.Offsets[r]
            |> Rounding.addUp a.Offsets[r])

    { a with
        Coefficients = sum
        Offsets = offsets
    }

let rec private through (context: Context) rows step =
    Context.check context

    match step with
    | Linear(map, _, passed, underflow) -> throughLinear context.Engine map passed underflow rows
    | Bent(bend, sizes, overlap) -> throughBend bend sizes overlap rows
    | Summed(branches, sizes) ->
        let start =
            { rows with
                Offsets = Array.zeroCreate rows.Count
            }

        let sum =
            branches
            |> List.map (fun steps -> (start, steps) ||> List.fold (through context))
            |> List.reduce (addRows sizes)

        { sum with
            Offsets = Array.map2 Rounding.addUp rows.Offsets sum.Offsets
        }

/// The most values between two steps.
let rec private widest steps =
    steps
    |> List.map (fun step ->
        match step with
        | Linear(_, sizes, passed, _) -> max sizes.Length passed.Length
        | Bent(bend, sizes, _) -> max sizes.Length bend.LowerEntry.Length
        | Summed(branches, sizes) -> branches |> List.map widest |> List.fold max sizes.Length)
    |> List.fold max 1

/// Values of rows that are held at once: 256 MB with four blocks of them.
let private budget = 1 <<< 23

/// More rows at once do not go faster.
let private mostRows = 512

/// `‖v‖` of a row, rounded upward.
let private normUp (row: ReadOnlySpan<float>) =
    let norm = Tensors.TensorPrimitives.Norm row

    // Inside this range no square that matters left the range of doubles.
    if norm > 1e-140 && norm < 1e140 then
        Rounding.mulUp (1.0 + 2.0 * Rounding.gamma (row.Length + 4)) norm
    else
        Vectors.normUp (row.ToArray())

/// The largest value of a row over a unit ball of this norm, rounded upward.
let private dualUp norm (row: ReadOnlySpan<float>) =
    match norm with
    | Euclidean -> normUp row
    | Maximum ->
        let sum = Tensors.TensorPrimitives.SumOfMagnitudes row
        Rounding.mulUp (1.0 + 2.0 * Rounding.gamma (row.Length + 1)) sum
    | Taxicab -> abs (Tensors.TensorPrimitives.MaxMagnitude row)

/// Upper bounds on `count` linear functions of the deviations behind `steps` (the last first) over a ball around the input.
/// `fill` writes the coefficients of a function, `size` of them, over zeros. A bound that left the range of doubles is infinite
/// or not a number; those that are not reached before the time of the context is over are infinite.
let upperBounds
    (context: Context)
    steps
    norm
    (radius: float)
    size
    count
    (fill: int -> Memory<float> -> unit)
    : float[] =
    let rowsAtOnce = budget / max size (widest steps) |> max 1 |> min mostRows
    let bounds = Array.create count Double.PositiveInfinity

    let carry rows =
        Context.attempt context (fun context -> (rows, steps) ||> List.fold (through context))

    for first in
        seq { 0..rowsAtOnce .. count - 1 }
        |> Seq.takeWhile (fun _ -> not (Context.isOver context)) do
        let rows =
            {
                Count = min rowsAtOnce (count - first)
                Coefficients = Array.zeroCreate (min rowsAtOnce (count - first) * size)
                Offsets = Array.zeroCreate (min rowsAtOnce (count - first))
            }

        for r in 0 .. rows.Count - 1 do
            fill (first + r) (Memory(rows.Coefficients, r * size, size))

        context.Report $"{first} of {count} rows carried to the input"

        match carry rows with
        | None -> ()
        | Some rows ->
            let inputs = rows.Coefficients.Length / rows.Count

            for r in 0 .. rows.Count - 1 do
                let largest = dualUp norm (ReadOnlySpan(rows.Coefficients, r * inputs, inputs))

                bounds[first + r] <- Rounding.addUp rows.Offsets[r] (Rounding.mulUp radius largest)

    bounds
