/// METHODS sections 4b and 4c: an upper bound on the spectral norm of a large operator that holds except with a chosen
/// probability over random vectors drawn here.
///
/// For the largest eigenvalue `λ` of `H = PGP` with unit eigenvector `w`, a standard normal `g`, and `X = 2H/θ − I`:
/// `T_k(2λ/θ − 1)·|⟨w,g⟩| ≤ ‖T_k(X) g‖`, and `|⟨w,g⟩| ≤ τ` has a probability of at most `τ√(2/π)`.
module LipVerify.Core.ChebyshevCertificate

open System
open LipVerify.Compute

/// Independent random vectors; their bounds fail together only if each of them fails.
let private vectors = 3

/// Chebyshev steps after which the bound is taken as it is.
let private maxDegree = 400

/// What was proved about the largest eigenvalue of `G`, and what it took.
type Certificate =
    {
        /// Upper bound, except with the failure probability.
        Upper: float
        /// The best Ritz value: a lower end, up to rounding.
        Attained: float
        /// Vectors that `G` was applied to.
        Applications: int
    }

/// The random part: how to go on after Lanczos.
type private Plan =
    {
        /// Ritz vectors to split off.
        Deflated: int
        /// Chebyshev steps that should do.
        Degree: float
    }

/// `√(π/2)·δ^{1/b}`, rounded down: `b` vectors all have `|⟨w,g⟩| ≤ τ` with a probability of at most `δ`.
let private threshold failure =
    Math.Pow(failure, 1.0 / float vectors) * sqrt (Math.PI / 2.0) * (1.0 - 1e-12)

/// `θ` after `m` Ritz vectors were split off: the next Ritz value, raised by what its residual leaves open, and not so small
/// that rounding of `G` drowns `2G/θ`.
let private thetaOf (ritz: RitzPairs) m =
    let uncertainty = if m = 0 then 0.0 else 2.0 * ritz.Residuals[m]
    min ritz.Values[0] (max (ritz.Values[m] + uncertainty) (0.01 * ritz.Values[0]))

/// True where the first `m` Ritz vectors are resolved: their residuals are small beside the gap to the next Ritz value.
/// Elsewhere the spectrum is denser than Ritz values show, and splitting vectors off would not lower what remains.
let private isResolved (ritz: RitzPairs) m =
    m = 0
    || Array.max ritz.Residuals[.. m - 1]
       <= 0.25 * (ritz.Values[m - 1] - ritz.Values[m])

/// The plan that splits `m` Ritz vectors off and should bring the bound to `target`, after the secular equation of the block
/// matrix with the rank-one coupling of Lanczos residuals: `λ_P ≤ μ − Σ r_i²/(μ − θ_i)` keeps its top eigenvalue below `μ`.
let private planOf (ritz: RitzPairs) dimension tau target m =
    let growth = Math.Acosh(max 2.0 (sqrt (float dimension) / tau))

    let coupling =
        Seq.sum (seq { for i in 0 .. m - 1 -> ritz.Residuals[i] * ritz.Residuals[i] / (target - ritz.Values[i]) })

    let ratio = (target - coupling) / thetaOf ritz m

    if ratio > 1.0 then
        Some
            {
                Deflated = m
                Degree = growth / Math.Acosh(2.0 * ratio - 1.0)
            }
    else
        None

/// Vectors that `G` has to be applied to.
let private cost plan =
    float vectors * plan.Degree + float plan.Deflated

/// Ritz vectors that are split off at most.
let private mostDeflated = 24

/// The cheapest plan.
let private plan (ritz: RitzPairs) dimension tau target =
    seq { 0 .. min mostDeflated (ritz.Values.Length - 1) }
    |> Seq.filter (isResolved ritz)
    |> Seq.choose (planOf ritz dimension tau target)
    |> Seq.minBy cost

/// Lanczos looks every so many steps whether going on pays.
let private lookEvery = 8

/// While the random part would cost many times what Lanczos has cost, vectors worth splitting off may still converge.
let private patience = 0.35

/// Runs Lanczos until the whole, random part included, would not get cheaper by going on.
let private explore (context: Context) (lanczos: LanczosProcess) dimension tau looseness =
    let rec go bestCost =
        lanczos.Step()
        let last = lanczos.IsInvariant || lanczos.IsFull

        if not last && lanczos.Size % lookEvery <> 0 then
            go bestCost
        else
            let ritz = lanczos.Ritz()
            let plan = plan ritz dimension tau (ritz.Values[0] * looseness)
            let randomCost = cost plan
            let steps = float lanczos.Applications
            context.Report $"spectral norm: {lanczos.Applications} Lanczos steps, Ritz value {ritz.Values[0]:G6}"

            if last || (steps + randomCost >= bestCost && steps >= patience * randomCost) then
                struct (ritz, plan)
            else
                go (min bestCost (steps + randomCost))

    go Double.PositiveInfinity

