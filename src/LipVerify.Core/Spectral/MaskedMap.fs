namespace LipVerify.Core.Spectral

open System
open System.Threading.Tasks
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps

/// The operator `M = R A D` of Theorem 2: a linear map between two non-negative diagonal factors.
[<NoEquality; NoComparison>]
type MaskedMap =
    {
        /// `A`.
        Map: LinearMap
        /// The diagonal of `R`, one a row: slopes of the ReLUs.
        Rows: Tensor
        /// The diagonal of `D`, one a column: 0 or 1.
        Columns: Tensor
    }

/// `M = R A D` as an operator, and the coordinates that can matter to its norm.
module MaskedMap =

    /// `A` itself: `R` and `D` the identity.
    let whole map =
        {
            Map = map
            Rows = Tensor.create [ LinearMap.outputs map ] 1.0
            Columns = Tensor.create [ LinearMap.inputs map ] 1.0
        }

    /// Indices where a diagonal factor is not zero.
    let live (diagonal: Tensor) : int[] =
        let values = Tensor.values diagonal

        [|
            for i in 0 .. values.Length - 1 do
                if values[i] <> 0.0 then
                    i
        |]

    /// `y ← M x` for each row of a batch. `x` is overwritten by `D x`.
    let apply (engine: IEngine) masked batch (x: Storage) (y: Storage) =
        engine.MultiplyRows(x, batch, masked.Columns.Storage, x)
        LinearMap.apply engine masked.Map batch x y
        engine.MultiplyRows(y, batch, masked.Rows.Storage, y)

    /// `x ← Mᵀ y` for each row of a batch. `y` is overwritten by `R y`.
    let adjoint (engine: IEngine) masked batch (y: Storage) (x: Storage) =
        engine.MultiplyRows(y, batch, masked.Rows.Storage, y)
        LinearMap.adjoint engine masked.Map batch y x
        engine.MultiplyRows(x, batch, masked.Columns.Storage, x)

    /// An operator of at least the same norm whose map has no row scaling: `‖R diag(s) A D‖ = ‖R diag(|s|) A D‖`, with the products
    /// of the diagonal factors rounded upward, so that none underflows to 0. `‖R diag(θ) A D‖ ≤ ‖R A D‖` for `0 ≤ θ ≤ 1`.
    let rec mergeScales masked =
        match masked.Map with
        | Scaled(scale, map) ->
            mergeScales
                { masked with
                    Map = map
                    Rows = Tensor.map2 (fun r s -> Rounding.mulUp r (abs s)) masked.Rows scale
                }
        | Rounded(_, map) -> mergeScales { masked with Map = map }
        | Dense _
        | Convolution _
        | AveragePooling _
        | Sparse _
        | Diagonal _ -> masked

    /// Upper bounds on `‖M‖₁` (largest absolute column sum) and `‖M‖_∞` (largest absolute row sum). The second is 0 only
    /// for the zero operator.
    let absoluteNorms (engine: IEngine) masked =
        let largest (sums: Tensor) (weights: Tensor) =
            (0.0, Tensor.values sums, Tensor.values weights)
            |||> Array.fold2 (fun best sum weight -> max best (Rounding.mulUp weight sum))

        let rowSums = RowNorms.absoluteRowSums engine masked.Map masked.Columns
        let columnSums = RowNorms.absoluteColumnSums engine masked.Map masked.Rows
        let underflow = float (LinearMap.termsInColumn masked.Map) * Double.Epsilon
        struct (Rounding.addUp (largest columnSums masked.Columns) underflow, largest rowSums masked.Rows)

    /// The same norm on fewer coordinates: a dense map loses the rows and columns that `R` and `D` switch off.
    let compress masked =
        match masked.Map with
        | Dense dense ->
            let rows = live masked.Rows
            let columns = live masked.Columns
            let kept = rows.Length * columns.Length

            if kept = 0 || kept = dense.Weights.Length then
                masked
            else
                let weights = Tensor.values dense.Weights
                let factors = Tensor.values masked.Rows
                let matrix = LargeArrays.Allocate<float> kept

                Parallel.For(
                    0,
                    rows.Length,
                    fun i ->
                        let source = rows[i] * dense.Inputs
                        let target = i * columns.Length

                        for j in 0 .. columns.Length - 1 do
                            matrix[target + j] <- weights[source + columns[j]]
                )
                |> ignore

                {
                    Map = Dense(Dense.create (Tensor.ofArray [ rows.Length; columns.Length ] matrix))
                    Rows = rows |> Array.map (fun i -> factors[i]) |> Tensor.vector
                    Columns = Tensor.create [ columns.Length ] 1.0
                }
        | Convolution _
        | AveragePooling _
        | Sparse _
        | Diagonal _
        | Scaled _
        | Rounded _ -> masked

    /// `M` with every row multiplied by `2^exponent`.
    let scaleRows exponent masked =
        { masked with
            Rows = masked.Rows |> Tensor.map (fun r -> Math.ScaleB(r, exponent))
        }
