/// Certified bounds on `max ‖P(σ)‖` over `σ ∈ [0, 1]ⁿ` that need no enumeration.
module internal LipVerify.Core.Bounds.SeqLip.SlopeRelaxation

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Bounds.Multipliers.Representation
open LipVerify.Core.Bounds.Multipliers.Solver

/// Wider layers get no multipliers, which would take minutes.
let mostMultipliers = 1000

/// How the least bound came about.
type Means =
    /// `‖A‖·‖B‖`.
    | ProductOfNorms
    /// `½(‖A B‖ + ‖A‖·‖B‖)`.
    | HalvedSum
    /// One multiplier a ReLU.
    | OneMultiplierEach

/// The rows of `a` and `b` brought together as a layer of slopes `½ + ½Δ`: `v = ½ B x`, `w = Δ v`, `P x = ½ A B x + A w`.
let private represent (product: SlopeProduct) (whole: float[]) : LinearFractional =
    let n, height, width = product.Neurons, product.Height, product.Width
    let columns = width + n
    let values = Array.zeroCreate<float>((n + height) * columns)
    let errors = Array.zeroCreate<float> values.Length

    for j in 0 .. n - 1 do
        for c in 0 .. width - 1 do
            values[j * columns + c] <- 0.5 * product.Below[j * width + c]

    // |fl(A B) − A B| ≤ γ |A||B|, entry by entry; the sums are bounded by Cauchy and Schwarz.
    let norms (rows: float[]) length =
        Array.init length (fun c -> SingularFactors.frobenius (Array.init n (fun j -> rows[j * length + c])))

    let above, below = norms product.Above height, norms product.Below width
    let rounding = Rounding.gamma (n + 4)

    for r in 0 .. height - 1 do
        let row = (n + r) * columns

        for c in 0 .. width - 1 do
            values[row + c] <- 0.5 * whole[r * width + c]
            errors[row + c] <- rounding * above[r] * below[c] + Math.ScaleB(1.0, -900)

        for j in 0 .. n - 1 do
            values[row + width + j] <- product.Above[j * height + r]

    {
        Inputs = width
        Uncertain = n
        Outputs = height
        Values = values
        Errors = errors
    }

/// The same multipliers a little away from where they prove least: the search gets nowhere along the boundary.
let private withRoom (multipliers: Multipliers) =
    let room = 1.2

    {
        Gamma = room * multipliers.Gamma
        Weights = multipliers.Weights |> Array.map (fun s -> s / room)
    }

/// One multiplier for all ReLUs, `t = ‖A‖² + ‖A‖‖A B‖/‖B‖`: it proves `½(‖A B‖ + ‖A‖·‖B‖)`.
let private common (product: SlopeProduct) aboveNorm belowNorm composed : Multipliers =
    {
        Gamma = 0.5 * (composed + aboveNorm * belowNorm)
        Weights = Array.create product.Neurons (1.0 / (aboveNorm * aboveNorm + aboveNorm * composed / belowNorm))
    }

/// What multipliers prove, searched from `start`.
let private byMultipliers (context: Context) product whole start =
    let lfr = represent product whole

    match MultiplierSearch.prove context lfr None (Some(withRoom start)) (fun _ -> false) with
    | Some(struct (_, Some proved)) -> proved.Value
    | _ -> Double.PositiveInfinity

/// The least of three certified bounds on `max ‖P(σ)‖`, for certified norms of `A` and `B`:
/// - `‖A‖·‖B‖`;
/// - `½(‖A B‖ + ‖A‖·‖B‖)`: with `σ = ½ + ½s`, `P = ½ A B + ½ A diag(s) B` and `‖diag(s)‖ ≤ 1`;
/// - the `γ` of multipliers `t ≥ 0`, one a ReLU (METHODS section 7 for a single layer with slopes in `[0, 1]`): the dual of the
///   semidefinite relaxation of `max ‖P(σ)‖²`. The time of the context ends the search for them.
let bound (context: Context) (product: SlopeProduct) aboveNorm belowNorm : struct (float * Means) =
    let simple = Rounding.mulUp aboveNorm belowNorm

    if product.Neurons = 0 then
        struct (product.Rest, ProductOfNorms)
    else
        let whole = SlopeProduct.whole context.Engine product

        let rounding =
            Rounding.mulUp (Rounding.gamma (product.Neurons + 2)) (SlopeProduct.size product)

        let composed =
            Rounding.addUp (SlopeProduct.norm context product.Height product.Width whole) rounding
            |> Rounding.addUp product.Rest

        let halved = 0.5 * Rounding.addUp composed simple

        let multiplied =
            if product.Neurons <= mostMultipliers then
                let start = common product aboveNorm belowNorm composed

                byMultipliers context product whole start |> Rounding.addUp product.Rest
            else
                Double.PositiveInfinity

        [
            struct (simple, ProductOfNorms)
            struct (halved, HalvedSum)
            struct (multiplied, OneMultiplierEach)
        ]
        |> List.minBy (fun (struct (value, _)) -> value)
