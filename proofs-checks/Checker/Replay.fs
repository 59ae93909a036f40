/// Shows `‖M‖ ≤ c` except with a chosen probability, by Lanczos steps on random vectors that are drawn here and now.
///
/// Let `λ > c²` be the largest eigenvalue of `G = MMᵀ`, with unit eigenvector `w`, and `v_0` standard normal. Any numbers
/// `α_j`, `β_j ≥ 0` and `γ_j > 0` define vectors and polynomials by
///
///     γ_{j+1} v_{j+1} = (G − α_j) v_j − β_j v_{j−1} + r_{j+1},    γ_{j+1} q_{j+1} = (λ − α_j) q_j − β_j q_{j−1},    q_0 = 1,
///
/// where `r` is whatever rounding leaves. Lanczos chooses them so that `q_k` is small on the spectrum and large beyond it.
/// Divide `⟨w, v_j⟩` by `q_j`: these `y_j` change by
///
///     y_{j+1} − y_j = β_j/(γ_{j+1} ρ_j ρ_{j+1})·(y_j − y_{j−1}) + ⟨w, r_{j+1}⟩/(γ_{j+1} q_{j+1}),    ρ_j = q_j/q_{j−1}.
///
/// With `γ_{j+1} ρ_{j+1} = λ − α_j − β_j/ρ_j`, if all `ρ_j` are positive at `c²` they are positive and increase from there on,
/// and so do the `q_j`. Evaluated at `c²`, then, `‖v_k‖/q_k + Σ|y_{j+1} − y_j|` bounds `|y_0| = |⟨w, v_0⟩|` whatever `λ > c²`
/// is. If that is less than `τ` for each of four vectors, either `λ ≤ c²`, or four independent draws all had
/// `|⟨w, v_0⟩| < τ`, which has a probability of at most `(τ√(2/π))⁴`. It does not matter when to stop, or what the choice of
/// the coefficients depends on: the event is the same for all of them.
///
/// All vectors are unevaluated sums of two doubles. So `r` is of the order of 1e-30, and claims as tight as 1e-12 hold.
module LipVerify.Checker.Replay

open System
open System.Runtime.Intrinsics
open System.Security.Cryptography
open LipVerify.Checker.Directed
open LipVerify.Checker.LiveMatrix
open LipVerify.Checker.Twofold

/// Steps after which a claim counts as not shown.
let private stepLimit = 1500

/// `Σ x_i y_i` of the high parts, for each vector.
let private dots (x: Twofold[]) (y: Twofold[]) =
    let mutable sum = Vector256<float>.Zero

    for i in 0 .. x.Length - 1 do
        sum <- sum + x[i].High * y[i].High

    sum

/// Upper bounds on the lengths: 1e-7 is more than rounding takes from squares, and underflow takes less than 1e-150.
let private lengths x =
    Vector256.Sqrt(dots x x) * Vector256.Create(1.0 + 1e-7)
    + Vector256.Create 1e-150

/// `x − αy − βz`, with an error of at most `2⁻¹⁰⁰(|x| + |αy| + |βz|)`: each of at most eight roundings is of low parts.
let inline private combine (x: Twofold) alpha (y: Twofold) beta (z: Twofold) =
    let p, q = alpha * y.High, beta * z.High
    let first = x.High - p
    let second = first - q

    let low =
        x.Low + sumErrors x.High -p first + sumErrors first -q second
        - (productErrors alpha y.High p + alpha * y.Low)
        - (productErrors beta z.High q + beta * z.Low)

    normalise second low

/// Standard normal numbers (Box and Muller) from the system's cryptographic generator.
let normals count =
    let bytes = RandomNumberGenerator.GetBytes(16 * count)

    let uniform at =
        float ((BitConverter.ToUInt64(bytes, at) >>> 11) + 1UL) * Math.ScaleB(1.0, -53)

    Array.init count (fun i ->
        sqrt (-2.0 * log (uniform (16 * i)))
        * cos (2.0 * Math.PI * uniform (16 * i + 8)))

/// What is known of one vector after some steps, all at `λ = c²`.
type private Progress =
    {
        /// Lower bound on `ρ_j`.
        Ratio: float
        /// Lower bound on `q_j`.
        Growth: float
        /// Upper bound on `|y_j − y_{j−1}|`.
        Change: float
        /// Upper bound on the sum of all changes.
        Deviation: float
    }

let private start =
    {
        Ratio = 1.0
        Growth = 1.0
        Change = 0.0
        Deviation = 0.0
    }

