/// Spectral norms of `R A D`: one entry point that chooses the method by size.
module LipVerify.Core.Spectral.Spectral

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps

/// How a spectral norm was obtained.
type Method =
    /// METHODS 4a: a Cholesky factorisation proves it.
    | CholeskyCertificate
    /// METHODS 4b: random vectors prove it, except with the failure probability.
    | LanczosCertificate
    /// METHODS 4c, `√(‖M‖₁‖M‖_∞)`: where it is tight, where no other certificate closes, and where the time is over.
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
        /// The best value attained: a Ritz value, below the norm up to rounding. 0 where none was sought.
        Attained: float
        /// The method used.
        Method: Method
        /// Vectors that `MᵀM` was applied to by a random certificate.
        Applications: int
    }

/// A deterministic certificate was insisted on, and the operator is too large for one.
type NotCertifiableException(reason: string) =
    inherit Exception(reason)

/// A norm is certified by Cholesky where that takes at most this many operations, as much as for a full matrix of side 4000.
let private affordableOperations = 2.0e10

/// The same where a deterministic certificate is insisted on: a full matrix of side 16 384.
let private mostOperations = 1.5e12

/// Inputs above which an operator counts as large.
let private largeOperator = 100_000

/// Relative looseness aimed at where none is asked for.
let private defaultTolerance masked =
    if LinearMap.inputs masked.Map > largeOperator then
        1e-2
    else
        1e-3

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
        Applications = 0
    }

let private zero =
    {
        Bound = Bound.zero
        Attained = 0.0
        Method = Zero
        Applications = 0
    }

/// Beyond this power of two in size, squares of scaled entries could leave the range of doubles.
let private scalableExponent = 900

let private byCholesky context masked absoluteProduct =
    let masked = MaskedMap.compress masked

    let enclosure =
        CholeskyCertificate.largestGramEigenvalue context masked (GramLayout.cheapest masked) absoluteProduct

    {
        Bound = Bound.certified (Rounding.sqrtUp enclosure.Upper)
        Attained = sqrt enclosure.Estimate
        Method = CholeskyCertificate
        Applications = 0
    }

/// A dense map is applied as it is while its dead inputs take less time than a copy without them; its dead outputs take none.
let private withoutManyDead masked =
    if Tensor.countNonZero masked.Columns * 4 > masked.Columns.Length * 3 then
        masked
    else
        MaskedMap.compress masked

let private byLanczos (context: Context) masked absoluteProduct =
    let masked = withoutManyDead masked
    let gram = Gram.operator context masked (Gram.cheapestSide masked) absoluteProduct
    let failure = context.Certification.FailureProbability

    let tolerance =
        context.Certification.Tolerance
        |> Option.defaultWith (fun () -> defaultTolerance masked)

    let certificate =
        LanczosCertificate.largestEigenvalue context gram tolerance failure

    {
        Bound =
            {
                Value = Rounding.sqrtUp certificate.Upper
                Rigor = Probabilistic failure
            }
        Attained = sqrt certificate.Attained
        Method = LanczosCertificate
        Applications = certificate.Applications
    }

/// Whether the norm of a map between diagonal factors may need random vectors.
let mayDraw map =
    (GramLayout.cheapest (MaskedMap.whole map)).Envelope.Operations > affordableOperations

/// `‖M‖` for `‖M‖₁·‖M‖_∞` near 1, of which `ceiling` bounds the root; none where the time of the context is over first.
let private scaledNorm (context: Context) masked ceiling =
    let envelope = (GramLayout.cheapest masked).Envelope
    let absoluteProduct = Rounding.mulUp ceiling ceiling

    let isWithin operations =
        envelope.Operations <= operations && envelope.Length <= int64 Array.MaxLength

    let prove by =
        Context.attempt context (fun context -> by context masked absoluteProduct)

    if isWithin affordableOperations then
        prove byCholesky
    elif not context.Certification.Deterministic then
        prove byLanczos
    elif isWithin mostOperations then
        prove byCholesky
    elif Context.isOver context then
        None
    else
        raise (
            NotCertifiableException
                $"a Cholesky factorisation of its {envelope.Order} live coordinates takes {Figure.nearestTo 2 envelope.Operations} operations, and a certificate without random draws may take {Figure.nearestTo 2 mostOperations}"
        )

