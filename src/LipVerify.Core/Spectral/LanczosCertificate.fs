/// METHODS section 4b: an upper bound on the spectral norm of a large operator that holds except with a chosen
/// probability over random vectors drawn here.
///
/// Let `w` be a unit eigenvector of the largest eigenvalue `λ1` of `G`, and `q_1, …, q_{k+1}` what Lanczos computed from a
/// standard normal `g`: `G Q = Q T + β_k q_{k+1} e_kᵀ + F`. Then `z = Qᵀw` satisfies `zᵀ(λ1 I − T) = β_k⟨w,q_{k+1}⟩e_kᵀ + wᵀF`.
/// Where `λ1` exceeds `B > λ_max(T)`, the column `φ = (BI − T)⁻¹e_1 > 0` bounds that of `λ1`, and
/// `|⟨w,g⟩| = ‖g‖·|z_1| ≤ ‖g‖·(β_k φ_k + Σ_j |wᵀF e_j| φ_j)`. But `|⟨w,g⟩| ≤ τ` has a probability of at most `τ√(2/π)`.
///
/// Errors may be given in units of `√λ1`: `T` has no negative entry, so `λ·(λI − T)⁻¹e_1 = Σ_p (T/λ)^p e_1` falls with growing `λ`, and
/// `√λ·(λI − T)⁻¹e_1` all the more.
module LipVerify.Core.Spectral.LanczosCertificate

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation

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

/// What a bound is for.
type Purpose =
    {
        /// Random vectors of the first attempt.
        Vectors: int
        /// A bound that is no larger is worth no further vectors.
        Enough: float
        /// An eigenvalue that is larger makes every bound useless.
        Useful: float
    }

/// The less the bound is, the better.
let asLowAsPossible =
    {
        Vectors = 2
        Enough = 0.0
        Useful = Double.PositiveInfinity
    }

/// Steps after which the bound is taken as it is.
let private maxSteps = 1000

/// The bound is looked at every so many steps.
let private lookEvery = 2

/// `√(π/2)·δ^{1/b}`, rounded down: `b` vectors all have `|⟨w,g⟩| ≤ τ` with a probability of at most `δ`.
let private threshold count failure =
    Math.Pow(failure, 1.0 / float count) * sqrt (Math.PI / 2.0) * (1.0 - 1e-12)

/// What `λ1 ≥ candidate` would leave for `|⟨w,g⟩|`: by the length of the recurrence, and by its rounding.
[<Struct>]
type private Remainder = { Truncation: float; Rounding: float }

/// The remainders of start vector `i`; none if the candidate is not above all Ritz values.
let private remainder (lanczos: Lanczos) i candidate =
    let t = lanczos.Matrices[i]

    Tridiagonal.resolventColumn t candidate
    |> Option.map (fun column ->
        let start = Rounding.mulUp lanczos.StartNorms[i] lanczos.UnitNorm
        let last = Rounding.mulUp (Seq.last t.OffDiagonal) (Array.last column)

        let root = Rounding.sqrtUp candidate

        // Normalising g errs by 2u.
        let rounding =
            (4.0 * Rounding.unitRoundoff, Seq.zip lanczos.StepErrors[i] column)
            ||> Seq.fold (fun sum (error, entry) ->
                let along = Rounding.addUp error.Plain (Rounding.mulUp error.PerRoot root)
                Rounding.addUp sum (Rounding.mulUp along entry))

        {
            Truncation = Rounding.mulUp start (Rounding.mulUp lanczos.UnitNorm last)
            Rounding = Rounding.mulUp start rounding
        })

/// True where every start vector contradicts `λ1 ≥ candidate`, unless all of them have `|⟨w,g⟩| ≤ τ`.
let private isProved (lanczos: Lanczos) tau candidate =
    Seq.init lanczos.Matrices.Length (fun i -> remainder lanczos i candidate)
    |> Seq.forall (fun remainder ->
        match remainder with
        | Some r -> Rounding.addUp r.Truncation r.Rounding <= tau
        | None -> false)

/// True where rounding leaves at least half of `τ` to the length of the recurrence.
let private leavesRoom (lanczos: Lanczos) tau candidate =
    Seq.init lanczos.Matrices.Length (fun i -> remainder lanczos i candidate)
    |> Seq.forall (fun remainder ->
        match remainder with
        | Some r -> r.Rounding <= 0.5 * tau
        | None -> false)

