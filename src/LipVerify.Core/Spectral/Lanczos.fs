/// The largest singular value of a large operator by Lanczos iteration with full reorthogonalisation, restarted with the
/// best Ritz vectors when the basis is full (thick restart). It approaches the norm from below: an estimate, not a bound.
module LipVerify.Core.Lanczos

open System
open LipVerify.Compute

/// A converged Ritz value.
type Ritz =
    {
        /// The largest Ritz value of `MᵀM`: never above its largest eigenvalue, but for rounding.
        Value: float
        /// Estimated distance to the eigenvalue it approximates: `min(‖r‖, ‖r‖²/gap)` with the residual `r`.
        Error: float
        /// Applications of `MᵀM`.
        Applications: int
    }

/// Doubles that the basis may take.
let private basisBudget = 1 <<< 28

/// Orthogonalises `w` against the first `count` basis vectors, twice, and returns the coefficients `Vᵀw`.
let private orthogonalise (engine: IEngine) length count (basis: Storage) (w: Storage) =
    let total = Array.zeroCreate<float> count
    let coefficients = engine.Allocate count
    let step = Array.zeroCreate<float> count

    for _ in 1..2 do
        engine.MatrixMultiply(
            false,
            true,
            1,
            count,
            length,
            1.0,
            MatrixView.Of(w, length),
            MatrixView.Of(basis, length),
            0.0,
            MatrixView.Of(coefficients, count)
        )

        engine.MatrixMultiply(
            false,
            false,
            1,
            length,
            count,
            -1.0,
            MatrixView.Of(coefficients, count),
            MatrixView.Of(basis, length),
            1.0,
            MatrixView.Of(w, length)
        )

        coefficients.CopyTo(0, step)

        for i in 0 .. count - 1 do
            total[i] <- total[i] + step[i]

    total

let private norm (engine: IEngine) (v: Storage) = sqrt (engine.Dot(v, 0, v, 0, v.Length))

/// The largest eigenvalue of `MᵀM` or `M Mᵀ` to the relative `tolerance`, or as far as `maxApplications` reach.
let largest (context: Context) (masked: MaskedMap) side tolerance maxApplications =
    let engine = context.Engine
    let struct (length, otherLength) = Gram.lengths side masked

    let support =
        match side with
        | Gram.Columns -> masked.Columns
        | Gram.Rows -> masked.Rows

    let dimension = Tensor.countNonZero support
    let capacity = basisBudget / length |> max 24 |> min 400 |> min dimension
    let basis = engine.Allocate(Checked.(*) (capacity + 1) length)
    let projected = Array.zeroCreate<float>(capacity * capacity)
    let w = engine.Allocate length
    let other = engine.Allocate otherLength

    let restrictToSupport (v: Storage) =
        let indicator = support |> Tensor.map (fun s -> if s = 0.0 then 0.0 else 1.0)
        engine.MultiplyRows(v, 1, indicator.Storage, v)

    let store index (v: Storage) factor =
        engine.Copy(v, 0, basis, index * length, length)
        engine.Scale(factor, basis, index * length, length)

    let start = HostStorage(Gaussian.draw context.Seed length length)
    engine.Copy(start, 0, w, 0, length)
    restrictToSupport w
    store 0 w (1.0 / norm engine w)

    /// Ritz values (ascending) and vectors (rows) of the leading block of the projected operator.
    let ritz size =
        let block =
            Array.init (size * size) (fun k -> projected[k / size * capacity + k % size])

        let values = engine.SymmetricEigen(size, HostStorage block, true)
        struct (values, block)

    let errorOf (values: float[]) residual =
        let size = values.Length

        let gap =
            if size > 1 then
                values[size - 1] - values[size - 2] - residual
            else
                0.0

        if gap > residual then
            residual * residual / gap
        else
            residual

    let rec extend size applications =
        Context.check context
        engine.Copy(basis, (size - 1) * length, w, 0, length)
        Gram.multiply engine masked side 1 w other
        let coefficients = orthogonalise engine length size basis w
        let applications = applications + 1

        for i in 0 .. size - 1 do
            projected[i * capacity + size - 1] <- coefficients[i]
            projected[(size - 1) * capacity + i] <- coefficients[i]

        let beta = norm engine w
        let full = size = capacity
        let invariant = beta <= 1e-14 * abs projected[0] || size = dimension
        let look = full || invariant || size % 8 = 0 || applications >= maxApplications

        if not look then
            store size w (1.0 / beta)
            extend (size + 1) applications
        else
            let struct (values, vectors) = ritz size
            let top = values[size - 1]

            let residual =
                if invariant then
                    0.0
                else
                    beta * abs vectors[(size - 1) * size + size - 1]

            let error = errorOf values residual
            context.Report $"Lanczos: {applications} applications, relative error ≈ {error / top:G2}"

            if error <= tolerance * top || invariant || applications >= maxApplications then
                {
                    Value = max 0.0 top
                    Error = error
                    Applications = applications
                }
            elif full then
                restart values vectors beta applications
            else
                store size w (1.0 / beta)
                extend (size + 1) applications

    /// Keeps the best half of the Ritz vectors and the last residual direction, and goes on from there.
    and restart values vectors beta applications =
        let size = capacity
        let kept = max 1 (size / 2)
        let leading = HostStorage vectors[(size - kept) * size ..]
        let rotated = engine.Allocate(kept * length)

        engine.MatrixMultiply(
            false,
            false,
            kept,
            length,
            size,
            1.0,
            MatrixView.Of(leading, size),
            MatrixView.Of(basis, length),
            0.0,
            MatrixView.Of(rotated, length)
        )

        engine.Copy(rotated, 0, basis, 0, kept * length)
        Array.fill projected 0 projected.Length 0.0

        for i in 0 .. kept - 1 do
            projected[i * capacity + i] <- values[size - kept + i]

        store kept w (1.0 / beta)
        extend (kept + 1) applications

    extend 1 0
