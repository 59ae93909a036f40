/// Search for two inputs of a ball between which a network changes fast: gradient ascent on the logarithm of the slope from many
/// starts side by side, and rounds in which the best of them are crossed and set out anew. A search promises nothing:
/// what it finds is certified afterwards.
module internal LipVerify.Core.LowerBounds.SlopeAscent

open System
open System.Numerics.Tensors
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LowerBounds.SlopeSearch

/// The random draws of one search.
type private Draws(seed: int) =
    let mutable stream = 0
    let uniform = Random seed
    member _.Uniform() = uniform.NextDouble()

    member _.Normal count =
        stream <- stream + 1
        Gaussian.draw seed (2_000_000 + stream) count

/// A member from the displacement of its other end and the separation of the two.
let private placed search (other: float[]) (separation: float[]) =
    if search.Ends = 2 then
        Array.append (Array.map2 (+) other separation) other
    else
        separation

let private scaledTo norm length (direction: float[]) =
    let size = NormedVectors.size norm (ReadOnlySpan direction)

    if size > 0.0 && Double.IsFinite size then
        direction |> Array.map (fun d -> d / size * length)
    else
        Array.zeroCreate direction.Length

/// A displacement of the given length: any in the 2-norm, a corner of the ball in the others.
let private randomly search (draws: Draws) length =
    draws.Normal search.Center.Length
    |> Array.map2 (*) search.Mask
    |> NormedVectors.furthest search.Norm
    |> Array.map (fun d -> d * length)

/// Steps of power iteration towards a direction to start in.
let private singularSteps = 15

/// A quarter of the starts lies along ± the directions in which the Jacobian stretches most at the centre and at points close to it, the
/// others in random directions; distances from a hundredth of the radius up to all of it.
let private starts context search (draws: Draws) count =
    let n = search.Center.Length
    let singular = (count + 7) / 8

    let random length = randomly search draws length

    let nearby =
        Array.init singular (fun index ->
            if index = 0 then
                Array.zeroCreate n
            else
                random (search.Radius * Math.Pow(10.0, -3.0 * draws.Uniform())))

    let vectors =
        nearby
        |> Array.collect (Array.map2 (+) search.Center)
        |> StretchDirections.at context search.Norm search.Network search.Mask singularSteps

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
    let length = NormedVectors.size search.Norm (ReadOnlySpan s)
    let scaled = scaledTo search.Norm

    let mixed =
        Array.map3
            (fun x y z -> x + y + z)
            (scaled length s)
            (scaled length t)
            (randomly search draws (disturbance * length))
        |> scaled length

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

/// The best members of the search, best first; those of the rounds before the time of the context was over.
let run (context: Context) (search: Search) (effort: Effort) : Candidate[] =
    let draws = Draws context.Seed
    let kept = max 1 (effort.Starts / 4)

    let nominal = lazy (Points.outputs context search.Network search.Center)

    // A round that has begun shall come to an end.
    let steps = Context.withPart 0.9 context
    let isOver () = Context.isOver steps

    let round context (best: Candidate[]) index =
        let population =
            if best.Length = 0 then
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
            SlopeSteps.climb context isOver search (nominal.Force()) effort.Steps population
            |> Array.append best
            |> elite search (similarity effort index) kept

        context.Report $"slope ascent, round {index + 1} of {effort.Rounds}: {Figure.downward best[0].Slope}"
        best

    ([||], seq { 0 .. effort.Rounds - 1 })
    ||> Seq.fold (fun best index ->
        Context.attempt context (fun context -> round context best index)
        |> Option.defaultValue best)
