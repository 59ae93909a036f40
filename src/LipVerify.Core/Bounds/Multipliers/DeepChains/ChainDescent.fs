/// The least constant over the weights of all layers of a chain together. At the least one LipSDP's matrix is singular in several directions, so
/// that the constant itself has kinks there: what is minimised is `τ ln L² − ln det(I − T)` for ever larger `τ` (Fiacco & McCormick 1968), by the
/// limited memory quasi-Newton method (Nocedal 1980). Nothing here is trusted.
module internal LipVerify.Core.Bounds.Multipliers.DeepChains.ChainDescent

open System
open System.Collections.Generic
open System.Numerics.Tensors
open LipVerify.Core.Numbers
open LipVerify.Core.Computation

/// Steps that the method remembers.
let private memory = 24

/// The largest change of a logarithm in a step.
let private longest = 2.0

/// Progress of `ln L` from one minimum to the next that still counts.
let private worthwhile = 1e-4

/// Steps at most towards one minimum, and at least: what is remembered of curvature has to fit before it says how near the minimum is.
let private mostSteps = 60
let private leastSteps = 8

/// Newton's decrement, squared, at which a minimum is near enough.
let private near = 0.5

/// The first `τ`, and the factor from one to the next.
let private startPull = 10.0
let private growth = 2.0

/// The least `τ` at which a search may end, and no less than the number of neurons: what is left to gain is a part of the latter over the former.
let private leastPull = 1000.0

/// `ln L²` for an output that is large enough for the start: in units, its share of `L²` is at most 4.
let private startLevel = log 64.0

/// By how much the first `ln L²` lies above the least that the start proves.
let private room = log 4.0

/// What a search found.
[<NoEquality; NoComparison>]
type Found =
    {
        /// `d = 1/λ`, one a neuron.
        Weights: float[]
        /// About the least `ln L²` that these prove, in the chain's units.
        Level: float
        /// Whether the time was over before progress faded.
        IsCut: bool
    }

let private dot (a: float[]) (b: float[]) =
    TensorPrimitives.Dot(ReadOnlySpan a, ReadOnlySpan b)

let private addScaled (factor: float) (x: float[]) (y: float[]) =
    TensorPrimitives.MultiplyAdd(ReadOnlySpan x, factor, ReadOnlySpan y, Span y)

/// Steps with the changes of the gradient.
type private Memory() =
    let pairs = LinkedList<struct (float[] * float[])>()

    member _.Clear() = pairs.Clear()

    member _.IsEmpty = pairs.Count = 0

    member _.Add (step: float[]) (change: float[]) =
        // Other pairs would not keep the direction one of descent.
        if dot step change > 1e-10 * sqrt (dot step step * dot change change) then
            pairs.AddLast(struct (step, change)) |> ignore

            if pairs.Count > memory then
                pairs.RemoveFirst()

    /// `−H g`, where `H` starts from a diagonal.
    member _.Direction (gradient: float[]) (diagonal: float[]) =
        let q = gradient |> Array.map (~-)
        let known = Seq.toArray pairs

        let factors =
            known
            |> Array.rev
            |> Array.map (fun struct (s, y) ->
                let a = dot s q / dot s y
                addScaled -a y q
                a)
            |> Array.rev

        let scale =
            if known.Length = 0 then
                1.0
            else
                let struct (s, y) = Array.last known
                let scaled = Array.map2 (*) y diagonal
                dot s y / dot y scaled

        let direction = Array.map2 (fun q d -> scale * q * d) q diagonal

        known
        |> Array.iteri (fun i (struct (s, y)) ->
            let b = dot y direction / dot s y
            addScaled (factors[i] - b) s direction)

        direction

/// The function that is minimised: `τ ln L² − ln det(I − T)`, of one number a group of neurons, added to `ln d` of all of them, and of `ln L²` behind
/// these numbers.
[<NoEquality; NoComparison>]
type private Objective =
    {
        Context: Context
        Chain: MultiplierChain
        Groups: int[]
        Count: int
        /// `τ`: the larger it is, the nearer comes `L` to the least possible.
        Pull: float
    }

let private valueAt objective (point: ChainPoint) =
    objective.Pull * point.Level + point.Barrier

let private sumByGroup objective (values: float[]) last =
    let sums = Array.zeroCreate<float>(objective.Count + 1)

    objective.Groups
    |> Array.iteri (fun i group -> sums[group] <- sums[group] + values[i])

    sums[objective.Count] <- last
    sums

