/// Lower bounds on local Lipschitz constants over a restricted ball, in any of the norms: slopes that are attained there (METHODS section 8).
/// Ball, inputs and outputs are measured in the same norm.
/// They are certified, except on networks so deep and wide that enclosures are of no use: there they are numerical.
module LipVerify.Core.LowerBounds.LowerBounds

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks

/// Search looks at rounded outputs. Below this size a displacement is lost in them, and a search at this size stands in for
/// the smaller ball: pieces meet at the centre of the ball, so that directions keep their slopes.
let private smallestSearch (center: float[]) =
    1e-8 * max 1.0 (center |> Array.fold (fun best c -> max best (abs c)) 0.0)

/// The part of the time that the search may take.
let private forSearch = 0.6

/// How many of the best candidates are certified.
let private finalists = 3

let private search norm definition (network: Network) (ball: RestrictedBall) : SlopeSearch.Search =
    let center = Tensor.values ball.Center

    {
        Network = network
        Norm = norm
        Center = center
        Mask = Tensor.values ball.Mask
        Radius = max ball.Radius.Value (smallestSearch center)
        Ends =
            match definition with
            | Nominal -> 1
            | Uniform -> 2
    }

/// The candidate as a certified slope: against the centre also as a limit along its ray, which rounding spoils least.
let private certify context (search: SlopeSearch.Search) (ball: RestrictedBall) (candidate: SlopeSearch.Candidate) =
    let n = search.Center.Length
    let shrink = ball.Radius.Value / search.Radius

    let ends =
        candidate.Displacements
        |> Array.map (fun d -> shrink * d)
        |> Array.chunkBySize n

    let x = LowerBound.inside search.Norm ball ends[0]

    match ends with
    | [| displacement |] ->
        let ray = Tensor.ofArray search.Network.InputShape displacement

        LowerBound.max
            (LowerBound.attained context search.Norm search.Network x ball.Center)
            (LowerBound.along context search.Norm search.Network ball.Center ray)
    | _ -> LowerBound.attained context search.Norm search.Network x (LowerBound.inside search.Norm ball ends[1])

let private largest bounds =
    bounds |> Seq.fold LowerBound.max LowerBound.none

/// Short pairs along the directions in which the Jacobians stretch most at the ends of a pair: their slopes are norms of pieces.
let private shortPairs
    context
    (search: SlopeSearch.Search)
    (candidate: SlopeSearch.Candidate)
    : SlopeSearch.Candidate[] =
    let n = search.Center.Length
    let ends = candidate.Displacements |> Array.chunkBySize n
    let middle = Array.map2 (fun a b -> 0.5 * (a + b)) ends[0] ends[1]
    let places = Array.append ends [| middle |]

    let vectors =
        places
        |> Array.collect (Array.map2 (+) search.Center)
        |> StretchDirections.at context search.Norm search.Network search.Mask 30

    Array.allPairs (Array.indexed places) [| 1e-1; 1e-2; 1e-3; 1e-4 |]
    |> Array.map (fun ((index, place), length) ->
        let half = 0.5 * length * search.Radius
        let v = Array.sub vectors (index * n) n

        // Pairs are drawn inwards, to stay inside the ball.
        let around sign =
            Array.map2 (fun p u -> (1.0 - length) * p + sign * half * u) place v

        {
            Slope = candidate.Slope
            Displacements = Array.append (around 1.0) (around -1.0)
        })

/// Slopes that gradient ascent reaches: against the centre for the nominal definition, between any two inputs of the ball for the
/// uniform one. The same seed gives the same bound, unless the time of the context ends the search earlier; most of it is for the search, the
/// rest for certifying what that found.
let gradientAscent (context: Context) norm definition (network: Network) (ball: RestrictedBall) effort : LowerBound =
    if ball.Radius.Value = 0.0 || Tensor.countNonZero ball.Mask = 0 then
        LowerBound.none
    else
        let search = search norm definition network ball

        let best =
            SlopeAscent.run (Context.withPart forSearch context) search effort
            |> Array.truncate finalists

        let shortPairs candidate =
            Context.attempt context (fun context -> shortPairs context search candidate)
            |> Option.defaultValue [||]

        let candidates =
            match definition with
            | Nominal -> Seq.ofArray best
            | Uniform -> Seq.append best (best |> Seq.collect shortPairs)

        candidates
        |> Seq.choose (fun candidate -> Context.attempt context (fun context -> certify context search ball candidate))
        |> largest

/// Samples that are drawn together.
let private samplesAtOnce = 256

/// The largest slope between samples drawn uniformly from the ball and the centre (nominal), or between neighbouring samples
/// (uniform), out of `count`. Memory does not grow with `count`.
let sampling (context: Context) norm definition (network: Network) (ball: RestrictedBall) count : LowerBound =
    let center = Tensor.values ball.Center
    let size = center.Length
    let nominal = Points.outputs context network center
    let m = nominal.Length

    let slope (a: float[]) (b: float[]) (x: float[]) (y: float[]) =
        let size (v: float[]) =
            NormedVectors.size norm (ReadOnlySpan v)

        let slope = size (Array.map2 (-) a b) / size (Array.map2 (-) x y)
        if Double.IsFinite slope then slope else 0.0

    let bestOf first =
        Context.check context
        let count = min samplesAtOnce (count - first)

        let displacements =
            BallSamples.draw context norm ball first count |> Array.chunkBySize size

        let points = displacements |> Array.map (Array.map2 (+) center)

        let outputs =
            Points.outputs context network (Array.concat points) |> Array.chunkBySize m

        let slopes =
            match definition with
            | Nominal -> Array.map2 (fun x y -> slope y nominal x center) points outputs
            | Uniform -> Array.init (count - 1) (fun i -> slope outputs[i] outputs[i + 1] points[i] points[i + 1])

        if slopes.Length = 0 then
            None
        else
            let winner = slopes |> Array.indexed |> Array.maxBy snd |> fst

            match definition with
            | Nominal -> Some(slopes[winner], displacements[winner], Array.zeroCreate size)
            | Uniform -> Some(slopes[winner], displacements[winner], displacements[winner + 1])

    let best =
        seq { 0..samplesAtOnce .. count - 1 }
        |> Seq.choose bestOf
        |> Seq.fold
            (fun best next ->
                match best, next with
                | Some(old, _, _), (fresh, _, _) when old >= fresh -> best
                | _ -> Some next)
            None

    match best with
    | None -> LowerBound.none
    | Some(_, x, y) ->
        LowerBound.attained context norm network (LowerBound.inside norm ball x) (LowerBound.inside norm ball y)

/// The best of gradient ascent and of the Jacobian at the centre, where the network is differentiable there. What bounds the nominal constant bounds the uniform one too.
let best (context: Context) norm definition (network: Network) (ball: RestrictedBall) effort : LowerBound =
    let jacobian =
        let part = Context.withPart 0.3 context

        match Context.attempt part (fun context -> NominalJacobian.lowerBound context norm network ball) with
        | Some(Ok bound) -> bound
        | Some(Error _)
        | None -> LowerBound.none

    let nominal =
        match definition with
        | Nominal -> context
        | Uniform -> Context.withPart 0.5 context

    [
        yield jacobian
        yield gradientAscent nominal norm Nominal network ball effort

        if definition = Uniform then
            yield gradientAscent context norm Uniform network ball effort
    ]
    |> largest