/// After one more step with a residual of at most the given length; none if `ρ` is not positive.
let private advance square alpha beta gamma residual progress =
    let numerator = addDown (addDown square -alpha) -(divUp beta progress.Ratio)

    if numerator > 0.0 then
        let ratio = numerator / gamma
        let growth = mulDown progress.Growth ratio

        let change =
            (beta / (gamma * progress.Ratio * ratio) * progress.Change
             + residual / (gamma * growth))
            * (1.0 + 1e-12)

        Some
            {
                Ratio = ratio
                Growth = growth
                Change = change
                Deviation = addUp progress.Deviation change
            }
    else
        None

/// How a replay ended.
type Outcome =
    /// Shown after so many steps.
    | Shown of steps: int
    /// The claim lies below what was found of the spectrum.
    | Exceeded of steps: int
    | Undecided of steps: int

/// A power of two near a length. Not too small, so that a vector that vanished stays in the range of doubles.
let private powerOfTwo (length: float) =
    Math.ScaleB(1.0, max -500 (Math.ILogB length))

/// An operator `G = MMᵀ` of this side by what it makes of vectors, which is `G v` up to an error of length `Error·‖v‖`; its norm is at most
/// `Ceiling`.
[<NoEquality; NoComparison>]
type Gram =
    {
        Side: int
        Apply: Twofold[] -> Twofold[] -> unit
        Error: float
        Ceiling: float
    }

/// Whether `‖M‖ ≤ c` is shown, except with a probability of at most `failure` over the draws; `c` should be near 1.
let runOn (gram: Gram) c failure =
    let size = gram.Side
    let product = gram.Ceiling
    let square = mulDown c c

    let tau =
        Math.Pow(failure, 1.0 / float Twofold.lanes)
        * sqrt (Math.PI / 2.0)
        * (1.0 - 1e-12)

    let draws = normals (Twofold.lanes * size)

    let mutable current =
        Array.init size (fun i ->
            { zero with
                High = Vector256.LoadUnsafe &draws[Twofold.lanes * i]
            })

    let mutable previous = Array.create size zero
    let image = Array.create size zero
    let lanes = Array.create Twofold.lanes (Some start)
    let mutable lengthsBefore = Vector256<float>.Zero
    let mutable lengthsNow = lengths current
    let mutable squaresBefore = Vector256<float>.Zero
    let mutable gamma = Vector256.Create 1.0
    let mutable exceeded = false
    let mutable steps = 0

    /// The residual of the step: from the products, from the combination (`‖Gv‖ ≤ product·‖v‖`), and from underflow.
    let residual (alpha: float) beta now before =
        gram.Error * now
        + Math.ScaleB(1.0, -99) * ((product + abs alpha) * now + beta * before)
        + 1e-250

    while not exceeded && steps < stepLimit && Array.exists Option.isSome lanes do
        gram.Apply current image
        let squaresNow = dots current current
        let alpha = Vector256.Divide(dots current image, squaresNow)

        let beta =
            if steps = 0 then
                Vector256.Zero
            else
                gamma * Vector256.Divide(squaresNow, squaresBefore)

        for i in 0 .. size - 1 do
            previous[i] <- combine image[i] alpha current[i] beta previous[i]

        let next = lengths previous

        gamma <- Vector256.Create(powerOfTwo next[0], powerOfTwo next[1], powerOfTwo next[2], powerOfTwo next[3])

        let inverse = Vector256.Divide(Vector256.Create 1.0, gamma)

        for i in 0 .. size - 1 do
            previous[i] <-
                {
                    High = inverse * previous[i].High
                    Low = inverse * previous[i].Low
                }

        let swapped = current
        current <- previous
        previous <- swapped
        squaresBefore <- squaresNow

        for lane in 0 .. Twofold.lanes - 1 do
            match lanes[lane] with
            | None -> ()
            | Some progress ->
                let left = residual alpha[lane] beta[lane] lengthsNow[lane] lengthsBefore[lane]

                match advance square alpha[lane] beta[lane] gamma[lane] left progress with
                | None -> exceeded <- true
                | Some progress ->
                    let bound =
                        (next[lane] / gamma[lane] / progress.Growth + progress.Deviation)
                        * (1.0 + 1e-12)

                    lanes[lane] <- if bound < tau then None else Some progress

        lengthsBefore <- lengthsNow
        lengthsNow <- next * inverse
        steps <- steps + 1

    if exceeded then Exceeded steps
    elif Array.forall Option.isNone lanes then Shown steps
    else Undecided steps

/// Whether `‖M‖ ≤ c` is shown, for the rows and columns of `M`, with no more rows than columns, except with a probability of
/// at most `failure` over the draws. `product` bounds `‖|M|‖²`; `c` should be near 1.
let run (rows: Matrix) (columns: Matrix) product c failure =
    let between = Array.create columns.RowCount zero

    runOn
        {
            Side = rows.RowCount
            Apply =
                fun x y ->
                    multiply columns x between
                    multiply rows between y
            Error = 1.1 * (multiplicationError rows + multiplicationError columns) * product
            Ceiling = product
        }
        c
        failure
