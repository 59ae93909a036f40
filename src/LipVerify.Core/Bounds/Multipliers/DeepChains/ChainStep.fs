/// One layer of the recursion through a chain (METHODS section 15). What reaches a layer from inputs of length 1 lies in an ellipsoid with matrix
/// `P` (`I` for the inputs), what a map `W` makes of it in one with
///
///     A = W P Wᵀ.
///
/// An activation adds a residual: `y = R z + δ`, `|δ| ≤ C|z|`, where slopes lie in `R ± C`. With `D = Λ⁻¹`, one weight `d` a neuron, and
/// `E = C D⁻¹ C`, multipliers `Λ` give
///
///     P⁺ = D + R Z R   where   Z = (A⁻¹ − E)⁻¹ = A + A E^½ S⁻¹ E^½ A,   S = I − E^½ A E^½ ≻ 0.
///
/// For slopes between 0 and 1 this is ECLipsE's `X⁻¹`, `X = Λ − ¼ΛAΛ`. Where a slope is known, `d` and the entry of `E` are 0.
module internal LipVerify.Core.Bounds.Multipliers.DeepChains.ChainStep

open System
open System.Numerics.Tensors
open LipVerify.Compute
open LipVerify.Core.Bounds.Multipliers.Solver

/// Rows of a block; products of this size run near the engine's peak.
let private block = 192

/// `U Vᵀ` for two `n × k` matrices where it is symmetric, with both triangles.
let private symmetricOuter (engine: IEngine) n k (u: float[]) (v: float[]) : float[] =
    let result = Array.zeroCreate<float>(n * n)

    for first in 0..block .. n - 1 do
        let size = min block (n - first)

        engine.MatrixMultiply(
            false,
            true,
            size,
            first + size,
            k,
            1.0,
            MatrixView(HostStorage u, first * k, k),
            MatrixView(HostStorage v, 0, k),
            0.0,
            MatrixView(HostStorage result, first * n, n)
        )

    TriangularProducts.mirror n result
    result

/// `A = W P Wᵀ`; without `P` for `P = I`.
let image (engine: IEngine) (map: ChainMatrix) (p: float[] option) : float[] =
    let n, k = map.Rows, map.Columns

    match p with
    | None -> symmetricOuter engine n k map.Values map.Values
    | Some p ->
        let stretched = MultiplierProblem.multiply engine false false n k k map.Values k p k
        symmetricOuter engine n k stretched map.Values

/// `Wᵀ G W` for a symmetric `G`.
let pullBack (engine: IEngine) (map: ChainMatrix) (g: float[]) : float[] =
    let n, k = map.Rows, map.Columns
    let stretched = MultiplierProblem.multiply engine false false n k n g n map.Values k
    MultiplierProblem.multiply engine true false k k n map.Values k stretched k

/// `diag(s) A diag(s)`.
let scaleBoth (a: float[]) (s: float[]) : float[] =
    let n = s.Length
    let scaled = Array.zeroCreate<float> a.Length

    for i in 0 .. n - 1 do
        let row = Span(scaled, i * n, n)
        TensorPrimitives.Multiply(ReadOnlySpan(a, i * n, n), ReadOnlySpan s, row)
        TensorPrimitives.Multiply(ReadOnlySpan(scaled, i * n, n), s[i], row)

    scaled

/// `L⁻¹` for `L Lᵀ = (1 − room) I − G`; none where that is not positive definite.
let tryInvert (engine: IEngine) n room (g: float[]) : float[] option =
    let matrix = g |> Array.map (~-)

    for i in 0 .. n - 1 do
        matrix[i * n + i] <- 1.0 - room + matrix[i * n + i]

    if engine.TryCholesky(n, HostStorage matrix) then
        TriangularProducts.invertLower engine n matrix
        Some matrix
    else
        None

/// Roots of the entries of `E`.
let roots (slopes: ChainSlope[]) (weights: float[]) : float[] =
    Array.map2 (fun (slope: ChainSlope) d -> if slope.IsOpen then slope.Width / sqrt d else 0.0) slopes weights

/// What an activation makes of an ellipsoid.
[<NoEquality; NoComparison>]
type Bent =
    {
        /// `Z`.
        Stretched: float[]
        /// `P⁺`.
        After: float[]
        /// `−ln det S`.
        Barrier: float
    }

/// `Z`, and `−ln det S`.
let private tryStretch (engine: IEngine) room (a: float[]) (s: float[]) =
    let n = s.Length

    if Array.forall (fun s -> s = 0.0) s then
        Some(struct (a, 0.0))
    else
        tryInvert engine n room (scaleBoth a s)
        |> Option.map (fun inverse ->
            let mutable barrier = 0.0
            let half = Array.copy a

            for i in 0 .. n - 1 do
                barrier <- barrier + 2.0 * log inverse[i * n + i]
                let row = Span(half, i * n, n)
                TensorPrimitives.Multiply(Span.op_Implicit row, s[i], row)

            let b = MultiplierProblem.multiply engine false false n n n inverse n half n
            let z = Array.copy a

            engine.MatrixMultiply(
                true,
                false,
                n,
                n,
                n,
                1.0,
                MatrixView.Of(HostStorage b, n),
                MatrixView.Of(HostStorage b, n),
                1.0,
                MatrixView.Of(HostStorage z, n)
            )

            struct (z, barrier))

/// What activations with these slopes and weights make of the ellipsoid of `A`; none where `S` is not positive definite. With `room` the matrix of
/// which `P⁺` makes a Schur complement keeps this much: `S` has as much less, and the diagonal of `P⁺` this part more.
let tryBend (engine: IEngine) room (a: float[]) (slopes: ChainSlope[]) (weights: float[]) : Bent option =
    let n = slopes.Length

    tryStretch engine room a (roots slopes weights)
    |> Option.map (fun (struct (z, barrier)) ->
        let after = scaleBoth z (slopes |> Array.map _.Center)

        for i in 0 .. n - 1 do
            let own = if slopes[i].IsOpen then weights[i] else 0.0
            after[i * n + i] <- (after[i * n + i] + own) * (1.0 + room)

        {
            Stretched = z
            After = after
            Barrier = barrier
        })
