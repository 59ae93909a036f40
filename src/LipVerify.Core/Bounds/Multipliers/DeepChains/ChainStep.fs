/// One step of the recursion through the layers of a chain (METHODS section 15). With `D = Λ⁻¹`, one entry a neuron, and `P = I` for the inputs,
///
///     A = W P Wᵀ,   P⁺ = D^½ S⁻¹ D^½   where   S = I − ¼ D^−½ A D^−½ ≻ 0,
///
/// which is `X⁻¹` for `X = Λ − ¼ΛAΛ`. With `S = L Lᵀ`, `P⁺ = Y Yᵀ` for `Y = D^½ L⁻ᵀ`, so that the next `A` is `(W Y)(W Y)ᵀ`.
module internal LipVerify.Core.Bounds.Multipliers.DeepChains.ChainStep

open System
open System.Numerics.Tensors
open LipVerify.Compute
open LipVerify.Core.Bounds.Multipliers.Solver

/// Rows of a block; products of this size run near the engine's peak.
let private block = 192

/// `diag(behind) W diag(before)`.
let scale (map: ChainMatrix) (before: float[]) (behind: float[]) : float[] =
    let n = map.Columns
    let scaled = Array.zeroCreate<float> map.Values.Length

    for i in 0 .. map.Rows - 1 do
        let row = Span(scaled, i * n, n)
        TensorPrimitives.Multiply(ReadOnlySpan(map.Values, i * n, n), ReadOnlySpan before, row)
        TensorPrimitives.Multiply(ReadOnlySpan(scaled, i * n, n), behind[i], row)

    scaled

/// `B L⁻ᵀ` for an `m × n` matrix.
let timesInverse engine m n (b: float[]) (inverse: float[]) : float[] =
    MultiplierProblem.multiply engine false true m n n b n inverse n

/// The lower triangle of `V Vᵀ` for an `n × k` matrix, with what is above it unspecified.
let outer (engine: IEngine) n k (v: float[]) : float[] =
    let result = Array.zeroCreate<float>(n * n)
    let storage = HostStorage v

    for first in 0..block .. n - 1 do
        let size = min block (n - first)

        engine.MatrixMultiply(
            false,
            true,
            size,
            first + size,
            k,
            1.0,
            MatrixView(storage, first * k, k),
            MatrixView(storage, 0, k),
            0.0,
            MatrixView(HostStorage result, first * n, n)
        )

    result

/// `L⁻¹` for `L Lᵀ = I − G`, the `n × n` matrix `G` by its lower triangle; none where that is not positive definite.
let tryInvert (engine: IEngine) n (g: float[]) : float[] option =
    let matrix = g |> Array.map (~-)

    for i in 0 .. n - 1 do
        matrix[i * n + i] <- 1.0 + matrix[i * n + i]

    if engine.TryCholesky(n, HostStorage matrix) then
        TriangularProducts.invertLower engine n matrix
        Some matrix
    else
        None
