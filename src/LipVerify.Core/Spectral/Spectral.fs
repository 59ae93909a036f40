/// Spectral norms of `R A D`: one entry point that chooses the method by size.
module LipVerify.Core.Spectral

open System

/// How a spectral norm was obtained.
type Method =
    /// METHODS 4a: a Cholesky factorisation proves it.
    | CholeskyCertificate
    /// Lanczos iteration: no guarantee.
    | Lanczos
    /// METHODS 4d, `√(‖M‖₁‖M‖_∞)`: where it is tight, and for operators at the ends of the range of doubles.
    | AbsoluteNorms
    /// The operator is zero.
    | Zero
    /// `|max|` of a diagonal.
    | DiagonalMaximum

/// The spectral norm of an operator from above, and what is known from below.
type SpectralNorm =
    {
        /// The norm, with what it promises.
        Bound: Bound
        /// The best value attained: a Ritz value, below the norm up to rounding.
        Attained: float
        /// The method used.
        Method: Method
    }

/// Up to this many live coordinates on the smaller side the norm is certified by Cholesky.
let smallSide = 3100

/// Relative accuracy of a Lanczos estimate of a norm.
let lanczosTolerance = 1e-10

/// Applications of `MᵀM` after which a Lanczos estimate is taken as it is.
let private maxLanczosApplications = 5000

/// A ceiling this close to the estimate is reported instead: it is proved. It is exact where all singular vectors have equal
/// entries, as in average pooling without overlap.
let private ceilingTolerance = 1e-8

let private diagonalNorm (masked: MaskedMap) (scale: Tensor) =
    let values =
        Array.map3
            (fun r (s: float) d -> if d = 0.0 then 0.0 else Rounding.mulUp r (abs s))
            (Tensor.values masked.Rows)
            (Tensor.values scale)
            (Tensor.values masked.Columns)

    let largest = Array.max values

    {
        Bound = Bound.certified largest
        Attained = largest
        Method = DiagonalMaximum
    }

let private zero =
    {
        Bound = Bound.zero
        Attained = 0.0
        Method = Zero
    }

/// Beyond this power of two in size, squares of scaled entries could leave the range of doubles.
let private scalableExponent = 900

/// `‖M‖` by Cholesky or Lanczos. `exponent` scales `ceiling ≥ ‖M‖` to a number near 1.
let private scaledNorm (context: Context) masked ceiling exponent =
    let struct (side, live) = Gram.smallerSide masked
    let scaled = MaskedMap.scaleRows exponent masked
    let unscale value = Math.ScaleB(value, -exponent)
    let scaledCeiling = Math.ScaleB(ceiling, exponent)

    if live.Length <= smallSide then
        let absoluteProduct = Rounding.mulUp scaledCeiling scaledCeiling

        let enclosure =
            CholeskyCertificate.largestGramEigenvalue context scaled side live absoluteProduct

        {
            Bound = Bound.certified (min ceiling (unscale (Rounding.sqrtUp enclosure.Upper)))
            Attained = unscale (sqrt enclosure.Estimate)
            Method = CholeskyCertificate
        }
    else
        // The tolerance on the norm is half of that on its square.
        let ritz =
            Lanczos.largest context scaled side (2.0 * lanczosTolerance) maxLanczosApplications

        let estimate = unscale (sqrt (ritz.Value + ritz.Error))

        if ceiling <= estimate * (1.0 + ceilingTolerance) then
            {
                Bound = Bound.certified ceiling
                Attained = unscale (sqrt ritz.Value)
                Method = AbsoluteNorms
            }
        else
            {
                Bound = { Value = estimate; Rigor = Estimate }
                Attained = unscale (sqrt ritz.Value)
                Method = Lanczos
            }

/// `‖M‖` of an operator that is not zero, by the method that its size asks for.
let private operatorNorm (context: Context) masked columnNorm rowNorm =
    let ceiling = Rounding.mulUp (Rounding.sqrtUp columnNorm) (Rounding.sqrtUp rowNorm)

    let exponent =
        if Double.IsFinite ceiling then
            -(Math.ILogB ceiling)
        else
            Int32.MaxValue

    if abs exponent <= scalableExponent then
        scaledNorm context masked ceiling exponent
    else
        {
            Bound = Bound.certified ceiling
            Attained = 0.0
            Method = AbsoluteNorms
        }

/// `‖R A D‖` (Theorem 2): certified by Cholesky where a side has at most `smallSide` live coordinates,
/// else a Lanczos estimate, labelled as such.
let norm (context: Context) (masked: MaskedMap) : SpectralNorm =
    match masked.Map with
    | Diagonal scale -> diagonalNorm masked scale
    | _ ->
        let masked = MaskedMap.compress masked
        let struct (columnNorm, rowNorm) = MaskedMap.absoluteNorms context.Engine masked

        if rowNorm = 0.0 then
            zero
        else
            operatorNorm context masked columnNorm rowNorm
