namespace LipVerify.Core.Bounds.Multipliers.Solver

open System
open System.Numerics.Tensors
open LipVerify.Compute

/// Where the interior point method stands: a strictly feasible point of the program of `MultiplierSolver`, and a positive definite
/// matrix of its dual, `min ⟨C, X⟩` under `⟨A_i, X⟩ = c_i`.
[<ReferenceEquality>]
type internal InteriorPoint =
    {
        Mu: float
        /// `s`.
        Weights: float[]
        /// `S(μ, s)`.
        Matrix: float[]
        /// The Cholesky factor of `S`, in the lower triangle.
        Factor: float[]
        /// `X`.
        Dual: float[]
        /// What is left of the distance that `X` had from the constraints at the start, as a part of it.
        Infeasibility: float
    }

/// A direction: changes of `μ` and `s` in relative terms, and what they and the dual step add to `S` and `X`.
[<ReferenceEquality>]
type internal InteriorStep =
    {
        /// Of `μ`, then one an entry of `s`.
        Relative: float[]
        /// `ΔS`.
        Change: float[]
        /// `ΔX`.
        DualChange: float[]
    }

/// Dense symmetric matrices of one order as vectors, and how far a line stays in the cone of positive definite ones. Matrices of
/// some hundred rows are tried by the dozen: they share their room.
type internal DefiniteCone(engine: IEngine, n: int) =
    let mutable tried = Array.zeroCreate<float>(n * n)

    /// Steps go at most this part of the way to the boundary.
    static let fraction = 0.95

    let isInside (start: float[]) (change: float[]) (alpha: float) =
        TensorPrimitives.MultiplyAdd(ReadOnlySpan change, alpha, ReadOnlySpan start, tried.AsSpan())
        engine.TryCholesky(n, HostStorage tried)

    /// A few bisections between a step that stays inside and one that does not.
    let rec refine start change inside outside steps =
        let middle = 0.5 * (inside + outside)

        if steps = 0 then
            inside
        elif isInside start change middle then
            refine start change middle outside (steps - 1)
        else
            refine start change inside middle (steps - 1)

    let rec shrink start change outside =
        let alpha = 0.7 * outside

        if alpha < 1e-10 then
            0.0
        elif isInside start change alpha then
            refine start change alpha outside 4
        else
            shrink start change alpha

    /// How far to go from `start` along `change`: 1, or nearly to the boundary of the cone.
    member _.Reach (start: float[]) (change: float[]) =
        let most = 1.0 / fraction

        if isInside start change most then
            1.0
        else
            fraction * shrink start change most

    /// `start ← start + α·change`.
    member _.Go (start: float[]) (change: float[]) (alpha: float) =
        TensorPrimitives.MultiplyAdd(ReadOnlySpan change, alpha, ReadOnlySpan start, start.AsSpan())

    /// The factor of a matrix, in place of what `factor` held; false where the matrix is not positive definite.
    member _.TryFactor (matrix: float[]) (factor: float[]) =
        Array.blit matrix 0 factor 0 matrix.Length
        engine.TryCholesky(n, HostStorage factor)
