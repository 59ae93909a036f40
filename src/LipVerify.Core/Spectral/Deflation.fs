namespace LipVerify.Core

open System
open LipVerify.Compute

/// Nearly orthonormal vectors that are split off an operator `G` (METHODS section 4c): with `V` their exact orthonormal
/// neighbours, `Θ = VᵀGV`, `E = GV − VΘ` and `P = I − VVᵀ`,
/// `λ1(G) ≤ λ1([[Θ, Cᵀ], [C, λ_P I]])` for any `C` with `CᵀC ⪰ EᵀE` and `λ_P ≥ λ1(PGP)`.
[<NoEquality; NoComparison>]
type Deflation =
    {
        /// The vectors, one a row.
        Vectors: Storage
        /// How many.
        Count: int
        /// Computed `Θ`, row-major.
        Theta: float[]
        /// `C`, row-major.
        Coupling: float[]
        /// What the errors of `Θ` and `E` can add to the largest eigenvalue.
        Error: float
        /// `‖fl(P x) − P x‖ / ‖x‖`: rounding and lost orthogonality.
        ProjectionError: float
    }

module Deflation =

    /// Nothing is split off.
    let none (engine: IEngine) =
        {
            Vectors = engine.Allocate 0
            Count = 0
            Theta = [||]
            Coupling = [||]
            Error = 0.0
            ProjectionError = 0.0
        }

    let private product (engine: IEngine) rows columns depth (a: Storage) (b: Storage) =
        let c = engine.Allocate(rows * columns)

        engine.MatrixMultiply(
            false,
            true,
            rows,
            columns,
            depth,
            1.0,
            MatrixView.Of(a, depth),
            MatrixView.Of(b, depth),
            0.0,
            MatrixView.Of(c, columns)
        )

        let values = Array.zeroCreate<float> c.Length
        c.CopyTo(0, values)
        values

    let private frobenius (values: float[]) =
        sqrt (Array.sumBy (fun v -> v * v) values)

    /// `L` with `L Lᵀ ⪰ S` for the symmetric positive semidefinite `S` known up to `error` in norm; none if Cholesky fails.
    let private rootAbove (engine: IEngine) n (s: float[]) error =
        let trace = Seq.sum (seq { for i in 0 .. n - 1 -> s[i * n + i] })

        // The factorisation is exact for a matrix within γ_{n+1}/(1 − γ_{n+1})·trace (Higham 2002, Theorem 10.3).
        let shift =
            2.0 * (error + 2.0 * Rounding.gamma (n + 1) * trace) + Math.ScaleB(1.0, -700)

        let shifted = Array.mapi (fun k v -> if k / n = k % n then v + shift else v) s
        let storage = HostStorage shifted

        if engine.TryCholesky(n, storage) then
            Some storage.Values
        else
            None

    /// Splits the given vectors off. `gramRounding` is the relative rounding `γ` of one application of `G`, for which
    /// `absoluteProduct ≥ ‖|M|‖²` bounds every norm that occurs. None where the vectors are no use.
    let create (context: Context) masked side (vectors: Storage) count gramRounding absoluteProduct =
        let engine = context.Engine
        let struct (length, otherLength) = Gram.lengths side masked

        let dotRounding =
            Rounding.gamma (engine.MatrixProductDepth(false, true, count, count, length) + 2)

        // Nearness to orthonormal: there are exact orthonormal V with ‖V − V̂‖ ≤ ‖V̂ᵀV̂ − I‖ (polar decomposition).
        let overlaps = product engine count count length vectors vectors

        let defect =
            overlaps
            |> Array.mapi (fun k v -> if k / count = k % count then v - 1.0 else v)
            |> frobenius

        let defect = 2.0 * (defect + float count * dotRounding)

        let images = engine.Allocate(count * length)
        engine.Copy(vectors, 0, images, 0, count * length)
        Gram.multiply engine masked side count images (engine.Allocate(count * otherLength))

        let computed = product engine count count length vectors images

        let theta =
            Array.init (count * count) (fun k -> 0.5 * (computed[k] + computed[k % count * count + k / count]))

        let residuals = images

        engine.MatrixMultiply(
            false,
            false,
            count,
            length,
            count,
            -1.0,
            MatrixView.Of(HostStorage theta, count),
            MatrixView.Of(vectors, length),
            1.0,
            MatrixView.Of(residuals, length)
        )

        // Θ and E each err by at most: one application of G (γ), sums of `length` products, lost orthogonality on both sides,
        // and the update of E; all relative to ‖|M|‖² and in Frobenius norm, with a factor to spare.
        let error =
            8.0
            * float (count + 1)
            * (gramRounding + dotRounding + defect + Rounding.gamma (count + 4))
            * absoluteProduct

        let squares = product engine count count length residuals residuals
        let squaresError = 2.0 * dotRounding * (squares |> frobenius) * float count

        rootAbove engine count squares squaresError
        |> Option.map (fun lower ->
            let coupling =
                Array.init (count * count) (fun k ->
                    let i, j = k / count, k % count
                    if i <= j then lower[j * count + i] else 0.0)

            {
                Vectors = vectors
                Count = count
                Theta = theta
                Coupling = coupling
                Error = 2.0 * error
                ProjectionError = 4.0 * (defect + sqrt (float count) * (dotRounding + Rounding.gamma (count + 4)))
            })

    /// `x ← x − V̂ᵀ(V̂ x)` for each row of a batch.
    let project (engine: IEngine) deflation length batch (x: Storage) =
        if deflation.Count > 0 then
            let coefficients = engine.Allocate(batch * deflation.Count)
            let v = MatrixView.Of(deflation.Vectors, length)
            let c = MatrixView.Of(coefficients, deflation.Count)
            let x = MatrixView.Of(x, length)
            engine.MatrixMultiply(false, true, batch, deflation.Count, length, 1.0, x, v, 0.0, c)
            engine.MatrixMultiply(false, false, batch, length, deflation.Count, -1.0, c, v, 1.0, x)

    /// The bound on `λ1(G)` from a bound on `λ1(PGP)`.
    let combine (context: Context) deflation remainder =
        if deflation.Count = 0 then
            Some remainder
        else
            let m = deflation.Count
            let n = 2 * m

            let block =
                Array.init (n * n) (fun k ->
                    match k / n, k % n with
                    | i, j when i < m && j < m -> deflation.Theta[i * m + j]
                    | i, j when i < m -> deflation.Coupling[(j - m) * m + i]
                    | i, j when j < m -> deflation.Coupling[(i - m) * m + j]
                    | i, j -> if i = j then remainder else 0.0)

            SemidefiniteProof.largestEigenvalue context n block
            |> Option.map (fun top -> Rounding.addUp top deflation.Error)
