namespace LipVerify.Core.Bounds.Multipliers.Solver

open System
open LipVerify.Core.Computation
open LipVerify.Core.Bounds.Multipliers.Representation

/// Minimises `γ` over the multipliers of METHODS section 7 by an interior point method. By Schur complements `F(γ², t) ⪰ 0` is
/// the same as `S(μ, s) = diag(s, I) − μ K − B diag(s) Bᵀ ⪰ 0` for `μ = 1/γ²`, `s = 1/t`, `K = [H; M][H; M]ᵀ` and `B = [G; T]`:
/// linear, and no larger than `w` and `δf` together.
///
/// Steps towards a pair of optimal points, `InteriorDirections`, come near the best `μ` in some fifteen, or get nowhere where the start
/// suits the dual problem badly. Then Newton steps for `q ln μ + ln det S`, `PathDerivatives`, follow the central path as `q` grows: more of them, from
/// wherever they start.
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

    /// The largest `μ` so far, with its weights.
    type private Record = (struct (float * float[]))

    let private better struct (mu: float, weights: float[]) nextMu nextWeights : Record =
        if nextMu > mu then
            struct (nextMu, nextWeights)
        else
            struct (mu, weights)

    /// A strictly feasible point: `μ`, `s`, the matrix and its factor.
    type private Start = (struct (float * float[] * float[] * float[]))

    /// Steps after which the dual must be near its constraints.
    let private trialSteps = 12

    /// Steps that end this near to the best had nothing left to gain but what rounding hides.
    let private nearBest = 1e-3

    /// Follows pairs of points; false beside the record where they ended far from the best, and `goOn` had not said to stop.
    let private followPairs (context: Context) problem ties (start: Start) (goOn: Record -> float -> int -> bool) =
        let directions = InteriorDirections(context.Engine, problem, ties)

        let rec iterate (point: InteriorPoint) record gap steps =
            Context.check context

            match directions.Next point with
            | None -> struct (record, gap <= nearBest)
            | Some next ->
                let struct (mu, _) as record = better record next.Mu next.Weights

                let gap =
                    if next.Infeasibility < 1e-5 then
                        0.5 * ((next.Mu + directions.Gap next) / mu - 1.0)
                    else
                        Double.PositiveInfinity

                if not (goOn record gap (steps + 1)) then
                    struct (record, true)
                elif steps + 1 >= trialSteps && next.Infeasibility > 0.1 then
                    struct (record, false)
                else
                    iterate next record gap (steps + 1)

        let struct (mu, weights, _, _) = start
        iterate (directions.Start start) (struct (mu, weights)) Double.PositiveInfinity 0

    /// Follows the central path.
    let private followPath
        (context: Context)
        (problem: MultiplierProblem.Problem)
        ties
        (start: Start)
        record
        (goOn: Record -> float -> int -> bool)
        =
        let engine, n = context.Engine, problem.Height
        let path = CentralPath(engine, n)
        let room = PathRoom(engine, problem)

        // `best` is what `μ` is at most, once that is known.
        let rec iterate (point: PathPoint) pull best record steps =
            Context.check context
            let derivatives = PathDerivatives.at engine problem room point

            match PathDerivatives.direction engine ties derivatives pull with
            | None -> record
            | Some relative ->
                let step = PathDerivatives.step engine problem room point relative
                let gap = PathDerivatives.dualGap path n point derivatives step pull

                let best =
                    gap
                    |> Option.map (fun gap -> min best (point.Mu * (1.0 + gap)))
                    |> Option.defaultValue best

                match path.Follow pull point step with
                | None -> record
                | Some next ->
                    let struct (mu, _) as record = better record next.Mu next.Weights

                    // Near the central path the pull may grow to where the gap is an eighth.
                    let pull =
                        if gap.IsSome then
                            max pull (8.0 * float n / (best / next.Mu - 1.0))
                        else
                            pull

                    if goOn record (0.5 * (best / mu - 1.0)) (steps + 1) then
                        iterate next pull best record (steps + 1)
                    else
                        record

        let struct (mu, weights, matrix, factor) = start

        let point =
            {
                Mu = mu
                Weights = weights
                Matrix = matrix
                Factor = factor
            }

        // The part of the central path where `μ` is within some ten times of the best: a stronger pull slides along the
        // boundary, in steps as short as that is curved.
        iterate point (0.1 * float n) infinity record 0

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

            let starting mu weights : Start option =
                let matrix = MultiplierProblem.matrixAt engine problem mu weights 1.0

                MultiplierProblem.tryFactor engine problem.Height matrix
                |> Option.map (fun factor -> struct (mu, weights, matrix, factor))

            let toMultipliers struct (mu: float, weights) =
                {
                    Gamma = ceiling / sqrt mu
                    Weights = weights
                }

            let goOn before record gap steps =
                goOn
                    {
                        Multipliers = toMultipliers record
                        Gap = gap
                        Steps = before + steps
                    }

            let cold factor =
                match ties with
                | None -> starting (0.5 / factor) (Array.init k (fun j -> sizes[j] / matters[j] / factor))
                | Some ties ->
                    let struct (mu, weights) = MultiplierProblem.tiedStart problem ties
                    starting (mu / factor) (weights |> Array.map (fun s -> s / factor))

            // Smaller weights at the same ratios keep what is feasible for other outputs, and leave room for these.
            let ofWarm (multipliers: Multipliers) =
                let mu = ceiling * ceiling / (multipliers.Gamma * multipliers.Gamma)

                [ 1.0; 0.5; 0.25; 0.1; 0.03; 0.01; 1e-3 ]
                |> List.tryPick (fun factor -> starting (factor * mu) (multipliers.Weights |> Array.map ((*) factor)))

            let start () =
                Option.bind ofWarm warm
                |> Option.orElseWith (fun () -> [ 1.05; 2.0; 4.0; 16.0; 256.0 ] |> List.tryPick cold)

            start ()
            |> Option.map (fun first ->
                let mutable taken = 0

                let struct (record, isDone) =
                    followPairs context problem ties first (fun record gap steps ->
                        taken <- steps
                        goOn 0 record gap steps)

                match isDone, start () with
                | false, Some again -> followPath context problem ties again record (goOn taken)
                | _ -> record
                |> toMultipliers)

    /// As `solve`, where entries of `w` with the same number in `ties` share their weight. Those that are always 0 or do not
    /// change the outputs stand outside: they have no part in what the others share. Numbers rise with the entries, and entries of one number do
    /// not enter each other's `v`.
    let solveTied
        (context: Context)
        (lfr: LinearFractional)
        (ties: int[] option)
        (warm: Multipliers option)
        (goOn: Progress -> bool)
        : Multipliers option =
        let struct (_, sizes, matters) = MultiplierProblem.influences lfr
        let kept = MultiplierProblem.relevant lfr sizes matters

        let ties =
            ties
            |> Option.map (fun ties ->
                let present = kept |> Array.map (fun j -> ties[j])
                let numbers = present |> Array.distinct |> Array.sort
                present |> Array.map (fun tie -> Array.BinarySearch(numbers, tie)))
            |> Option.filter (fun ties -> ties.Length > 0)

        let scales =
            let pick (values: float[]) = kept |> Array.map (fun j -> values[j])
            SlopeScales.ofInfluences ties (pick sizes) (pick matters)

        let expand multipliers =
            multipliers
            |> SlopeScales.removeFromWeights scales
            |> MultiplierProblem.expand (Array.sub sizes 0 lfr.Uncertain) matters kept

        let warm =
            warm
            |> Option.map (fun multipliers ->
                { multipliers with
                    Weights = kept |> Array.map (fun j -> multipliers.Weights[j])
                }
                |> SlopeScales.applyToWeights scales)

        let relevant = MultiplierProblem.restrict kept lfr |> SlopeScales.apply scales

        solveRelevant context relevant ties warm (fun progress ->
            goOn
                { progress with
                    Multipliers = expand progress.Multipliers
                })
        |> Option.map expand

    /// Improves multipliers step by step until `goOn` says to stop; gives the last. Starts from `warm` where that is feasible. None
    /// where nothing moves the outputs, or numbers overflow.
    let solve context lfr warm goOn = solveTied context lfr None warm goOn
