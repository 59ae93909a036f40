namespace LipVerify.Core.Bounds.Multipliers.Solver

open System
open System.Numerics.Tensors
open LipVerify.Compute
open LipVerify.Core.Bounds.Multipliers.Representation

/// Multipliers `t_j = 1/s_j` with the `γ` that they are meant to show. Only a witness: `MultiplierProof` checks it.
[<ReferenceEquality>]
type Multipliers =
    {
        /// `γ`.
        Gamma: float
        /// `s`, positive, one an entry of `w`.
        Weights: float[]
    }

/// The matrices behind multipliers: what they are made of, and which entries of `w` matter (METHODS section 7).
module internal MultiplierProblem =

    /// The matrices of the problem in the solver's scale: `Y = [H; M]`, over at most as many columns as rows, and `B`.
    [<ReferenceEquality>]
    type Problem =
        {
            Height: int
            Uncertain: int
            Columns: int
            Y: float[]
            /// Whether `Y` has zeros above its diagonal.
            IsLower: bool
            B: float[]
            /// `K`.
            Gram: float[]
        }

    /// A product of dense matrices by the engine, into `result`.
    let multiplyInto
        (engine: IEngine)
        transposeA
        transposeB
        m
        n
        k
        (a: float[])
        strideA
        (b: float[])
        strideB
        (result: float[])
        =
        if k > 0 && m > 0 && n > 0 then
            engine.MatrixMultiply(
                transposeA,
                transposeB,
                m,
                n,
                k,
                1.0,
                MatrixView(HostStorage a, 0, strideA),
                MatrixView(HostStorage b, 0, strideB),
                0.0,
                MatrixView(HostStorage result, 0, n)
            )

    /// The same with room of its own.
    let multiply engine transposeA transposeB m n k a strideA b strideB =
        let result = Array.zeroCreate<float>(m * n)
        multiplyInto engine transposeA transposeB m n k a strideA b strideB result
        result

    /// The Cholesky factor; none where the matrix is not positive definite.
    let tryFactor (engine: IEngine) (n: int) (matrix: float[]) =
        let factor = Array.copy matrix

        if engine.TryCholesky(n, HostStorage factor) then
            Some factor
        else
            None

    let private slice (lfr: LinearFractional) first count =
        Array.init (lfr.Height * count) (fun k -> lfr.Values[k / count * lfr.Columns + first + k % count])

    /// `|G|`-weighted sums: `p = (I − |G|)⁻¹ ‖H‖` bounds `|v|` for a unit `δx`, and `q = (I − |G|ᵀ)⁻¹ |T|ᵀ Q` how much each `w` matters.
    let influences (lfr: LinearFractional) =
        let k, n = lfr.Uncertain, lfr.Inputs
        let at i j = abs lfr.Values[i * lfr.Columns + j]

        let own =
            Array.init lfr.Height (fun i ->
                Numerics.Tensors.TensorPrimitives.Norm(ReadOnlySpan(lfr.Values, i * lfr.Columns, n)))

        let sizes = Array.copy own

        for i in 0 .. lfr.Height - 1 do
            for j in 0 .. (min i k) - 1 do
                sizes[i] <- sizes[i] + at i (n + j) * sizes[j]

        let matters = Array.zeroCreate<float> k

        for i in lfr.Height - 1 .. -1 .. 0 do
            // More than is needed, so that the point is well inside.
            let weight = if i >= k then sizes[i] else 1.5 * matters[i]

            if i < k then
                matters[i] <- weight

            for j in 0 .. (min i k) - 1 do
                matters[j] <- matters[j] + at i (n + j) * weight

        struct (own, sizes, matters)

    /// Entries of `w` that can differ from 0 and change the outputs, up to rounding.
    let relevant (lfr: LinearFractional) (sizes: float[]) (matters: float[]) =
        [|
            for j in 0 .. lfr.Uncertain - 1 do
                if sizes[j] > 0.0 && matters[j] > 0.0 then
                    j
        |]

    /// The representation with these entries of `w` alone.
    let restrict (kept: int[]) (lfr: LinearFractional) =
        let rows = Array.append kept (Array.init lfr.Outputs (fun i -> lfr.Uncertain + i))

        let columns =
            Array.append (Array.init lfr.Inputs id) (kept |> Array.map (fun j -> lfr.Inputs + j))

        let pick (values: float[]) =
            Array.init (rows.Length * columns.Length) (fun k ->
                values[rows[k / columns.Length] * lfr.Columns + columns[k % columns.Length]])

        { lfr with
            Uncertain = kept.Length
            Values = pick lfr.Values
            Errors = pick lfr.Errors
        }

    /// What does not change the outputs gets a weight that makes its row of the scaled matrix as small as rounding, and what is always
    /// 0 one that does so to its column.
    let expand (sizes: float[]) (matters: float[]) (kept: int[]) (multipliers: Multipliers) =
        let weights =
            Array.map2
                (fun size matter ->
                    let root =
                        if matter > 0.0 then
                            1e-15 * multipliers.Gamma / matter
                        else
                            1e15 * (if size > 0.0 then size else 1.0) / multipliers.Gamma

                    root * root)
                sizes
                matters

        kept |> Array.iteri (fun i j -> weights[j] <- multipliers.Weights[i])
        { multipliers with Weights = weights }

    /// The problem of a representation, with `[H; M]` divided by `scale`.
    let create (engine: IEngine) (lfr: LinearFractional) scale : Problem =
        let y = slice lfr 0 lfr.Inputs |> Array.map (fun x -> x / scale)

        let n = lfr.Height

        let gram = multiply engine false true n n lfr.Inputs y lfr.Inputs y lfr.Inputs

        // More columns than rows compress to the Cholesky factor of `K`; what keeps it definite is far below the solver's accuracy.
        let compressed =
            if lfr.Inputs <= n then
                None
            else
                let largest = Seq.max (seq { for i in 0 .. n - 1 -> gram[i * n + i] })

                let definite =
                    Array.mapi (fun k g -> if k / n = k % n then g + 1e-13 * float n * largest else g) gram

                tryFactor engine n definite
                |> Option.map (fun factor -> Array.mapi (fun k x -> if k % n > k / n then 0.0 else x) factor)

        {
            Height = n
            Uncertain = lfr.Uncertain
            Columns = if compressed.IsSome then n else lfr.Inputs
            Y = compressed |> Option.defaultValue y
            IsLower = compressed.IsSome
            B = slice lfr lfr.Inputs lfr.Uncertain
            Gram = gram
        }

    /// A strictly feasible `μ` and `s` with one weight a tie. From the last tie to the first, with `D = diag(s, I)` and `B_g` the columns
    /// of tie `g`: `s_g ‖D^-½ B_g‖² ≤ 1/(2m)` for `m` ties, and `μ ‖D^-½ [H; M]‖² ≤ 1/4`, in Frobenius norms, leave a quarter of `D`.
    let tiedStart (problem: Problem) (ties: int[]) =
        let k, n = problem.Uncertain, problem.Height
        let count = Array.max ties + 1
        let weights = Array.zeroCreate<float> k
        let scale i = if i < k then weights[i] else 1.0
        let mutable last = k - 1

        for tie in count - 1 .. -1 .. 0 do
            let mutable first = last

            while first > 0 && ties[first - 1] = tie do
                first <- first - 1

            let mutable square = 0.0

            for i in last + 1 .. n - 1 do
                for j in first..last do
                    let b = problem.B[i * k + j]
                    square <- square + b * b / scale i

            Array.fill weights first (last - first + 1) (1.0 / (2.0 * float count * square))
            last <- first - 1

        let mutable square = 0.0

        for i in 0 .. n - 1 do
            square <- square + problem.Gram[i * n + i] / scale i

        struct (0.25 / square, weights)

    /// `diag(s, rest) − μ K − B diag(s) Bᵀ`, into `result`; `scaled` has room for `B`.
    let formMatrix engine (problem: Problem) (mu: float) (weights: float[]) rest (scaled: float[]) (result: float[]) =
        let n = problem.Height
        TriangularProducts.weightedOuter engine n problem.Uncertain problem.B weights scaled result
        TensorPrimitives.MultiplyAdd(ReadOnlySpan problem.Gram, mu, ReadOnlySpan result, result.AsSpan())
        TensorPrimitives.Negate(ReadOnlySpan result, result.AsSpan())

        for i in 0 .. n - 1 do
            let own = if i < problem.Uncertain then weights[i] else rest
            result[i * n + i] <- result[i * n + i] + own

    /// The same with room of its own.
    let matrixAt engine (problem: Problem) mu weights rest =
        let result = Array.zeroCreate<float>(problem.Height * problem.Height)
        formMatrix engine problem mu weights rest (Array.zeroCreate problem.B.Length) result
        result
