/// Spectral norms of `R A D`: one entry point that chooses the method by size.
module LipVerify.Core.Spectral

open System

/// How a spectral norm was obtained.
type Method =
    /// METHODS 4a: a Cholesky factorisation proves it.
    | CholeskyCertificate
    /// Lanczos iteration: no guarantee.
    | Lanczos
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

/// `‖M‖` of an operator that is not zero, by the method that its size asks for. `columnNorm` and `rowNorm` bound
/// `‖M‖₁` and `‖M‖_∞`, which also gives the ceiling `√(‖M‖₁‖M‖_∞)` of METHODS 4d.
let private operatorNorm (context: Context) masked columnNorm rowNorm =
    let struct (side, live) = Gram.smallerSide masked
    let ceiling = Rounding.mulUp (Rounding.sqrtUp columnNorm) (Rounding.sqrtUp rowNorm)

    // Work on 2^e·M with ‖M‖₁‖M‖_∞ near 1, so that squares stay inside the range of doubles.
    let exponent = -(Math.ILogB ceiling)
    let scaled = MaskedMap.scaleRows exponent masked
    let unscale value = Math.ScaleB(value, -exponent)
    let scaledCeiling = Math.ScaleB(ceiling, exponent)

    if live.Length <= smallSide then
        let enclosure =
            CholeskyCertificate.largestGramEigenvalue
                context
                scaled
                side
                live
                (Rounding.mulUp scaledCeiling scaledCeiling)

        {
            Bound = Bound.certified (min ceiling (unscale (Rounding.sqrtUp enclosure.Upper)))
            Attained = unscale (sqrt enclosure.Estimate)
            Method = CholeskyCertificate
        }
    else
        // The tolerance on the norm is half of that on its square.
        let ritz = Lanczos.largest context scaled side (2.0 * lanczosTolerance) 5000
        let estimate = sqrt (ritz.Value + ritz.Error)

        {
            Bound =
                {
                    Value = min ceiling (unscale estimate)
                    Rigor = Estimate
                }
            Attained = unscale (sqrt ritz.Value)
            Method = Lanczos
        }

/// `‖R A D‖` (Theorem 2): certified by Cholesky where a side has at most `smallSide` live coordinates,
/// else a Lanczos estimate, labelled as such.
let norm (context: Context) (masked: MaskedMap) : SpectralNorm =
    match masked.Map with
    | Diagonal scale -> diagonalNorm masked scale
    | _ ->
        let masked = MaskedMap.compress masked
        let struct (columnNorm, rowNorm) = MaskedMap.absoluteNorms context.Engine masked

        if columnNorm = 0.0 || rowNorm = 0.0 then
            zero
        else
            operatorNorm context masked columnNorm rowNorm
