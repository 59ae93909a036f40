namespace LipVerify.Core

open System
open LipVerify.Compute

/// Minimises `γ` over the multipliers of METHODS section 7 by an interior point method. By Schur complements `F(γ², t) ⪰ 0` is
/// the same as `S(μ, s) = diag(s, I) − μ K − B diag(s) Bᵀ ⪰ 0` for `μ = 1/γ²`, `s = 1/t`, `K = [H; M][H; M]ᵀ` and `B = [G; T]`:
/// linear, and no larger than `w` and `δf` together. Newton steps for `q ln μ + ln det S` follow its central path as `q` grows.
module MultiplierSolver =

    /// A strictly feasible point with its factor.
    [<ReferenceEquality>]
    type private Point =
        {
            Mu: float
            Weights: float[]
            Matrix: float[]
            Factor: float[]
        }

    let private logDeterminant n (factor: float[]) =
        let mutable sum = 0.0

        for i in 0 .. n - 1 do
            sum <- sum + log factor[i * n + i]

        2.0 * sum

    /// Derivatives of `−log det S` by `μ` and `s`: the gradient, and the Hessian in the scale of `point`, each `s` times itself.
    [<ReferenceEquality>]
    type private Derivatives = { Gradient: float[]; Hessian: float[] }

    let private derivatives (engine: IEngine) (problem: MultiplierProblem.Problem) (point: Point) =
        let n, k, c = problem.Height, problem.Uncertain, problem.Columns
        let inverse = Array.copy point.Factor
        TriangularProducts.invertLower engine n inverse
        let q = TriangularProducts.gramOfLower engine n inverse
        let qb = TriangularProducts.timesStrictlyLower engine n k q problem.B
        let bqb = TriangularProducts.symmetricAdjointProduct engine n k problem.B qb
        let qy = MultiplierProblem.multiply engine false false n c n q n problem.Y c
        let yqy = MultiplierProblem.multiply engine true false c c n problem.Y c qy c
        let bqy = MultiplierProblem.multiply engine true false k c n problem.B k qy c
        let gradient = Array.zeroCreate<float>(k + 1)
        let size = k + 1
        let hessian = Array.zeroCreate<float>(size * size)
        let mutable trace = 0.0

        for i in 0 .. n - 1 do
            trace <-
                trace
                + Numerics.Tensors.TensorPrimitives.Dot(ReadOnlySpan(problem.Y, i * c, c), ReadOnlySpan(qy, i * c, c))

        gradient[0] <- point.Mu * trace

        hessian[0] <-
            point.Mu
            * point.Mu
            * Numerics.Tensors.TensorPrimitives.SumOfSquares(ReadOnlySpan yqy)

        for i in 0 .. k - 1 do
            let si = point.Weights[i]
            gradient[i + 1] <- -si * (q[i * n + i] - bqb[i * k + i])

            let mixed =
                Numerics.Tensors.TensorPrimitives.SumOfSquares(ReadOnlySpan(bqy, i * c, c))
                - Numerics.Tensors.TensorPrimitives.SumOfSquares(ReadOnlySpan(qy, i * c, c))

            hessian[(i + 1) * size] <- si * point.Mu * mixed

            for j in 0..i do
                let a = q[i * n + j]
                let b = qb[i * k + j]
                let c = qb[j * k + i]
                let d = bqb[i * k + j]
                hessian[(i + 1) * size + j + 1] <- si * point.Weights[j] * (a * a - b * b - c * c + d * d)

        {
            Gradient = gradient
            Hessian = hessian
        }

    /// Derivatives where the weights of each tie change by one factor: in relative terms those of its members add up.
    let private tie (ties: int[]) count (derivatives: Derivatives) =
        let size = derivatives.Gradient.Length
        let tied = count + 1
        let place i = if i = 0 then 0 else ties[i - 1] + 1
        let gradient = Array.zeroCreate<float> tied
        let hessian = Array.zeroCreate<float>(tied * tied)

        for i in 0 .. size - 1 do
            let a = place i
            gradient[a] <- gradient[a] + derivatives.Gradient[i]

            for j in 0..i do
                let b = place j
                let value = derivatives.Hessian[i * size + j]
                let k = max a b * tied + min a b
                // Of two members of one tie both orders lie on the diagonal.
                hessian[k] <- hessian[k] + (if a = b && i <> j then 2.0 * value else value)

        {
            Gradient = gradient
            Hessian = hessian
        }

    /// `−H⁻¹ g` in relative terms, with a ridge where rounding has made the Hessian indefinite.
    let private direction (engine: IEngine) (derivatives: Derivatives) pull =
        let size = derivatives.Gradient.Length
        let gradient = Array.copy derivatives.Gradient
        gradient[0] <- gradient[0] - pull

        let rec attempt ridge =
            let factor = Array.copy derivatives.Hessian
            factor[0] <- factor[0] + pull

            for i in 0 .. size - 1 do
                factor[i * size + i] <- factor[i * size + i] * (1.0 + ridge) + 1e-300

            if engine.TryCholesky((size: int), HostStorage factor) then
                TriangularProducts.solveFactored size factor gradient |> Array.map (~-) |> Some
            elif ridge > 1.0 then
                None
            else
                attempt (max 1e-14 (100.0 * ridge))

        attempt 0.0

    /// How much larger than at `point` `μ` can be anywhere, relatively, from the Newton step `ΔS` for the pull `q`: where
    /// `Z = S⁻¹ − S⁻¹ ΔS S⁻¹` is positive definite it is feasible in the dual problem, and `⟨Z, S⟩` says so. None off the central path.
    let private dualGap
        (engine: IEngine)
        n
        (point: Point)
        (derivatives: Derivatives)
        (step: float[])
        (change: float[])
        pull
        =
        let share = pull * (1.0 - step[0])

        if share <= 0.0 then
            None
        else
            // `Z` is `S − ΔS` up to a congruence.
            Array.map2 (-) point.Matrix change
            |> MultiplierProblem.tryFactor engine n
            |> Option.map (fun _ ->
                Array.fold2 (fun sum g d -> sum + g * d) (float n) derivatives.Gradient step
                / share)

    /// The point at `start + α·step`, if it is feasible.
    let private along
        (engine: IEngine)
        (problem: MultiplierProblem.Problem)
        (start: Point)
        (step: float[])
        (change: float[])
        alpha
        =
        let mu = start.Mu * (1.0 + alpha * step[0])
        let weights = Array.mapi (fun j s -> s * (1.0 + alpha * step[j + 1])) start.Weights

        if mu <= 0.0 || weights |> Array.exists (fun s -> not (s > 0.0)) then
            None
        else
            let matrix = Array.map2 (fun s d -> s + alpha * d) start.Matrix change

            MultiplierProblem.tryFactor engine problem.Height matrix
            |> Option.map (fun factor ->
                {
                    Mu = mu
                    Weights = weights
                    Matrix = matrix
                    Factor = factor
                })

    /// `−q ln μ − ln det S`: its least values for growing `q` are the central path.
    let private barrier n pull (point: Point) =
        -pull * log point.Mu - logDeterminant n point.Factor

    /// Steps go at most this part of the way to where the matrix stops being positive definite: closer, many later steps would be
    /// spent on getting away from there.
    let private fraction = 0.7

    /// The best of the steps tried along a direction: doubled while that helps, halved while it does not.
    let private search engine (problem: MultiplierProblem.Problem) pull start step change =
        let n = problem.Height
        let value = barrier n pull start

        let trial alpha =
            along engine problem start step change (alpha / fraction)
            |> Option.bind (fun _ -> along engine problem start step change alpha)

        let rec grow alpha best =
            match trial (2.0 * alpha) with
            | Some next when alpha < 1e6 && barrier n pull next < barrier n pull best -> grow (2.0 * alpha) next
            | _ -> best

        let rec shrink alpha =
            match trial alpha with
            | Some point when barrier n pull point < value -> Some point
            | _ when alpha < 1e-8 -> None
            | _ -> shrink (alpha * 0.6)

        match trial 1.0 with
        | Some point when barrier n pull point < value -> Some(grow 1.0 point)
        | _ -> shrink 0.6

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

            let toMultipliers (point: Point) =
                {
                    Gamma = ceiling / sqrt point.Mu
                    Weights = point.Weights
                }

            // `best` is what `μ` is at most, once that is known; `record` is the point with the largest `μ` so far.
            let rec iterate (point: Point) pull best (record: Point) steps =
                Context.check context
                let free = derivatives engine problem point

                let tied =
                    match ties with
                    | Some ties -> tie ties (Array.max ties + 1) free
                    | None -> free

                match direction engine tied pull with
                | None -> record
                | Some step ->
                    let step =
                        match ties with
                        | Some ties -> Array.append step[..0] (ties |> Array.map (fun tie -> step[tie + 1]))
                        | None -> step

                    let change =
                        MultiplierProblem.matrixAt
                            engine
                            problem
                            (point.Mu * step[0])
                            (Array.map2 (*) point.Weights step[1..])
                            0.0

                    let gap = dualGap engine n point free step change pull

                    let best =
                        gap
                        |> Option.map (fun gap -> min best (point.Mu * (1.0 + gap)))
                        |> Option.defaultValue best

                    match search engine problem pull point step change with
                    | None -> record
                    | Some next ->
                        let record = if next.Mu > record.Mu then next else record

                        let progress =
                            {
                                Multipliers = toMultipliers record
                                Gap = 0.5 * (best / record.Mu - 1.0)
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
                iterate start (0.1 * float n) infinity start 0 |> toMultipliers)

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
