namespace LipVerify.Core

open System
open LipVerify.Compute

/// Ritz values and how far they may be from eigenvalues.
[<NoComparison; NoEquality>]
type RitzPairs =
    {
        /// Ritz values, descending.
        Values: float[]
        /// `‖G v − θ v‖` of each Ritz vector `v`, from the recurrence.
        Residuals: float[]
        /// Coefficients of the Ritz vectors in the basis, one row a vector, in the order of the values.
        Coefficients: float[]
    }

/// Lanczos iteration with full reorthogonalisation for the largest eigenvalues of `G = MᵀM` or `M Mᵀ`. When the basis is
/// full it is restarted with the best Ritz vectors (thick restart). Ritz values approach eigenvalues from below.
type LanczosProcess(context: Context, masked: MaskedMap, side: Gram.Side) =
    /// Doubles that the basis may take.
    let basisBudget = 1 <<< 28

    let engine = context.Engine
    let struct (length, otherLength) = Gram.lengths side masked
    let support = Gram.support side masked
    let dimension = Tensor.countNonZero support
    let capacity = basisBudget / length |> max 24 |> min 400 |> min dimension
    let basis = engine.Allocate(Checked.(*) (capacity + 1) length)
    let projected = Array.zeroCreate<float>(capacity * capacity)
    let work = engine.Allocate length
    let other = engine.Allocate otherLength
    let mutable size = 0
    let mutable applications = 0
    let mutable beta = 0.0

    let norm (v: Storage) = sqrt (engine.Dot(v, 0, v, 0, v.Length))

    let store index factor =
        engine.Copy(work, 0, basis, index * length, length)
        engine.Scale(factor, basis, index * length, length)

    /// Orthogonalises `work` against the basis, twice, and returns the coefficients.
    let orthogonalise () =
        let total = Array.zeroCreate<float> size
        let coefficients = engine.Allocate size
        let pass = Array.zeroCreate<float> size
        let w = MatrixView.Of(work, length)
        let v = MatrixView.Of(basis, length)
        let c = MatrixView.Of(coefficients, size)

        for _ in 1..2 do
            engine.MatrixMultiply(false, true, 1, size, length, 1.0, w, v, 0.0, c)
            engine.MatrixMultiply(false, false, 1, length, size, -1.0, c, v, 1.0, w)
            coefficients.CopyTo(0, pass)

            for i in 0 .. size - 1 do
                total[i] <- total[i] + pass[i]

        total

    do
        let start = HostStorage(Gaussian.draw context.Seed length length)
        engine.MultiplyRows(start, 1, (Gram.indicator support).Storage, work)
        beta <- norm work

    /// Applications of `G` so far.
    member _.Applications = applications

    /// Basis vectors at present.
    member _.Size = size

    /// True once the basis spans everything that can be reached: Ritz values are eigenvalues, up to rounding.
    member _.IsInvariant =
        size = dimension || (size > 0 && beta <= 1e-14 * abs projected[0])

    /// True when the next step needs a restart first.
    member _.IsFull = size = capacity

    /// One application of `G`: the basis grows by one vector. Must not be called on an invariant or full lanczos.
    member _.Step() =
        Context.check context
        store size (1.0 / beta)
        size <- size + 1
        engine.Copy(basis, (size - 1) * length, work, 0, length)
        Gram.multiply engine masked side 1 work other
        applications <- applications + 1
        let coefficients = orthogonalise ()

        for i in 0 .. size - 1 do
            projected[i * capacity + size - 1] <- coefficients[i]
            projected[(size - 1) * capacity + i] <- coefficients[i]

        beta <- norm work

    /// The Ritz pairs of the present basis.
    member lanczos.Ritz() : RitzPairs =
        let block =
            Array.init (size * size) (fun k -> projected[k / size * capacity + k % size])

        let ascending = engine.SymmetricEigen(size, HostStorage block, true)

        let rows =
            Array.init size (fun i -> block[(size - 1 - i) * size .. (size - i) * size - 1])

        let remainder = if lanczos.IsInvariant then 0.0 else beta

        {
            Values = Array.rev ascending
            Residuals = rows |> Array.map (fun row -> remainder * abs row[size - 1])
            Coefficients = Array.concat rows
        }

    /// The first `count` Ritz vectors, one a row.
    member _.Vectors(ritz: RitzPairs, count: int) : Storage =
        let vectors = engine.Allocate(Checked.(*) count length)
        let coefficients = MatrixView.Of(HostStorage ritz.Coefficients, size)

        engine.MatrixMultiply(
            false,
            false,
            count,
            length,
            size,
            1.0,
            coefficients,
            MatrixView.Of(basis, length),
            0.0,
            MatrixView.Of(vectors, length)
        )

        vectors

    /// Keeps the best half of the Ritz vectors and goes on from there.
    member lanczos.Restart() =
        let ritz = lanczos.Ritz()
        let kept = max 1 (size / 2)
        engine.Copy(lanczos.Vectors(ritz, kept), 0, basis, 0, kept * length)
        Array.fill projected 0 projected.Length 0.0

        for i in 0 .. kept - 1 do
            projected[i * capacity + i] <- ritz.Values[i]

        size <- kept

/// The largest Ritz value of a converged iteration.
type Ritz =
    {
        /// The largest Ritz value: never above the largest eigenvalue, but for rounding.
        Value: float
        /// Residual of its Ritz vector: some eigenvalue is this near.
        Error: float
        /// Applications of `G`.
        Applications: int
    }

/// Estimates of largest eigenvalues by a Lanczos process that runs until it has converged.
module Lanczos =

    /// The largest eigenvalue of `MᵀM` or `M Mᵀ` to the relative `tolerance`, or as far as `maxApplications` reach: an
    /// estimate, not a bound.
    let largest (context: Context) (masked: MaskedMap) side tolerance maxApplications =
        let lanczos = LanczosProcess(context, masked, side)

        let rec go () =
            lanczos.Step()
            let last = lanczos.IsInvariant || lanczos.Applications >= maxApplications

            if not (last || lanczos.IsFull || lanczos.Size % 8 = 0) then
                go ()
            else
                let ritz = lanczos.Ritz()
                let error = ritz.Residuals[0]
                context.Report $"Lanczos: {lanczos.Applications} applications, Ritz value {ritz.Values[0]:G6}"

                if last || error <= tolerance * ritz.Values[0] then
                    {
                        Value = max 0.0 ritz.Values[0]
                        Error = error
                        Applications = lanczos.Applications
                    }
                else
                    if lanczos.IsFull then
                        lanczos.Restart()

                    go ()

        go ()
