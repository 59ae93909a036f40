/// Local Lipschitz bounds from elementwise bounds on Jacobians (FastLip, Weng et al. 2018; here with slopes from enclosures
/// over the ball, nominal or uniform), in the Euclidean and in the maximum norm.
module LipVerify.Core.FastLip

open System

/// Entries of the columns behind the widest stage that are kept at once, at most: 2 GB with their errors.
let private mostEntries = 1L <<< 27

/// The inputs times the widest layer.
let private entries (network: Network) =
    let widest =
        Network.layers network
        |> List.map (fun placed -> Shape.size placed.Output)
        |> List.fold max 1

    int64 (Shape.size network.InputShape) * int64 widest

/// A matrix with one row a column of `J`: the norms that are sought are those of its transpose.
let private matrix entry (columns: EnclosedTensor[]) =
    columns
    |> Array.collect (fun column -> Array.map2 entry (Tensor.values column.Value) (Tensor.values column.Error))

let private magnitudes columns =
    matrix (fun value error -> Rounding.addUp (abs value) error) columns

/// The largest row sum of the magnitudes, `‖J‖_∞`.
let private maximumNorm (columns: EnclosedTensor[]) =
    let sums = Array.zeroCreate columns[0].Value.Length

    for column in columns do
        let values, errors = Tensor.values column.Value, Tensor.values column.Error

        for j in 0 .. sums.Length - 1 do
            sums[j] <- Rounding.addUp sums[j] (Rounding.addUp (abs values[j]) errors[j])

    if Array.forall Double.IsFinite sums then
        Bound.certified (Array.max sums)
    else
        Bound.certified Double.PositiveInfinity

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

/// Bounds the local Lipschitz constant over the ball of this norm and radius around `input`, the outputs measured in the same norm.
/// An error says that the network is too large for one column an input.
let bound
    (context: Context)
    norm
    definition
    (network: Network)
    (input: Tensor)
    (radius: Radius)
    : Result<Bound, string> =
    let entries = entries network

    if entries > mostEntries then
        Error
            $"elementwise Jacobian bounds would keep {entries:N0} entries, an input times the widest layer; at most {mostEntries:N0} are"
    else
        let columns = JacobianIntervals.columns context norm definition network input radius

        match norm with
        | Euclidean -> Ok(euclideanNorm context columns)
        | Maximum -> Ok(maximumNorm columns)