/// `θ·(1 + cosh(arccosh(Q)/k))/2`, rounded upward.
let private eigenvalueBound theta k q =
    let q = max 1.0 q
    let growth = Math.Cosh(Math.Acosh q / float k)
    Rounding.mulUp (theta * (1.0 + growth) / 2.0) (1.0 + 1e-13)

/// Relative distances above the bound of exact arithmetic at which the rounding of the recurrence is paid.
let private reserves = [ 1e-12; 1e-10; 1e-8; 1e-6; 1e-5; 1e-4; 1e-3; 1e-2; 1e-1 ]

/// The bound on `λ1(PGP)` from one vector after `k = errors.Count` steps that left a vector of the given size, for
/// disturbances of at most `errors[j]` in step `j` and a `start` error of the first vector. If `λ1` exceeded a candidate `B`
/// with `ξ = 2B/θ − 1`, a disturbance `e_j` would weigh at most `(k − j)·e_j/T_{j+1}(ξ)` against the threshold `τ`; a candidate
/// that the inequality for `T_k` then contradicts is proved.
let private boundOf theta tau (errors: ResizeArray<float>) start size =
    let k = errors.Count
    let ideal = eigenvalueBound theta k (Rounding.divUp size tau)

    let isProved candidate =
        let rate = Math.Acosh(max 1.0 (2.0 * candidate / theta - 1.0)) * (1.0 - 1e-12)

        let loss =
            Seq.sum (seq { for j in 0 .. k - 1 -> float (k - j) * errors[j] / Math.Cosh(rate * float (j + 1)) })

        let margin = tau - (loss + start) * (1.0 + 1e-9)

        margin > 0.0
        && eigenvalueBound theta k (Rounding.divUp size margin) <= candidate

    reserves
    |> Seq.map (fun reserve -> ideal * (1.0 + reserve))
    |> Seq.tryFind isProved
    |> Option.defaultValue Double.PositiveInfinity

/// Chebyshev steps on a batch of random vectors, at least `degree` of them, until `finished` accepts the bound on `λ1(PGP)`, at
/// most `limit`: the least bound and the number of steps. All bounds hold in the same event, so the least of them does.
let private chebyshev (context: Context) masked side deflation theta tau absoluteProduct degree limit finished =
    let engine = context.Engine
    let struct (length, otherLength) = Gram.lengths side masked
    let support = Gram.indicator (Gram.support side masked)
    let other = engine.Allocate(vectors * otherLength)
    let image = engine.Allocate(vectors * length)
    let mutable previous = engine.Allocate(vectors * length)
    let mutable current = engine.Allocate(vectors * length)

    let norms (block: Storage) =
        let inflation = 1.0 + Rounding.gamma (length + 4)
        Array.init vectors (fun i -> inflation * sqrt (engine.Dot(block, i * length, block, i * length, length)))

    // Errors of one application of H and of one step of the recurrence, relative to the vectors in it.
    let applicationError =
        (Rounding.gamma (Gram.depth engine masked vectors)
         + 4.0 * deflation.ProjectionError)
        * absoluteProduct
        * 1.01

    let stepError =
        4.0 / theta * applicationError
        + 16.0 * Rounding.unitRoundoff * (4.0 / theta * absoluteProduct + 3.0)

    let draw =
        HostStorage(Gaussian.drawWith (OperatorHash.compute context.Seed masked) 0 (vectors * length))

    engine.MultiplyRows(draw, vectors, support.Storage, current)

    let start =
        norms current |> Array.map (fun norm -> 2.0 * deflation.ProjectionError * norm)

    Deflation.project engine deflation length vectors current

    let errors = Array.init vectors (fun _ -> ResizeArray<float>())
    let mutable sizes = norms current
    let mutable before = Array.zeroCreate<float> vectors

    // T_1 = X, then T_{k+1} = 2 X T_k − T_{k−1}, with X = 2H/θ − I.
    let step k =
        engine.Copy(current, 0, image, 0, image.Length)
        Deflation.project engine deflation length vectors image
        Gram.multiply engine masked side vectors image other
        Deflation.project engine deflation length vectors image

        for i in 0 .. vectors - 1 do
            errors[i].Add(stepError * (sizes[i] + before[i]))

        let factor = if k = 1 then 1.0 else 2.0
        engine.Scale((if k = 1 then 0.0 else -1.0), previous, 0, previous.Length)
        engine.AddScaled(factor * 2.0 / theta, image, 0, previous, 0, image.Length)
        engine.AddScaled(-factor, current, 0, previous, 0, current.Length)
        let next = previous
        previous <- current
        current <- next
        before <- sizes
        sizes <- norms current

    let bound () =
        Seq.init vectors (fun i -> boundOf theta tau errors[i] start[i] sizes[i])
        |> Seq.max

    let rec go k best =
        Context.check context
        step k

        if k % lookEvery = 0 then
            context.Report $"spectral norm: Chebyshev step {k} of about {degree}"

        if k < degree || (k % 4 <> 0 && k < limit) then
            go (k + 1) best
        else
            let best = min best (bound ())

            if finished best || k >= limit then
                struct (best, k)
            else
                go (k + 1) best

    go 1 Double.PositiveInfinity

