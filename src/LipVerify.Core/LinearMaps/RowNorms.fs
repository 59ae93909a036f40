/// Norms and absolute sums of the rows and columns of a linear map, each from one application of a map with changed
/// entries: `‖D a_i‖² = Σ_j a_ij² d_j` is the map with squared entries at `d` (METHODS section 3).
module LipVerify.Core.LinearMaps.RowNorms

open System
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation

/// Below this a sum of scaled squares may have lost terms to underflow.
let private underflowGuard = Math.ScaleB(1.0, -900)

/// A power of two that brings the largest entry near 1, and whether squares of the scaled entries may still underflow.
let private scaling (entries: Tensor) =
    let struct (smallest, largest) = Tensor.sizes entries

    if largest = 0.0 then
        struct (0, false)
    else
        let exponent = -(Math.ILogB largest) |> max -1000 |> min 1000
        struct (exponent, Math.ScaleB(smallest, exponent) < Math.ScaleB(1.0, -511))

// Row factors `θ ≤ 1` of a rounded map take nothing from an upper bound, and are not 0.

/// `Σ_j |a_ij| x_j` for each row `i`, rounded upward; `x` is non-negative, one value an input. For `x` of zeros and ones the
/// sums are 0 only where every term is 0; other products may underflow to 0.
let rec absoluteRowSums (engine: IEngine) map (x: Tensor) =
    match map with
    | Scaled(scale, map) -> Tensor.map2 (fun s sum -> Rounding.mulUp (abs s) sum) scale (absoluteRowSums engine map x)
    | Rounded(_, map) -> absoluteRowSums engine map x
    | _ ->
        let inflation = 1.0 + 2.0 * Rounding.gamma (LinearMap.termsInRow map + 2)

        LinearMap.applyEntriesTo engine EntryFunction.Absolute 1.0 map x
        |> Tensor.map (Rounding.mulUp inflation)

/// `Σ_i |a_ij| r_i` for each column, rounded upward up to products that underflow to 0 (at most `termsInColumn`, each below
/// 2⁻¹⁰⁷⁴); `weights` are non-negative, one an output.
let rec absoluteColumnSums (engine: IEngine) map (weights: Tensor) =
    match map with
    | Scaled(scale, map) ->
        absoluteColumnSums engine map (Tensor.map2 (fun s w -> Rounding.mulUp (abs s) w) scale weights)
    | Rounded(_, map) -> absoluteColumnSums engine map weights
    | _ ->
        let inflation = 1.0 + 2.0 * Rounding.gamma (LinearMap.termsInColumn map + 2)

        LinearMap.adjointEntriesTo engine EntryFunction.Absolute 1.0 map weights
        |> Tensor.map (Rounding.mulUp inflation)

/// Row norms of a map with explicit entries, by one application of the map with entries `(2^e·a)²`.
let private explicitRowNorms (engine: IEngine) map (entries: Tensor) mask =
    let struct (exponent, mayUnderflow) = scaling entries
    let inflation = 1.0 + 2.0 * Rounding.gamma (LinearMap.termsInRow map + 4)

    let sums =
        LinearMap.applyEntriesTo engine EntryFunction.Square (Math.ScaleB(1.0, exponent)) map mask

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
    | Dense dense -> explicitRowNorms engine map dense.Weights mask
    | Convolution convolution -> explicitRowNorms engine map convolution.Weights mask
    | Sparse sparse -> explicitRowNorms engine map sparse.Values mask
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
    | Rounded(_, map) -> rowNorms engine map mask

/// The largest magnitude in each block of `size` entries.
let private largestInBlocks size (weights: Tensor) =
    let values = Tensor.values weights

    Array.init (values.Length / size) (fun row ->
        abs (Numerics.Tensors.TensorPrimitives.MaxMagnitude(ReadOnlySpan(values, row * size, size))))

/// The largest magnitude in each row, `‖a_i‖_∞`. Taps of a convolution that fall on padding count.
let rec private rowMaxima map : Tensor =
    match map with
    | Dense dense -> Tensor.ofArray [ dense.Outputs ] (largestInBlocks dense.Inputs dense.Weights)
    | Convolution convolution ->
        let output = Convolution.outputShape convolution
        let channels = convolution.Geometry.OutChannels

        let largest =
            largestInBlocks (convolution.Weights.Length / channels) convolution.Weights

        let perChannel = Shape.size output / channels
        Tensor.ofArray output (Array.init (Shape.size output) (fun i -> largest[i / perChannel]))
    | AveragePooling pooling ->
        AveragePooling.divisors pooling
        |> Array.map (Rounding.divUp 1.0)
        |> Tensor.ofArray (AveragePooling.outputShape pooling)
    | Sparse sparse ->
        let values, starts = Tensor.values sparse.Values, sparse.RowStarts

        let largest i =
            ReadOnlySpan(values, starts[i], starts[i + 1] - starts[i]).ToArray()
            |> Array.fold (fun largest entry -> max largest (abs entry)) 0.0

        let output = Sparse.outputShape sparse
        Tensor.ofArray output (Array.init (Shape.size output) largest)
    | Diagonal scale -> Tensor.map abs scale
    | Scaled(scale, map) -> Tensor.map2 (fun s largest -> Rounding.mulUp (abs s) largest) scale (rowMaxima map)
    | Rounded(_, map) -> rowMaxima map

/// `max a_iᵀx` over the unit ball of a norm, for each row: the row's dual norm, rounded upward.
let dualNorms (engine: IEngine) norm map : Tensor =
    let ones = Tensor.create (LinearMap.inputShape map) 1.0

    match norm with
    | Euclidean -> rowNorms engine map ones
    | Maximum -> absoluteRowSums engine map ones
    | Taxicab -> Tensor.map2 min (rowMaxima map) (rowNorms engine map ones)
