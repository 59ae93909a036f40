namespace LipVerify.Core

open System
open LipVerify.Compute

/// Minimises `γ` over the multipliers of METHODS section 7 by an interior point method. By Schur complements `F(γ², t) ⪰ 0` is
/// the same as `S(μ, s) = diag(s, I) − μ K − B diag(s) Bᵀ ⪰ 0` for `μ = 1/γ²`, `s = 1/t`, `K = [H; M][H; M]ᵀ` and `B = [G; T]`:
/// linear, and no larger than `w` and `δf` together. Newton steps for `q ln μ + ln det S` follow its central path as `q` grows.
module MultiplierSolver =

    /// What the solver knows after a step.
    [<NoComparison; NoEquality>]
    type Progress =
        {
            /// The multipliers so far.
            Multipliers: Multipliers
            /// No multipliers give less than `Gamma·(1 − Gap)`, about.
            Gap: float
            /// Steps so far.
            Steps: int
        }

    /// The Newton step at a point, ties kept; its change lies in the room.
    let private stepFor engine problem (room: PathRoom) (ties: int[] option) free pull (point: PathPoint) =
        match ties with
        | None -> PathDerivatives.direction engine free pull
        | Some ties ->
            PathDerivatives.direction engine (PathDerivatives.tie ties (Array.max ties + 1) free) pull
            |> Option.map (fun step -> Array.append step[..0] (ties |> Array.map (fun tie -> step[tie + 1])))
        |> Option.map (fun relative ->
            let weights = Array.map2 (*) point.Weights relative[1..]
            // What `QB` held has gone into the derivatives.
            MultiplierProblem.formMatrix engine problem (point.Mu * relative[0]) weights 0.0 room.QB room.Change

            {
                Relative = relative
                Change = room.Change
            })

    let private solveRelevant
        (context: Context)
        (lfr: LinearFractional)
        (ties: int[] option)
        (warm: Multipliers option)
        (goOn: Progress -> bool)
        =
        let engine = context.Engine
        let struct (own, sizes, matters) = MultiplierProblem.influences lfr
        let k = lfr.Uncertain

        let ceiling =
            Math.Sqrt(
                Seq.sum (seq { for i in 0 .. lfr.Height - 1 -> own[i] * (if i >= k then sizes[i] else matters[i]) })
            )

        if not (ceiling > 0.0 && Double.IsFinite ceiling) then
            None
        else
            let problem = MultiplierProblem.create engine lfr ceiling
            let n = problem.Height

            let path = CentralPath(engine, n)
            let room = PathRoom problem

            let starting mu weights =
                let matrix = MultiplierProblem.matrixAt engine problem mu weights 1.0

                MultiplierProblem.tryFactor engine n matrix
                |> Option.map (fun f ->
                    {
                        Mu = mu
                        Weights = weights
                        Matrix = matrix
                        Factor = f
                    })

            let toMultipliers struct (mu: float, weights) =
                {
                    Gamma = ceiling / sqrt mu
                    Weights = weights
                }

            // `best` is what `μ` is at most, once that is known; `record` is the point with the largest `μ` so far.
            let rec iterate (point: PathPoint) pull best (record: struct (float * float[])) steps =
                Context.check context
                let free = PathDerivatives.at engine problem room point

                match stepFor engine problem room ties free pull point with
                | None -> record
                | Some step ->
                    let gap = PathDerivatives.dualGap path n point free step pull

                    let best =
                        gap
                        |> Option.map (fun gap -> min best (point.Mu * (1.0 + gap)))
                        |> Option.defaultValue best

                    match path.Follow pull point step with
                    | None -> record
                    | Some next ->
                        let struct (mu, _) = record

                        let record =
                            if next.Mu > mu then
                                struct (next.Mu, next.Weights)
                            else
                                record

                        let struct (mu, _) = record

                        let progress =
                            {
                                Multipliers = toMultipliers record
                                Gap = 0.5 * (best / mu - 1.0)
                                Steps = steps + 1
                            }

                        // Near the central path the pull may grow to where the gap is an eighth.
                        let pull =
                            if gap.IsSome then
                                max pull (8.0 * float n / (best / next.Mu - 1.0))
                            else
                                pull

                        if goOn progress then
                            iterate next pull best record (steps + 1)
                        else
                            record

            let cold factor =
                match ties with
                | None -> starting (1.0 / factor) (Array.init k (fun j -> sizes[j] / matters[j] / factor))
                | Some ties ->
                    let struct (mu, weights) = MultiplierProblem.tiedStart problem ties
                    starting (mu / factor) (weights |> Array.map (fun s -> s / factor))

            // Smaller weights at the same ratios keep what is feasible for other outputs, and leave room for these.
            let ofWarm (multipliers: Multipliers) =
                let mu = ceiling * ceiling / (multipliers.Gamma * multipliers.Gamma)

                [ 1.0; 0.5; 0.25; 0.1; 0.03; 0.01; 1e-3 ]
                |> List.tryPick (fun factor -> starting (factor * mu) (multipliers.Weights |> Array.map ((*) factor)))

            Option.bind ofWarm warm
            |> Option.orElseWith (fun () -> [ 1.05; 2.0; 4.0; 16.0; 256.0 ] |> List.tryPick cold)
            |> Option.map (fun start ->
                // The part of the central path where `μ` is within some ten times of the best: a stronger pull slides along the
                // boundary, in steps as short as that is curved.
                iterate start (0.1 * float n) infinity struct (start.Mu, start.Weights) 0
                |> toMultipliers)

    /// As `solve`, where entries of `w` with the same number in `ties` share their weight. Those that do not change the outputs
    /// stand outside: they have no part in what the others share. Numbers rise with the entries, and entries of one number do
    /// not enter each other's `v`.
    let solveTied
        (context: Context)
        (lfr: LinearFractional)
        (ties: int[] option)
        (warm: Multipliers option)
        (goOn: Progress -> bool)
        : Multipliers option =
        let struct (_, sizes, matters) = MultiplierProblem.influences lfr
        let kept = MultiplierProblem.relevant lfr matters
        let expand = MultiplierProblem.expand (Array.sub sizes 0 lfr.Uncertain) kept

        let ties =
            ties
            |> Option.map (fun ties ->
                let present = kept |> Array.map (fun j -> ties[j])
                let numbers = present |> Array.distinct |> Array.sort
                present |> Array.map (fun tie -> Array.BinarySearch(numbers, tie)))
            |> Option.filter (fun ties -> ties.Length > 0)

        let warm =
            warm
            |> Option.map (fun multipliers ->
                { multipliers with
                    Weights = kept |> Array.map (fun j -> multipliers.Weights[j])
                })

        solveRelevant context (MultiplierProblem.restrict kept lfr) ties warm (fun progress ->
            goOn
                { progress with
                    Multipliers = expand progress.Multipliers
                })
        |> Option.map expand

    /// Improves multipliers step by step until `goOn` says to stop; gives the last. Starts from `warm` where that is feasible. None
    /// where nothing moves the outputs, or numbers overflow.
    let solve context lfr warm goOn = solveTied context lfr None warm goOn