/// Everything about an operator that its certificate needs.
[<NoEquality; NoComparison>]
type private Problem =
    {
        Masked: MaskedMap
        Side: Gram.Side
        AbsoluteProduct: float
        Lanczos: LanczosProcess
        Ritz: RitzPairs
        Tau: float
        /// The bound on `λ1(G)` aimed at.
        Target: float
    }

/// One random certificate after the given plan: the bound on `λ1(G)` and the vectors that `G` was applied to.
let private attempt (context: Context) problem plan =
    let engine = context.Engine

    let deflation =
        if plan.Deflated = 0 then
            None
        else
            let gramRounding = Rounding.gamma (Gram.depth engine problem.Masked plan.Deflated)
            let vectors = problem.Lanczos.Vectors(problem.Ritz, plan.Deflated)

            Deflation.create
                context
                problem.Masked
                problem.Side
                vectors
                plan.Deflated
                gramRounding
                problem.AbsoluteProduct

    let deflation = deflation |> Option.defaultWith (fun () -> Deflation.none engine)

    let whole remainder =
        if Double.IsFinite remainder then
            Deflation.combine context deflation remainder
            |> Option.defaultValue Double.PositiveInfinity
        else
            Double.PositiveInfinity

    let degree = int (min (float maxDegree) (max 1.0 (ceil plan.Degree)))

    let struct (remainder, steps) =
        chebyshev
            context
            problem.Masked
            problem.Side
            deflation
            (thetaOf problem.Ritz deflation.Count)
            problem.Tau
            problem.AbsoluteProduct
            degree
            (if deflation.Count = 0 then
                 maxDegree
             else
                 min maxDegree (2 * degree + 8))
            (fun remainder -> whole remainder <= problem.Target)

    struct (whole remainder, deflation.Count + vectors * steps)

/// Bounds the largest eigenvalue of `G`, for an operator scaled so that `‖M‖₁·‖M‖_∞` is near 1, aiming at a relative
/// looseness `tolerance` of its square root. Where vectors split off by plan turn out to be not good enough, a second
/// certificate with draws of its own does without; each may fail with half the failure probability.
let largestGramEigenvalue (context: Context) masked side absoluteProduct tolerance failure =
    let tau = threshold (failure / 2.0)
    let looseness = (1.0 + tolerance) * (1.0 + tolerance)
    let lanczos = LanczosProcess(context, masked, side)
    let dimension = Tensor.countNonZero (Gram.support side masked)

    // A little below the tolerance, so that what is not known yet of the spectrum does not spoil it.
    let planned = 1.0 + 0.9 * (looseness - 1.0)
    let struct (ritz, first) = explore context lanczos dimension tau planned

    let problem =
        {
            Masked = masked
            Side = side
            AbsoluteProduct = absoluteProduct
            Lanczos = lanczos
            Ritz = ritz
            Tau = tau
            Target = ritz.Values[0] * looseness
        }

    let struct (upper, applications) =
        attempt (Context.forComputation 0 context) problem first

    let struct (upper, applications) =
        if upper <= problem.Target || first.Deflated = 0 then
            struct (upper, applications)
        else
            let struct (again, more) =
                attempt
                    (Context.forComputation 1 context)
                    problem
                    (planOf ritz dimension tau (ritz.Values[0] * planned) 0 |> Option.get)

            struct (min upper again, applications + more)

    {
        Upper = upper
        Attained = ritz.Values[0]
        Applications = lanczos.Applications + applications
    }
