/// Norms and absolute sums of the rows and columns of a linear map, each from one application of a map with changed
/// entries: `‖D a_i‖² = Σ_j a_ij² d_j` is the map with squared entries at `d` (METHODS section 3).
module LipVerify.Core.RowNorms

open System
open LipVerify.Compute

/// Below this a sum of scaled squares may have lost terms to underflow.
let private underflowGuard = Math.ScaleB(1.0, -900)

/// A power of two that brings the largest entry near 1, and whether squares of the scaled entries may still underflow.
let private scaling (entries: float[]) =
    let mutable largest = 0.0
    let mutable smallest = Double.PositiveInfinity

    for entry in entries do
        let size = abs entry

        if size > 0.0 then
            largest <- max largest size
            smallest <- min smallest size

    if largest = 0.0 then
        struct (0, false)
    else
        let exponent = -(Math.ILogB largest) |> max -1000 |> min 1000
        struct (exponent, Math.ScaleB(smallest, exponent) < Math.ScaleB(1.0, -511))

/// `|A| x` for non-negative `x` and a map that is its own absolute value, rounded upward.
let rec private sumsOfAbsoluteRows (engine: IEngine) absoluteMap (mask: Tensor) =
    match absoluteMap with
    | Scaled(scale, map) -> Tensor.map2 Rounding.mulUp scale (sumsOfAbsoluteRows engine map mask)
    | _ ->
        let inflation = 1.0 + 2.0 * Rounding.gamma (LinearMap.termsInRow absoluteMap + 2)

        LinearMap.applyTo engine absoluteMap mask
        |> Tensor.map (Rounding.mulUp inflation)

/// `Σ_j |a_ij| x_j` for each row `i`, rounded upward; `x` is non-negative, one value an input. For `x` of zeros and ones the
/// sums are 0 only where every term is 0; other products may underflow to 0.
let absoluteRowSums (engine: IEngine) map (x: Tensor) =
    sumsOfAbsoluteRows engine (LinearMap.absolute map) x

/// `Σ_i |a_ij| r_i` for each column and a map that is its own absolute value, rounded upward.
let rec private sumsOfAbsoluteColumns (engine: IEngine) absoluteMap (weights: Tensor) =
    match absoluteMap with
    | Scaled(scale, map) -> sumsOfAbsoluteColumns engine map (Tensor.map2 Rounding.mulUp scale weights)
    | _ ->
        let inflation = 1.0 + 2.0 * Rounding.gamma (LinearMap.termsInColumn absoluteMap + 2)

        LinearMap.adjointTo engine absoluteMap weights
        |> Tensor.map (Rounding.mulUp inflation)

/// The row sums `Σ_j |a_ij| d_j` and the column sums `Σ_i |a_ij| r_i`, rounded upward, the latter up to products that
/// underflow to 0 (at most `termsInColumn`, each below 2⁻¹⁰⁷⁴). `mask` holds 0 and 1, one an input; `weights` are
/// non-negative, one an output.
let absoluteSums (engine: IEngine) map (mask: Tensor) (weights: Tensor) =
    let absoluteMap = LinearMap.absolute map
    struct (sumsOfAbsoluteRows engine absoluteMap mask, sumsOfAbsoluteColumns engine absoluteMap weights)

/// Row norms of a map with explicit entries, by one application of `squares`, the map with entries `(2^e·a)²`.
let private explicitRowNorms (engine: IEngine) map (entries: float[]) (squares: (float -> float) -> LinearMap) mask =
    let struct (exponent, mayUnderflow) = scaling entries

    let square entry =
        let scaled = Math.ScaleB(entry, exponent)
        scaled * scaled

    let inflation = 1.0 + 2.0 * Rounding.gamma (LinearMap.termsInRow map + 4)
    let sums = LinearMap.applyTo engine (squares square) mask

    let norm sum =
        Rounding.scaleUp (Rounding.sqrtUp (Rounding.mulUp inflation sum)) -exponent

    if mayUnderflow then
        // ‖·‖₂ ≤ ‖·‖₁, whose terms do not underflow when squared ones do.
        Tensor.map2
            (fun sum ceiling -> if sum < underflowGuard then ceiling else norm sum)
            sums
            (absoluteRowSums engine map mask)
    else
        Tensor.map norm sums

/// `‖D a_i‖` for each row `a_i` of the map, with `D = diag(mask)`: the widths of Proposition 4, rounded upward.
let rec rowNorms (engine: IEngine) map (mask: Tensor) : Tensor =
    match map with
    | Dense dense ->
        let squares f = Dense(Dense.mapEntries f dense)
        explicitRowNorms engine map (Tensor.values dense.Weights) squares mask
    | Convolution convolution ->
        let squares f =
            Convolution(Convolution.mapEntries f convolution)

        explicitRowNorms engine map (Tensor.values convolution.Weights) squares mask
    | AveragePooling pooling ->
        // Every entry of row i is 1/n_i, so the mean of the mask over n_i is the squared norm.
        let inflation = 1.0 + 2.0 * Rounding.gamma (LinearMap.termsInRow map + 4)

        let divisors =
            AveragePooling.divisors pooling
            |> Tensor.ofArray (AveragePooling.outputShape pooling)

        Tensor.map2
            (fun mean n -> Rounding.sqrtUp (Rounding.mulUp inflation (mean / n)))
            (LinearMap.applyTo engine map mask)
            divisors
    | Diagonal scale -> Tensor.map2 (fun s d -> if d = 0.0 then 0.0 else abs s) scale mask
    | Scaled(scale, map) -> Tensor.map2 (fun s norm -> Rounding.mulUp (abs s) norm) scale (rowNorms engine map mask)
