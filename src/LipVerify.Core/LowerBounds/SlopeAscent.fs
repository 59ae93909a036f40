/// Search for two inputs of a ball between which a network changes fast: gradient ascent on the logarithm of the slope from many
/// starts side by side, and rounds in which the best of them are crossed and set out anew. A search promises nothing:
/// what it finds is certified afterwards.
module internal LipVerify.Core.SlopeAscent

open System
open System.Numerics.Tensors

/// What is searched.
[<ReferenceEquality>]
type Search =
    {
        Network: Network
        Center: float[]
        Mask: float[]
        Radius: float
        /// Displacements that move: 1 against the nominal input, 2 between pairs.
        Ends: int
    }

/// Displacements of one or two inputs from the centre, one behind the other, and the slope between them (or to the centre).
[<ReferenceEquality>]
type Candidate =
    { Slope: float; Displacements: float[] }

/// The random draws of one search.
type private Draws(seed: int) =
    let mutable stream = 0
    let uniform = Random seed
    member _.Uniform() = uniform.NextDouble()

    member _.Normal count =
        stream <- stream + 1
        Gaussian.draw seed (2_000_000 + stream) count

let private span (values: float[]) size row = Span(values, row * size, size)

let private readOnly (values: float[]) size row = ReadOnlySpan(values, row * size, size)

