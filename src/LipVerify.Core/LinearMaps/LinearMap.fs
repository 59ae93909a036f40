namespace LipVerify.Core.LinearMaps

open LipVerify.Compute
open LipVerify.Core.Computation

/// A linear map between tensors: what the bounds need of a layer is what this module offers.
/// Adding a kind of map means one file beside this one and one case in each function here.
[<ReferenceEquality>]
type LinearMap =
    /// A fully connected layer.
    | Dense of Dense
    /// A convolution.
    | Convolution of Convolution
    /// Average pooling.
    | AveragePooling of AveragePooling
    /// A map with few entries a row: selections, sums of coordinates, interpolation.
    | Sparse of Sparse
    /// `x ↦ s ∘ x`, entry by entry: batch normalisation, or a constant factor.
    | Diagonal of scale: Tensor
    /// `diag(s)·A`: an affine map followed by batch normalisation.
    | Scaled of scale: Tensor * map: LinearMap
    /// `diag(θ)·A` with row factors `1 − γ_k ≤ θ_i ≤ 1` of which no more is known: rows of `A` have factors that no double is
    /// equal to, such as 1/3, rounded away from 0 by at most `k` roundings.
    | Rounded of roundings: int * map: LinearMap

module LinearMap =

    /// Shape of one input, where the map prescribes it; a dense map takes any shape of its length.
    let rec inputShape map : Shape =
        match map with
        | Dense dense -> [ dense.Inputs ]
        | Convolution convolution -> Convolution.inputShape convolution
        | AveragePooling pooling -> AveragePooling.inputShape pooling
        | Sparse sparse -> Sparse.inputShape sparse
        | Diagonal scale -> scale.Shape
        | Scaled(_, map)
        | Rounded(_, map) -> inputShape map

    /// Shape of one output.
    let rec outputShape map : Shape =
        match map with
        | Dense dense -> [ dense.Outputs ]
        | Convolution convolution -> Convolution.outputShape convolution
        | AveragePooling pooling -> AveragePooling.outputShape pooling
        | Sparse sparse -> Sparse.outputShape sparse
        | Diagonal scale -> scale.Shape
        | Scaled(_, map)
        | Rounded(_, map) -> outputShape map

    /// The number of input coordinates: columns of the matrix.
    let inputs map = Shape.size (inputShape map)

    /// The number of output coordinates: rows of the matrix.
    let outputs map = Shape.size (outputShape map)

    /// `y ← A x` for each row of a batch.
    let rec apply (engine: IEngine) map batch (x: Storage) (y: Storage) =
        match map with
        | Dense dense -> Dense.apply engine dense batch x y
        | Convolution convolution -> Convolution.apply engine convolution batch x y
        | AveragePooling pooling -> AveragePooling.apply engine pooling batch x y
        | Sparse sparse -> Sparse.apply engine sparse batch x y
        | Diagonal scale -> engine.MultiplyRows(x, batch, scale.Storage, y)
        | Scaled(scale, map) ->
            apply engine map batch x y
            engine.MultiplyRows(y, batch, scale.Storage, y)
        | Rounded(_, map) -> apply engine map batch x y

    /// `x ← Aᵀ y` for each row of a batch.
    let rec adjoint (engine: IEngine) map batch (y: Storage) (x: Storage) =
        match map with
        | Dense dense -> Dense.adjoint engine dense batch y x
        | Convolution convolution -> Convolution.adjoint engine convolution batch y x
        | AveragePooling pooling -> AveragePooling.adjoint engine pooling batch y x
        | Sparse sparse -> Sparse.adjoint engine sparse batch y x
        | Diagonal scale -> engine.MultiplyRows(y, batch, scale.Storage, x)
        | Scaled(scale, map) ->
            let scaled = engine.Allocate y.Length
            engine.MultiplyRows(y, batch, scale.Storage, scaled)
            adjoint engine map batch scaled x
        | Rounded(_, map) -> adjoint engine map batch y x

    /// The most non-zero terms in one entry of `A x`, and the roundings of its factors: the length of the sums for rounding bounds.
    let rec termsInRow map =
        match map with
        | Dense dense -> dense.Inputs
        | Convolution convolution ->
            let g = convolution.Geometry
            g.InChannels / g.Groups * g.Rows.Kernel * g.Columns.Kernel
        | AveragePooling pooling -> pooling.Geometry.Rows.Kernel * pooling.Geometry.Columns.Kernel + 1
        | Sparse sparse -> Sparse.termsInRow sparse
        | Diagonal _ -> 1
        | Scaled(_, map) -> termsInRow map + 1
        | Rounded(roundings, map) -> termsInRow map + roundings

    /// The most non-zero terms in one entry of `Aᵀ y`, and the roundings of its factors.
    let rec termsInColumn map =
        match map with
        | Dense dense -> dense.Outputs
        | Convolution convolution ->
            let g = convolution.Geometry
            g.OutChannels / g.Groups * g.Rows.Kernel * g.Columns.Kernel
        | AveragePooling pooling -> pooling.Geometry.MaxOverlap + 1
        | Sparse sparse -> Sparse.termsInColumn sparse
        | Diagonal _ -> 1
        | Scaled(_, map) -> termsInColumn map + 1
        | Rounded(roundings, map) -> termsInColumn map + roundings

    /// A lower bound on the size of the entries that are not 0; infinite where all are.
    let rec smallestEntry map =
        let smallest tensor =
            let struct (least, _) = Tensor.sizes tensor
            least

        match map with
        | Dense dense -> smallest dense.Weights
        | Convolution convolution -> smallest convolution.Weights
        | AveragePooling pooling -> 0.5 / float (pooling.Geometry.Rows.Kernel * pooling.Geometry.Columns.Kernel)
        | Sparse sparse -> smallest sparse.Values
        | Diagonal scale -> smallest scale
        | Scaled(scale, map) -> smallest scale * smallestEntry map
        | Rounded(_, map) -> 0.5 * smallestEntry map

    /// The `k` of `|fl(A x) − A x| ≤ γ_k |A||x|` for `apply` on this engine: at most `termsInRow`, less where it sums in blocks.
    let rec applyDepth (engine: IEngine) map batch =
        match map with
        | Dense dense -> engine.MatrixProductDepth(false, true, batch, dense.Outputs, dense.Inputs)
        | Convolution convolution ->
            let geometry = convolution.Geometry
            engine.ConvolutionDepth(&geometry, batch)
        | AveragePooling _
        | Sparse _
        | Diagonal _ -> termsInRow map
        | Scaled(_, map) -> applyDepth engine map batch + 1
        | Rounded(roundings, map) -> applyDepth engine map batch + roundings

    /// The `k` of `|fl(Aᵀ y) − Aᵀ y| ≤ γ_k |A|ᵀ|y|` for `adjoint` on this engine.
    let rec adjointDepth (engine: IEngine) map batch =
        match map with
        | Dense dense -> engine.MatrixProductDepth(false, false, batch, dense.Inputs, dense.Outputs)
        | Convolution convolution ->
            let geometry = convolution.Geometry
            engine.ConvolutionAdjointDepth(&geometry, batch)
        | AveragePooling _
        | Sparse _
        | Diagonal _ -> termsInColumn map
        | Scaled(_, map) -> adjointDepth engine map batch + 1
        | Rounded(roundings, map) -> adjointDepth engine map batch + roundings

    /// The map with the absolute values of the entries, `|A|`, which are copied.
    let rec absolute map =
        match map with
        | Dense dense -> Dense(Dense.mapEntries abs dense)
        | Convolution convolution -> Convolution(Convolution.mapEntries abs convolution)
        | AveragePooling _ -> map
        | Sparse sparse -> Sparse(Sparse.mapEntries abs sparse)
        | Diagonal scale -> Diagonal(Tensor.map abs scale)
        | Scaled(scale, map) -> Scaled(Tensor.map abs scale, absolute map)
        | Rounded(roundings, map) -> Rounded(roundings, absolute map)

    /// What a diagonal map does to the rows of a map before it: `S` to `A ↦ S A`. None for other maps.
    let rec tryRowScaling map : (LinearMap -> LinearMap) option =
        match map with
        | Diagonal scale -> Some(fun inner -> Scaled(scale, inner))
        | Rounded(roundings, map) ->
            tryRowScaling map
            |> Option.map (fun scale -> fun inner -> Rounded(roundings, scale inner))
        | Dense _
        | Convolution _
        | AveragePooling _
        | Sparse _
        | Scaled _ -> None

    /// `A x` for one input.
    let applyTo (engine: IEngine) map (x: Tensor) =
        let y = engine.Allocate(outputs map)
        apply engine map 1 x.Storage y
        Tensor.ofStorage (outputShape map) y

    /// `Aᵀ y` for one output.
    let adjointTo (engine: IEngine) map (y: Tensor) =
        let x = engine.Allocate(inputs map)
        adjoint engine map 1 y.Storage x
        Tensor.ofStorage (inputShape map) x

    let private entryFunction f (scale: float) entry =
        let scaled = scale * entry

        match f with
        | EntryFunction.Absolute -> abs scaled
        | EntryFunction.Square -> scaled * scaled
        | _ -> invalidArg (nameof f) "unknown function"

    /// `f(s·A)` without its row scaling, for a map whose entries are few: the entries of a dense one are not copied.
    let private withEntries f scale map =
        match map with
        | Convolution convolution -> Convolution(Convolution.mapEntries (entryFunction f scale) convolution)
        | Diagonal factors -> Diagonal(Tensor.map (entryFunction f scale) factors)
        | Sparse sparse -> Sparse(Sparse.mapEntries (entryFunction f scale) sparse)
        | AveragePooling _ when f = EntryFunction.Absolute && scale = 1.0 -> map
        | AveragePooling _
        | Dense _
        | Scaled _
        | Rounded _ -> invalidArg (nameof map) "the entries of this map are not at hand"

    /// `f(s·A) x` for one input, `f` applied to each entry of the matrix. Not for scaled maps.
    let applyEntriesTo (engine: IEngine) f scale map (x: Tensor) =
        match map with
        | Dense dense ->
            let y = engine.Allocate dense.Outputs
            Dense.applyEntries engine f scale dense x.Storage y
            Tensor.ofStorage [ dense.Outputs ] y
        | _ -> applyTo engine (withEntries f scale map) x

    /// `f(s·A)ᵀ y` for one output. Not for scaled maps.
    let adjointEntriesTo (engine: IEngine) f scale map (y: Tensor) =
        match map with
        | Dense dense ->
            let x = engine.Allocate dense.Inputs
            Dense.adjointEntries engine f scale dense y.Storage x
            Tensor.ofStorage [ dense.Inputs ] x
        | _ -> adjointTo engine (withEntries f scale map) y
