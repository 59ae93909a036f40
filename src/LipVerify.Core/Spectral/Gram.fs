/// The Gram matrix of `M = R A D` over its smaller side, formed by applying the operator to basis vectors.
module LipVerify.Core.Gram

open LipVerify.Compute

/// Which product of the operator with its adjoint is meant.
type Side =
    /// `MᵀM`, indexed by inputs.
    | Columns
    /// `M Mᵀ`, indexed by outputs.
    | Rows

/// The side with fewer live coordinates, and these coordinates.
let smallerSide (masked: MaskedMap) =
    let rows = MaskedMap.live masked.Rows
    let columns = MaskedMap.live masked.Columns

    if rows.Length < columns.Length then
        struct (Rows, rows)
    else
        struct (Columns, columns)

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

/// The `k` of `|fl(G x) − G x| ≤ γ_k |M|ᵀ|M||x|` for `multiply` with a batch: the depths of both sums, and the roundings of
/// the diagonal factors.
let depth (engine: IEngine) (masked: MaskedMap) batch =
    LinearMap.applyDepth engine masked.Map batch
    + LinearMap.adjointDepth engine masked.Map batch
    + 6

/// Doubles in the work space of one batch.
let private batchBudget = 1 <<< 23

/// The symmetric Gram matrix over the `live` coordinates of one side, row-major.
let form (context: Context) masked side (live: int[]) : float[] =
    let engine = context.Engine
    let n = live.Length
    let struct (length, otherLength) = lengths side masked
    let batch = batchBudget / (length + otherLength) |> max 1 |> min 256 |> min n
    let gram = Array.zeroCreate (n * n)
    let mutable first = 0

    while first < n do
        Context.check context
        let count = min batch (n - first)
        let basis = Array.zeroCreate<float>(count * length)

        for b in 0 .. count - 1 do
            basis[b * length + live[first + b]] <- 1.0

        let x = engine.Allocate basis.Length
        engine.Copy(HostStorage basis, 0, x, 0, basis.Length)
        multiply engine masked side count x (engine.Allocate(count * otherLength))
        x.CopyTo(0, basis)

        for b in 0 .. count - 1 do
            for j in 0 .. n - 1 do
                gram[(first + b) * n + j] <- basis[b * length + live[j]]

        first <- first + count

    // Each entry was summed twice, in two orders; the certificate is about one symmetric matrix.
    for i in 0 .. n - 1 do
        for j in 0 .. i - 1 do
            gram[i * n + j] <- gram[j * n + i]

    gram
