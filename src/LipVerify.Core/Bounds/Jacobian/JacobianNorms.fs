/// Norms of matrices `J` that are enclosed entry by entry, in the norms of inputs and outputs (METHODS section 10).
module internal LipVerify.Core.Bounds.Jacobian.JacobianNorms

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Spectral
open LipVerify.Core.Networks

/// A matrix with one row a column of `J`: the norms that are sought are those of its transpose.
let private matrix entry (columns: EnclosedTensor[]) =
    columns
    |> Array.collect (fun column -> Array.map2 entry (Tensor.values column.Value) (Tensor.values column.Error))

let private magnitudes columns =
    matrix (fun value error -> Rounding.addUp (abs value) error) columns

let private largest sums =
    if Array.forall Double.IsFinite sums then
        Bound.certified (Array.max sums)
    else
        Bound.certified Double.PositiveInfinity

/// The largest row sum of the magnitudes, `‖J‖_∞`.
let private maximumNorm (columns: EnclosedTensor[]) =
    let sums = Array.zeroCreate columns[0].Value.Length

    for column in columns do
        let values, errors = Tensor.values column.Value, Tensor.values column.Error

        for j in 0 .. sums.Length - 1 do
            sums[j] <- Rounding.addUp sums[j] (Rounding.addUp (abs values[j]) errors[j])

    largest sums

let private spectralNorm context index (columns: EnclosedTensor[]) (values: float[]) =
    if Array.forall Double.IsFinite values then
        let shape = [ columns.Length; columns[0].Value.Length ]
        let dense = Dense(Dense.create (Tensor.ofArray shape values))
        (Spectral.norm (Context.forComputation index context) (MaskedMap.whole dense)).Bound
    else
        Bound.certified Double.PositiveInfinity

/// The smaller of `‖V‖` and `‖C‖ + ‖E‖`, for `|J| ≤ V` and `|J − C| ≤ E`, entry by entry.
let private euclideanNorm context (columns: EnclosedTensor[]) =
    let context = Context.share 3 context
    let byMagnitude = spectralNorm context 0 columns (magnitudes columns)

    let byCenter =
        Bound.sum
            (spectralNorm context 1 columns (matrix (fun value _ -> value) columns))
            (spectralNorm context 2 columns (matrix (fun _ error -> error) columns))

    {
        Value = min byMagnitude.Value byCenter.Value
        Rigor = Rigor.combine byMagnitude.Rigor byCenter.Rigor
    }

/// The largest column sum of the magnitudes, `‖J‖₁`.
let private taxicabNorm (columns: EnclosedTensor[]) =
    columns
    |> Array.map (fun column ->
        Array.fold2
            (fun sum value error -> Rounding.addUp sum (Rounding.addUp (abs value) error))
            0.0
            (Tensor.values column.Value)
            (Tensor.values column.Error))
    |> largest

/// An upper bound on the norms of all matrices with these columns, inputs and outputs measured in `norm`.
let bound context norm (columns: EnclosedTensor[]) : Bound =
    match norm with
    | Euclidean -> euclideanNorm context columns
    | Maximum -> maximumNorm columns
    | Taxicab -> taxicabNorm columns