/// A ceiling this close to what was attained is reported instead: it is proved by sums alone. It is exact where all singular
/// vectors have equal entries, as in average pooling without overlap.
let private ceilingTolerance = 1e-8

/// `‖M‖` of an operator that is not zero. `columnNorm` and `rowNorm` bound `‖M‖₁` and `‖M‖_∞`, which also gives the
/// ceiling `√(‖M‖₁‖M‖_∞)` of METHODS 4c. `prove` gives the norm of the scaled operator, or nothing below its ceiling.
let private operatorNorm (prove: MaskedMap -> float -> SpectralNorm option) masked columnNorm rowNorm =
    let ceiling = Rounding.mulUp (Rounding.sqrtUp columnNorm) (Rounding.sqrtUp rowNorm)

    let fromCeiling attained applications =
        {
            Bound = Bound.certified ceiling
            Attained = attained
            Method = AbsoluteNorms
            Applications = applications
        }

    let exponent =
        if Double.IsFinite ceiling then
            -(Math.ILogB ceiling)
        else
            Int32.MaxValue

    // The factor of a row of zeros, or of the least doubles, may leave the range when the others are brought near 1.
    let scaled =
        if abs exponent > scalableExponent then
            None
        else
            Some(MaskedMap.scaleRows exponent masked)
            |> Option.filter (fun scaled -> Tensor.isFinite scaled.Rows)

    let norm =
        scaled
        |> Option.bind (fun scaled -> prove scaled (Math.ScaleB(ceiling, exponent)))

    match norm with
    | None -> fromCeiling 0.0 0
    | Some norm ->
        let unscale value = Math.ScaleB(value, -exponent)
        let attained = unscale norm.Attained

        if
            ceiling <= unscale norm.Bound.Value
            || ceiling <= attained * (1.0 + ceilingTolerance)
        then
            fromCeiling attained norm.Applications
        else
            { norm with
                Bound =
                    { norm.Bound with
                        Value = unscale norm.Bound.Value
                    }
                Attained = attained
            }

/// Whether all entries that are not 0 have one size.
let private isUniform tensor =
    let struct (least, largest) = Tensor.sizes tensor
    least = largest

/// Whether a map has one entry in each row, or in each column, and all of one size: then no vector stretches further than by the root of the most
/// entries that meet, which the ceiling is.
let private isSelection masked =
    match masked.Map with
    | Sparse sparse when Sparse.termsInRow sparse = 1 || Sparse.termsInColumn sparse = 1 ->
        List.forall isUniform [ sparse.Values; masked.Rows; masked.Columns ]
    | _ -> false

let private byAbsoluteNorms columnNorm rowNorm =
    {
        Bound = Bound.certified (Rounding.mulUp (Rounding.sqrtUp columnNorm) (Rounding.sqrtUp rowNorm))
        Attained = 0.0
        Method = AbsoluteNorms
        Applications = 0
    }

let private normBy (context: Context) prove (masked: MaskedMap) : SpectralNorm =
    let masked = MaskedMap.mergeScales masked

    match masked.Map with
    | Diagonal scale -> diagonalNorm masked scale
    | _ ->
        let struct (columnNorm, rowNorm) = MaskedMap.absoluteNorms context.Engine masked

        if rowNorm = 0.0 then
            zero
        elif isSelection masked then
            byAbsoluteNorms columnNorm rowNorm
        else
            operatorNorm prove masked columnNorm rowNorm

/// `‖R A D‖` (Theorem 2): certified by Cholesky where that takes few operations (sides up to some thousand coordinates, more where
/// a convolution couples only neighbours), else by random vectors
/// with the failure probability of the context, or not at all where the context insists on determinism (`NotCertifiableException`). Once the
/// time of the context is over it is `√(‖M‖₁‖M‖_∞)`.
let norm (context: Context) (masked: MaskedMap) : SpectralNorm =
    normBy context (scaledNorm context) masked

/// `‖A‖` by random vectors, as coarsely as the tolerance of the context allows: what errors are multiplied by on their way.
let coarseNorm (context: Context) (map: LinearMap) : Bound =
    let prove masked ceiling =
        Some(byLanczos context masked (Rounding.mulUp ceiling ceiling))

    (normBy context prove (MaskedMap.whole map)).Bound