/// The bound to aim at: the looseness asked for, or the first of its multiples by powers of 4 that rounding leaves room for. None
/// below `ceiling`, where further steps are of no use.
let private aim (lanczos: Lanczos) tau ritz looseness ceiling =
    Seq.unfold (fun excess -> Some(ritz * (1.0 + excess), 4.0 * excess)) (looseness - 1.0)
    |> Seq.takeWhile (fun candidate -> candidate < ceiling)
    |> Seq.tryFind (leavesRoom lanczos tau)

/// The least bound that is found proved above the Ritz value; `ceiling` bounds `λ1` anyway.
let private leastProved (lanczos: Lanczos) tau ritz ceiling =
    let rec bisect low high proved steps =
        let excess = sqrt (low * high)
        let candidate = ritz * (1.0 + excess)

        if steps = 0 then
            proved
        elif isProved lanczos tau candidate then
            bisect low excess (min proved candidate) (steps - 1)
        else
            bisect excess high proved (steps - 1)

    if ceiling > ritz && ritz > 0.0 then
        bisect 1e-15 (ceiling / ritz - 1.0) ceiling 40
    else
        ceiling

/// What `count` random vectors prove of `λ1(G)`, aiming at a relative looseness; cut short once it is above what is of use.
let private attempt (context: Context) (gram: GramOperator) useful looseness count failure =
    let draws =
        Gaussian.drawWith (gram.Key context.Seed) 0 (Checked.(*) count gram.Length)

    let lanczos = Lanczos(context, gram, count, draws)
    let tau = threshold count failure

    let rec go before =
        lanczos.Step()
        let last = lanczos.Steps = maxSteps

        if not last && lanczos.Steps % lookEvery <> 0 then
            go before
        else
            let ritz = lanczos.Ritz
            context.Report $"spectral norm: {lanczos.Steps} Lanczos steps, Ritz value {Figure.downward ritz}"

            // Before Ritz values settle, rounding seems to weigh more than it will.
            let isSettled = ritz <= before * (1.0 + 0.1 * (looseness - 1.0))

            let isFinished =
                ritz > useful
                || isProved lanczos tau (ritz * looseness)
                || isSettled
                   && (match aim lanczos tau ritz looseness gram.Ceiling with
                       | Some target -> isProved lanczos tau target
                       | None -> true)

            if last || isFinished then
                {
                    Upper = leastProved lanczos tau ritz gram.Ceiling
                    Attained = ritz
                    Applications = count * lanczos.Steps
                }
            else
                go ritz

    go 0.0

/// The better of two certificates of one operator.
let private better a b =
    {
        Upper = min a.Upper b.Upper
        Attained = max a.Attained b.Attained
        Applications = a.Applications + b.Applications
    }

/// Vectors of the attempts, from those of the first on, and their shares of the failure probability: two take the fewest applications, more
/// leave more room for rounding.
let private attempts first =
    let later = [ 4; 8 ] |> List.filter (fun count -> count > first)

    (first, 1.0 - 0.01 * float later.Length)
    :: (later |> List.map (fun count -> count, 0.01))

/// Bounds the largest eigenvalue of `G`, which is near 1, aiming at a relative looseness `tolerance` of its square root, as far as its purpose asks
/// for it. A tolerance below what rounding or 1000 steps allow is not reached.
let largestEigenvalueFor purpose (context: Context) (gram: GramOperator) tolerance failure =
    // Rounding lets no bound come closer than the least looseness.
    let looseness =
        max (1.0 + 1e-12) ((1.0 + tolerance) * (1.0 + tolerance) * (1.0 - 1e-14))

    let isDone certificate =
        certificate.Upper <= max purpose.Enough (certificate.Attained * looseness)
        || certificate.Attained > purpose.Useful

    let rec go index attempts =
        let context = Context.forComputation index context
        let count, share = List.head attempts

        let certificate =
            attempt context gram purpose.Useful looseness count (share * failure)

        match attempts with
        | _ :: (_ :: _ as rest) when not (isDone certificate) && certificate.Applications < count * maxSteps ->
            better certificate (go (index + 1) rest)
        | _ -> certificate

    go 0 (attempts purpose.Vectors)

/// `largestEigenvalueFor` a bound that is as low as possible.
let largestEigenvalue context gram tolerance failure =
    largestEigenvalueFor asLowAsPossible context gram tolerance failure
