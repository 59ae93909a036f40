namespace LipVerify.Core.Bounds.Multipliers.DeepChains

open System
open System.Numerics.Tensors
open LipVerify.Compute
open LipVerify.Core.Computation
open LipVerify.Core.Bounds.Multipliers.Solver

/// What the recursion through a chain gives at some weights `d = 1/λ` and some constant: the block Cholesky factorisation of `I − T`, where `T`
/// couples neighbouring blocks (the inputs, the layers, the outputs) by `½ D^{−½} W D^{½}`.
[<NoEquality; NoComparison>]
type internal ChainPoint =
    {
        /// `d`, one a neuron.
        Weights: float[]
        /// `ln L²`.
        Level: float
        /// The blocks of `T` behind each layer, `T_1` first.
        Couplings: float[][]
        /// `V = T S⁻½` for each block, `S` the Schur complement of the layer before.
        Images: float[][]
        /// The inverse Cholesky factors of the Schur complements of the layers, and of the outputs.
        Inverses: float[][]
        /// `−ln det(I − T)`.
        Barrier: float
        /// The least `ln L²` for which these weights are multipliers.
        Least: float
    }

/// LipSDP's matrix of a chain, layer by layer, and the derivatives of its determinant by the same recursion backwards.
module internal ChainRecursion =

    /// The weights of each layer, 1 for the inputs.
    let private layers (chain: MultiplierChain) (weights: float[]) =
        let offsets = chain.Offsets

        Array.init chain.Maps.Length (fun k ->
            if k = 0 then
                Array.create chain.Maps[0].Columns 1.0
            else
                weights[offsets[k - 1] .. offsets[k] - 1])

    /// The largest eigenvalue of a symmetric matrix with both triangles; the matrix is overwritten.
    let private largestEigenvalue (engine: IEngine) n (matrix: float[]) =
        if n = 1 then
            matrix[0]
        else
            engine.SymmetricEigen(n, HostStorage matrix, false) |> Array.last

    /// The point of these weights at this level, or none where they do not prove it.
    let tryEvaluate (context: Context) (chain: MultiplierChain) (weights: float[]) (level: float) : ChainPoint option =
        let engine = context.Engine
        let last = chain.Maps.Length - 1
        let roots = layers chain weights |> Array.map (Array.map sqrt)
        let images = Array.zeroCreate<float[]>(last + 1)
        let inverses = Array.zeroCreate<float[]>(last + 1)

        let blocks =
            chain.Maps
            |> Array.mapi (fun k map ->
                let behind =
                    if k = last then
                        Array.create map.Rows (exp (-0.5 * level))
                    else
                        roots[k + 1] |> Array.map (fun root -> 0.5 / root)

                ChainStep.scale map roots[k] behind)

        let rec next k barrier =
            Context.check context
            let map = chain.Maps[k]
            let rows, columns = map.Rows, map.Columns

            images[k] <-
                if k = 0 then
                    blocks[0]
                else
                    ChainStep.timesInverse engine rows columns blocks[k] inverses[k - 1]

            let gram = ChainStep.outer engine rows columns images[k]

            match ChainStep.tryInvert engine rows gram with
            | None -> None
            | Some inverse ->
                inverses[k] <- inverse
                let mutable barrier = barrier

                for i in 0 .. rows - 1 do
                    barrier <- barrier + 2.0 * log inverse[i * rows + i]

                if k < last then
                    next (k + 1) barrier
                else
                    TriangularProducts.mirror rows gram
                    let largest = largestEigenvalue engine rows gram

                    if Double.IsFinite barrier && largest > 0.0 then
                        Some
                            {
                                Weights = weights
                                Level = level
                                Couplings = blocks
                                Images = images
                                Inverses = inverses
                                Barrier = barrier
                                Least = level + log largest
                            }
                    else
                        None

        next 0 0.0

    /// Derivatives of `−ln det(I − T)`: by `ln d` of each neuron, the second ones by each alone, and the first one by `−ln L²`.
    ///
    /// With `Z = (I − T)⁻¹` the derivative by `ln d_j` is `(Z T)_jj` over what is behind the layer less the same over what is before it. Together
    /// these are `Z_jj − 1`. Blocks of `Z` follow from the last to the first.
    let derivatives
        (context: Context)
        (chain: MultiplierChain)
        (point: ChainPoint)
        : struct (float[] * float[] * float) =
        let engine, offsets = context.Engine, chain.Offsets
        let last = chain.Maps.Length - 1
        let slopes = Array.zeroCreate<float> point.Weights.Length
        let curvatures = Array.zeroCreate<float> point.Weights.Length

        let inverseOf k =
            let n = chain.Maps[k].Rows
            let z = Array.zeroCreate<float>(n * n)
            TriangularProducts.gramOfLower engine n point.Inverses[k] z
            z

        /// From `Z` of what layer `k` feeds.
        let rec layer k (behind: float[]) =
            if k >= 0 then
                Context.check context
                let n, m = chain.Maps[k].Rows, chain.Maps[k + 1].Rows
                let block = point.Couplings[k + 1]
                let product = MultiplierProblem.multiply engine false false

                let e = product m n n point.Images[k + 1] n point.Inverses[k] n
                let coupled = product m n m behind m e n
                let stretched = product m n m behind m block n
                let z = inverseOf k

                engine.MatrixMultiply(
                    true,
                    false,
                    n,
                    n,
                    m,
                    1.0,
                    MatrixView.Of(HostStorage e, n),
                    MatrixView.Of(HostStorage coupled, n),
                    1.0,
                    MatrixView.Of(HostStorage z, n)
                )

                let taken = Array.zeroCreate<float> n
                let squares = Array.zeroCreate<float> n

                for i in 0 .. m - 1 do
                    let row = ReadOnlySpan(block, i * n, n)

                    TensorPrimitives.MultiplyAdd(row, ReadOnlySpan(coupled, i * n, n), ReadOnlySpan taken, Span taken)

                    TensorPrimitives.MultiplyAdd(
                        row,
                        ReadOnlySpan(stretched, i * n, n),
                        ReadOnlySpan squares,
                        Span squares
                    )

                for j in 0 .. n - 1 do
                    let own = z[j * n + j]
                    let given = own - 1.0 - taken[j]
                    let slope = taken[j] - given
                    // vᵀ Z v for what the weight multiplies less what it divides.
                    let spread = max 0.0 (4.0 * squares[j] - 3.0 * taken[j] + given)
                    slopes[offsets[k] + j] <- slope
                    curvatures[offsets[k] + j] <- 0.5 * (own - 1.0 + own * spread + slope * slope)

                layer (k - 1) z

        let outputs = inverseOf last
        let m = chain.Maps[last].Rows
        let trace = Seq.sum (seq { for i in 0 .. m - 1 -> outputs[i * m + i] - 1.0 })
        layer (last - 1) outputs
        struct (slopes, curvatures, trace)