/// `a − b`, or `a` where the other end is the centre.
let private separation search (member': ReadOnlySpan<float>) =
    let n = search.Center.Length
    let difference = member'.Slice(0, n).ToArray()

    if search.Ends = 2 then
        TensorPrimitives.Subtract(ReadOnlySpan difference, member'.Slice n, Span difference)

    difference

/// Draws each end back into the ball, and keeps still what may not move.
let private project search (population: float[]) =
    let n = search.Center.Length

    for row in 0 .. population.Length / n - 1 do
        let ending = span population n row
        TensorPrimitives.Multiply(Span.op_Implicit ending, ReadOnlySpan search.Mask, ending)
        let distance = Vectors.norm (Span.op_Implicit ending)

        if not (Double.IsFinite distance) then
            ending.Clear()
        elif distance > search.Radius then
            TensorPrimitives.Multiply(Span.op_Implicit ending, search.Radius / distance, ending)

/// Slopes of the members, and the gradients of their logarithms times the squared distance of their ends.
let private look context search (nominal: float[]) (population: float[]) =
    let n, m = search.Center.Length, nominal.Length
    let points = population |> Array.mapi (fun k d -> search.Center[k % n] + d)

    let change (outputs: float[]) row =
        Array.init m (fun k ->
            let other =
                if search.Ends = 2 then
                    outputs[(2 * row + 1) * m + k]
                else
                    nominal[k]

            outputs[search.Ends * row * m + k] - other)

    /// `v/‖v‖²` at the first end, the opposite at the second.
    let weigh _ (outputs: float[]) =
        let weights = Array.zeroCreate outputs.Length

        for row in 0 .. outputs.Length / (m * search.Ends) - 1 do
            let v = change outputs row
            let size = Vectors.norm (ReadOnlySpan v)

            if size > 0.0 && Double.IsFinite size then
                for k in 0 .. m - 1 do
                    let weight = v[k] / size / size
                    weights[search.Ends * row * m + k] <- weight

                    if search.Ends = 2 then
                        weights[(2 * row + 1) * m + k] <- -weight

        weights

    let struct (outputs, gradient) =
        Points.pull context search.Network search.Ends points weigh

    let width = search.Ends * n
    let slopes = Array.zeroCreate (population.Length / width)

    for row in 0 .. slopes.Length - 1 do
        let s = separation search (readOnly population width row)
        let distance = Vectors.norm (ReadOnlySpan s)
        let slope = Vectors.norm (ReadOnlySpan(change outputs row)) / distance
        slopes[row] <- if Double.IsFinite slope then slope else 0.0

        for k in 0 .. width - 1 do
            let towards = s[k % n] / distance / distance
            let sign = if k < n then 1.0 else -1.0
            let at = row * width + k
            gradient[at] <- search.Mask[k % n] * (gradient[at] - sign * towards)

    struct (slopes, gradient)

/// Share of the velocity that a step keeps.
let private momentum = 0.7

/// The first step, relative to the distance of the ends; the last one is a hundredth of it.
let private firstStep = 0.3

/// Steps of normalised length along the gradient with momentum, growing smaller; the best point of each member is kept.
let private climb context search nominal steps (start: float[]) =
    let width = search.Ends * search.Center.Length
    let population = Array.copy start
    let velocity = Array.zeroCreate population.Length
    let best = Array.zeroCreate (population.Length / width)
    let reached = Array.copy population

    for step in 0..steps do
        let struct (slopes, gradient) = look context search nominal population

        let length =
            firstStep
            * (0.01 + 0.495 * (1.0 + cos (Math.PI * float step / float (max 1 steps))))

        for row in 0 .. best.Length - 1 do
            if slopes[row] > best[row] then
                best[row] <- slopes[row]
                (readOnly population width row).CopyTo(span reached width row)

            let distance =
                Vectors.norm (ReadOnlySpan(separation search (readOnly population width row)))

            let speed = span velocity width row
            TensorPrimitives.Multiply(Span.op_Implicit speed, momentum, speed)

            TensorPrimitives.MultiplyAdd(
                readOnly gradient width row,
                (1.0 - momentum) * distance,
                Span.op_Implicit speed,
                speed
            )

            let size = Vectors.norm (Span.op_Implicit speed)

            if size > 0.0 && Double.IsFinite size then
                let ending = span population width row

                TensorPrimitives.MultiplyAdd(
                    Span.op_Implicit speed,
                    length * distance / size,
                    Span.op_Implicit ending,
                    ending
                )
            else
                speed.Clear()

        project search population

    Array.init best.Length (fun row ->
        {
            Slope = best[row]
            Displacements = (readOnly reached width row).ToArray()
        })

/// A member from the displacement of its other end and the separation of the two.
let private placed search (other: float[]) (separation: float[]) =
    if search.Ends = 2 then
        Array.append (Array.map2 (+) other separation) other
    else
        separation

let private scaledTo length (direction: float[]) =
    let norm = Vectors.norm (ReadOnlySpan direction)

    if norm > 0.0 && Double.IsFinite norm then
        direction |> Array.map (fun d -> d / norm * length)
    else
        Array.zeroCreate direction.Length

/// Steps of power iteration towards a direction to start in.
let private singularSteps = 15

/// A quarter of the starts lies along ± the top right singular vectors of the Jacobian at the centre and at points close to it, the
/// others in random directions; distances from a hundredth of the radius up to all of it.
let private starts context search (draws: Draws) count =
    let n = search.Center.Length
    let singular = (count + 7) / 8

    let random length =
        draws.Normal n |> Array.map2 (*) search.Mask |> scaledTo length

    let nearby =
        Array.init singular (fun index ->
            if index = 0 then
                Array.zeroCreate n
            else
                random (search.Radius * Math.Pow(10.0, -3.0 * draws.Uniform())))

    let vectors =
        nearby
        |> Array.collect (Array.map2 (+) search.Center)
        |> Points.topSingularVectors context search.Network search.Mask singularSteps

    Array.init count (fun index ->
        let distance =
            search.Radius
            * (if index % 4 <> 3 then
                   0.9
               else
                   Math.Pow(10.0, -2.0 * draws.Uniform()))

        let separation, other =
            if index < 2 * singular then
                let sign = if index % 2 = 0 then 1.0 else -1.0
                let at = index / 2

                Array.sub vectors (at * n) n |> Array.map (fun v -> sign * distance * v), nearby[at]
            else
                random distance, random (search.Radius * draws.Uniform())

        placed search other separation)
    |> Array.concat

/// A child of two members: their separations added up and disturbed, around the other end of the first or midway.
let private cross search (draws: Draws) disturbance (a: float[]) (b: float[]) =
    let n = search.Center.Length
    let s, t = separation search (ReadOnlySpan a), separation search (ReadOnlySpan b)
    let length = Vectors.norm (ReadOnlySpan s)
    let noise = draws.Normal n |> Array.map2 (*) search.Mask

    let mixed =
        Array.map3
            (fun x y z -> x + y + z)
            (scaledTo length s)
            (scaledTo length t)
            (scaledTo (disturbance * length) noise)
        |> scaledTo length

    let other =
        if search.Ends = 1 then
            [||]
        elif draws.Uniform() < 0.5 then
            Array.sub a n n
        else
            Array.map2 (fun x y -> 0.5 * x + 0.5 * y) (Array.sub a n n) (Array.sub b n n)

    placed search other mixed

/// The cosine of the angle between the separations of two members.
let private cosine search (a: Candidate) (b: Candidate) =
    let s, t =
        separation search (ReadOnlySpan a.Displacements), separation search (ReadOnlySpan b.Displacements)

    let norm (v: float[]) = Vectors.norm (ReadOnlySpan v)
    TensorPrimitives.Dot(ReadOnlySpan s, ReadOnlySpan t) / norm s / norm t

/// The best members, best first, of which no two point in directions closer than `similarity`.
let private elite search similarity count (candidates: Candidate[]) =
    let rec choose (chosen: Candidate list) (remaining: Candidate list) =
        match remaining with
        | candidate :: rest when chosen.Length < count ->
            if chosen |> List.exists (fun other -> cosine search candidate other > similarity) then
                choose chosen rest
            else
                choose (candidate :: chosen) rest
        | _ -> chosen

    candidates
    |> Array.sortByDescending _.Slope
    |> List.ofArray
    |> choose []
    |> List.rev
    |> Array.ofList

/// Members of the early rounds stay apart, so that one good region does not crowd out a better one; those of the last two
/// rounds may gather.
let private similarity effort index =
    if index < effort.Rounds - 2 then 0.95 else 1.0 - 1e-6

/// The best members of the search, best first.
let run (context: Context) (search: Search) (effort: Effort) : Candidate[] =
    let draws = Draws context.Seed
    let nominal = Points.outputs context search.Network search.Center
    let kept = max 1 (effort.Starts / 4)

    let round (best: Candidate[]) index =
        let population =
            if index = 0 then
                starts context search draws effort.Starts
            else
                let disturbance = 0.5 * Math.Pow(0.6, float (index - 1))

                Array.init effort.Starts (fun child ->
                    let first = best[child % best.Length].Displacements

                    let second =
                        if draws.Uniform() < 0.5 then
                            first
                        else
                            best[int (draws.Uniform() * float best.Length)].Displacements

                    cross search draws disturbance first second)
                |> Array.concat

        project search population

        let best =
            climb context search nominal effort.Steps population
            |> Array.append best
            |> elite search (similarity effort index) kept

        context.Report $"slope ascent, round {index + 1} of {effort.Rounds}: {best[0].Slope:G6}"
        best

    ([||], seq { 0 .. effort.Rounds - 1 }) ||> Seq.fold round