/// The gradient, and the reciprocals of the curvatures that numbers have alone.
let private slopesAt objective point =
    let struct (slopes, curvatures, trace) =
        ChainRecursion.derivatives objective.Context objective.Chain point

    let slopes = sumByGroup objective slopes (objective.Pull - trace)
    let curvatures = sumByGroup objective curvatures (trace + trace * trace)
    struct (slopes, curvatures |> Array.map (fun c -> 1.0 / (c + 1e-3)))

let private move objective (point: ChainPoint) (step: float[]) (length: float) =
    let weights =
        Array.mapi (fun i weight -> weight * exp (length * step[objective.Groups[i]])) point.Weights

    ChainRecursion.tryEvaluate objective.Context objective.Chain weights (point.Level + length * step[objective.Count])

/// Halvings of a step at most.
let private mostHalvings = 30

/// The first of ever shorter steps that gains a part of what the slope promises.
let private search objective point value (slope: float) (direction: float[]) =
    let length = min 1.0 (longest / (Array.maxBy abs direction |> abs))

    Seq.init mostHalvings (fun k -> Math.ScaleB(length, -k))
    |> Seq.tryPick (fun length ->
        move objective point direction length
        |> Option.bind (fun next ->
            let nextValue = valueAt objective next

            if nextValue <= value + 1e-4 * length * slope then
                Some(struct (next, nextValue, length))
            else
                None))

/// Steps towards one minimum.
let private center objective (pairs: Memory) (start: ChainPoint) (record: ChainPoint -> unit) =
    let context = objective.Context

    let rec iterate steps point value (slopes: float[]) diagonal =
        if steps = mostSteps || Context.isOver context then
            point
        else
            let direction = pairs.Direction slopes diagonal
            let slope = dot slopes direction

            if -slope < near && steps >= leastSteps then
                point
            else
                match search objective point value slope direction with
                | None when pairs.IsEmpty -> point
                | None ->
                    pairs.Clear()
                    iterate (steps + 1) point value slopes diagonal
                | Some(struct (next, nextValue, length)) ->
                    record next
                    let struct (nextSlopes, nextDiagonal) = slopesAt objective next

                    pairs.Add (direction |> Array.map (fun x -> length * x)) (Array.map2 (-) nextSlopes slopes)

                    iterate (steps + 1) next nextValue nextSlopes nextDiagonal

    let struct (slopes, diagonal) = slopesAt objective start
    iterate 0 start (valueAt objective start) slopes diagonal

/// The best weights that were found in the time of the context, from those of `start` on, `perLayer` with one factor for all neurons of a layer;
/// none where the start bounds nothing.
let run (context: Context) perLayer (chain: MultiplierChain) (start: float[]) : Found option =
    let groups =
        if perLayer then
            chain.Slopes
            |> Array.mapi (fun k slopes -> Array.create slopes.Length k)
            |> Array.concat
        else
            Array.init chain.Neurons id

    let opened = chain.Open

    let pairs = Memory()

    let mutable best =
        {
            Weights = start
            Level = Double.PositiveInfinity
            IsCut = true
        }

    let record (point: ChainPoint) =
        if point.Least < best.Level then
            best <-
                { best with
                    Weights = point.Weights
                    Level = point.Least
                }

        let constant = Math.ScaleB(exp (0.5 * best.Level), chain.Exponent)
        context.Report $"{opened} multipliers of all layers together: {Figure.upward constant} so far"

    /// Ever nearer to the boundary, until that gains nothing.
    let rec follow pull point =
        let objective =
            {
                Context = context
                Chain = chain
                Groups = groups
                Count = Array.last groups + 1
                Pull = pull
            }

        let before = best.Level
        let point = center objective pairs point record

        if Context.isOver context then
            best
        elif before - best.Level < 2.0 * worthwhile && pull >= max leastPull (float opened) then
            { best with IsCut = false }
        else
            follow (growth * pull) point

    let level = startLevel + log (float (Array.last chain.Maps).Rows)

    ChainRecursion.tryEvaluate context chain start level
    |> Option.bind (fun point -> ChainRecursion.tryEvaluate context chain start (point.Least + room))
    |> Option.map (fun point ->
        record point
        follow startPull point)
