/// From an adversarial input to a closer one.
module LipVerify.Core.Attacks.BoundaryRefinement

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LowerBounds

/// Parts into which an interval of the segment is divided at a time.
[<Literal>]
let private Parts = 8

/// Where the search on a segment ends, relative to its length.
let private resolution = 1e-10

let private distance problem (point: float[]) =
    Vectors.norm (ReadOnlySpan(Array.map2 (-) point (AttackProblem.center problem)))

let private onSegment problem (finish: float[]) share =
    let point =
        Array.map2 (fun c x -> c + share * (x - c)) (AttackProblem.center problem) finish

    AttackProblem.clip problem point
    point

/// The first adversarial share of the segment to `finish` on grids that grow finer; 1 where there is none before the end.
let private firstShare context problem (finish: float[]) =
    let rec search low high =
        if high - low < resolution then
            high
        else
            let shares =
                Array.init (Parts - 1) (fun i -> low + (high - low) * float (i + 1) / float Parts)

            let margins =
                shares
                |> Array.collect (onSegment problem finish)
                |> AttackProblem.margins context problem

            match margins |> Array.tryFindIndex (fun margin -> margin > 0.0) with
            | Some 0 -> search low shares[0]
            | Some i -> search shares[i - 1] shares[i]
            | None -> search (Array.last shares) high

    search 0.0 1.0

/// How far beyond the boundary, relative to the segment, a certificate may have to look.
let private allowances =
    [| yield 0.0; for exponent in -13 .. -2 -> Math.Pow(10.0, float exponent) |]

/// The adversarial example nearest to the centre on the segment to `finish`, as far as grids show: a hair beyond the boundary where
/// a certificate asks for it, and numerical where none is to be had. None where `finish` is not adversarial.
let alongSegment context problem attack (finish: float[]) : AdversarialExample option =
    let share = firstShare context problem finish

    let examples =
        allowances
        |> Seq.choose (fun allowance ->
            onSegment problem finish (share * (1.0 + allowance))
            |> AttackProblem.confirm context problem attack)
        |> Seq.cache

    examples
    |> Seq.tryFind (fun example -> example.Rigor = Certified)
    |> Option.orElse (Seq.tryHead examples)

/// Shares of the way to the nearest point of the linearised boundary that a step tries.
let private shares = [| 1.0; 0.7; 0.4; 0.2; 0.1; 0.05; 0.02; 0.01; 0.003 |]

/// How far beyond it.
let private overshoots = [| 1.0; 1.0001; 1.001; 1.01; 1.05 |]

/// One step from an adversarial point towards the point nearest to the centre on the boundary, linearised where the point is.
let private step context problem (point: float[]) =
    let center = AttackProblem.center problem
    let rival = AttackProblem.strongest context problem point

    let struct (_, leads, gradient) =
        AttackProblem.steer context problem [| rival |] point

    let slope = Vectors.norm (ReadOnlySpan gradient)

    if slope = 0.0 || not (Double.IsFinite slope) then
        None
    else
        let moved = Array.map2 (-) point center
        let along = (Array.map2 (*) gradient moved |> Array.sum) - leads[0]
        let nearest = gradient |> Array.map (fun g -> g / slope * (along / slope))
        let before = distance problem point

        let candidate (share, overshoot) =
            let point =
                Array.map3 (fun c m z -> c + overshoot * (m + share * (z - m))) center moved nearest

            AttackProblem.clip problem point
            point

        let bestOf shares =
            let candidates = Array.allPairs shares overshoots |> Array.map candidate

            Array.zip candidates (AttackProblem.margins context problem (Array.concat candidates))
            |> Array.filter (fun (point, margin) -> margin > 0.0 && distance problem point < before)
            |> Array.map fst
            |> Array.sortBy (distance problem)
            |> Array.tryHead

        shares |> Seq.chunkBySize 3 |> Seq.tryPick bestOf

/// Descends along the boundary from an adversarial point for at most `steps` steps, as long as each takes off a little.
let descend (context: Context) problem steps (start: float[]) : float[] =
    let rec go remaining (point: float[]) =
        Context.check context

        match (if remaining > 0 then step context problem point else None) with
        | Some next when distance problem next < distance problem point * (1.0 - 1e-7) -> go (remaining - 1) next
        | _ -> point

    go steps start

/// The nearest of the examples found from several adversarial points, of which the `count` nearest ones are refined.
let nearest
    context
    problem
    attack
    count
    (refine: float[] -> float[])
    (points: float[] seq)
    : AdversarialExample option =
    points
    |> Seq.sortBy (distance problem)
    |> Seq.truncate count
    |> Seq.choose (refine >> alongSegment context problem attack)
    |> Seq.sortBy _.Distance
    |> Seq.tryHead
