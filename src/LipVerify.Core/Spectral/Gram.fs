/// The operators `MᵀM` and `M Mᵀ` of `M = R A D`.
module LipVerify.Core.Spectral.Gram

open System
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps

/// Which product of the operator with its adjoint is meant.
type Side =
    /// `MᵀM`, indexed by inputs.
    | Columns
    /// `M Mᵀ`, indexed by outputs.
    | Rows

/// Entries of `G` are sums of products `fl(r·fl(r·a))·a` of exact weights, so `|fl(G) − G| ≤ γ_k |M|ᵀ|M|` entrywise with
/// `k` this number of roundings on the way of one term.
let roundingsPerEntry side (masked: MaskedMap) =
    match side with
    | Columns -> LinearMap.termsInColumn masked.Map + 6
    | Rows -> LinearMap.termsInRow masked.Map + 6

/// `x ← MᵀM x` or `x ← M Mᵀ x` for each row of a batch held in `x`; `other` holds the vectors of the other side between.
let multiply (engine: IEngine) masked side batch (x: Storage) (other: Storage) =
    match side with
    | Columns ->
        MaskedMap.apply engine masked batch x other
        MaskedMap.adjoint engine masked batch other x
    | Rows ->
        MaskedMap.adjoint engine masked batch x other
        MaskedMap.apply engine masked batch other x

/// Squares of the row factors, where none underflows.
let squaredRows masked =
    let struct (least, _) = Tensor.sizes masked.Rows

    if least >= Math.ScaleB(1.0, -500) then
        Some(Tensor.map (fun r -> r * r) masked.Rows)
    else
        None

/// `result ← MᵀM x` or `M Mᵀ x` for each row of a batch of vectors that are 0 where the side is not live; `squares` are the
/// `squaredRows`, and `other` holds the vectors of the other side between. As `multiply`, with fewer passes over memory.
let image (engine: IEngine) masked (squares: Tensor option) side batch (x: Storage) (other: Storage) (result: Storage) =
    match side, squares with
    | Columns, Some squares ->
        match masked.Map with
        | Dense dense -> Dense.gram engine dense squares batch x result
        | map ->
            LinearMap.apply engine map batch x other
            engine.MultiplyRows(other, batch, squares.Storage, other)
            LinearMap.adjoint engine map batch other result

        engine.MultiplyRows(result, batch, masked.Columns.Storage, result)
    | Rows, _ ->
        engine.MultiplyRows(x, batch, masked.Rows.Storage, result)
        LinearMap.adjoint engine masked.Map batch result other
        engine.MultiplyRows(other, batch, masked.Columns.Storage, other)
        LinearMap.apply engine masked.Map batch other result
        engine.MultiplyRows(result, batch, masked.Rows.Storage, result)
    | Columns, None ->
        engine.Copy(x, 0, result, 0, x.Length)
        multiply engine masked side batch result other

/// Vector lengths on the given side and on the other.
let lengths side (masked: MaskedMap) =
    let inputs = LinearMap.inputs masked.Map
    let outputs = LinearMap.outputs masked.Map

    match side with
    | Columns -> struct (inputs, outputs)
    | Rows -> struct (outputs, inputs)

/// The diagonal factor that switches coordinates of one side off.
let support side (masked: MaskedMap) =
    match side with
    | Columns -> masked.Columns
    | Rows -> masked.Rows

/// 1 where a diagonal factor is not zero, else 0.
let indicator (diagonal: Tensor) =
    diagonal |> Tensor.map (fun d -> if d = 0.0 then 0.0 else 1.0)

/// The `k` of `|fl(G x) − G x| ≤ γ_k |M|ᵀ|M||x|` for `image`: the depths of the sums, and the roundings of the diagonal factors.
let depth (engine: IEngine) (masked: MaskedMap) (squares: Tensor option) side batch =
    let sums =
        match side, squares, masked.Map with
        | Columns, Some _, Dense dense -> engine.GramProductDepth(dense.Outputs, dense.Inputs)
        | _ ->
            LinearMap.applyDepth engine masked.Map batch
            + LinearMap.adjointDepth engine masked.Map batch

    sums + 6

/// `MᵀM` or `M Mᵀ` by applications, for an operator scaled so that `absoluteProduct ≥ ‖|M|‖²` is near 1.
let operator (context: Context) (masked: MaskedMap) side absoluteProduct : GramOperator =
    let engine = context.Engine
    let struct (length, otherLength) = lengths side masked
    let squares = squaredRows masked

    let opened count =
        let other = engine.Allocate(Checked.(*) count otherLength)

        let error =
            {
                Plain = Rounding.gamma (depth engine masked squares side count) * absoluteProduct
                PerRoot = 0.0
                Size = absoluteProduct
            }

        let errors = Array.create count error

        fun x result ->
            image engine masked squares side count x other result
            errors

    {
        Length = length
        Support = Some(indicator (support side masked))
        Ceiling = absoluteProduct
        Key = fun seed -> OperatorHash.compute seed masked
        Open = opened
    }

/// The side with fewer live coordinates.
let smallerSide (masked: MaskedMap) =
    if Tensor.countNonZero masked.Rows < Tensor.countNonZero masked.Columns then
        Rows
    else
        Columns

/// The side to apply `G` on: that of the inputs for a dense map, whose weights `image` then reads only once.
let cheapestSide (masked: MaskedMap) =
    match masked.Map with
    | Dense _ when (squaredRows masked).IsSome -> Columns
    | _ -> smallerSide masked
