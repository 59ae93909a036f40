namespace LipVerify.Core.Bounds.Multipliers.DeepChains

open System
open LipVerify.Compute
open LipVerify.Core.Computation
open LipVerify.Core.Bounds.Multipliers.Solver

/// What the recursion through a chain gives at some weights `d = 1/λ` and some constant.
[<NoEquality; NoComparison>]
type internal ChainPoint =
    {
        /// `d`, one a neuron; those with one slope have none that counts.
        Weights: float[]
        /// `ln L²`.
        Level: float
        /// `Z` of each layer.
        Stretched: float[][]
        /// The inverse Cholesky factor of `I − A/L²` for the outputs.
        Inverse: float[]
        /// `−ln det(I − A/L²)`, and the same of each layer's `S`: LipSDP's matrix, scaled to a diagonal of ones, has this determinant.
        Barrier: float
        /// The least `ln L²` for which these weights are multipliers.
        Least: float
    }

/// The recursion of all layers of a chain, and the derivatives of its determinant by the same recursion backwards.
module internal ChainRecursion =

    /// The largest eigenvalue of a symmetric matrix with both triangles; the matrix is overwritten.
    let private largestEigenvalue (engine: IEngine) n (matrix: float[]) =
        if n = 1 then
            matrix[0]
        else
            engine.SymmetricEigen(n, HostStorage matrix, false) |> Array.last

    /// The point of these weights at this level, or none where they do not prove it.
    let tryEvaluate (context: Context) (chain: MultiplierChain) (weights: float[]) (level: float) : ChainPoint option =
        let engine, offsets = context.Engine, chain.Offsets
        let last = chain.Maps.Length - 1
        let stretched = Array.zeroCreate<float[]> last

        let rec next k before barrier =
            Context.check context
            let a = ChainStep.image engine chain.Maps[k] before

            if k < last then
                ChainStep.tryBend engine 0.0 a chain.Slopes[k] weights[offsets[k] .. offsets[k + 1] - 1]
                |> Option.bind (fun bent ->
                    stretched[k] <- bent.Stretched
                    next (k + 1) (Some bent.After) (barrier + bent.Barrier))
            else
                let n = chain.Maps[k].Rows
                let gram = a |> Array.map (fun x -> x * exp -level)

                ChainStep.tryInvert engine n 0.0 gram
                |> Option.bind (fun inverse ->
                    let own = Seq.sum (seq { for i in 0 .. n - 1 -> 2.0 * log inverse[i * n + i] })
                    let largest = largestEigenvalue engine n gram

                    if Double.IsFinite(barrier + own) && largest > 0.0 then
                        Some
                            {
                                Weights = weights
                                Level = level
                                Stretched = stretched
                                Inverse = inverse
                                Barrier = barrier + own
                                Least = level + log largest
                            }
                    else
                        None)

        next 0 None 0.0

    /// First and second derivatives of the determinant's `−ln` by `ln d` of the neurons of a layer, and its derivative by `A`, from that by `P⁺`.
    ///
    /// The rows and columns of LipSDP's inverse that belong to a neuron's `δ` and `c z` are `1 + p`, `q` and `r` beside the diagonal; its
    /// multiplier takes part in the matrix with `δ² − c²z²`.
    let private throughActivation (engine: IEngine) (slopes: ChainSlope[]) (d: float[]) (z: float[]) (after: float[]) =
        let n = slopes.Length
        let centers = slopes |> Array.map _.Center
        let product = MultiplierProblem.multiply engine false false n n n
        let behind = ChainStep.scaleBoth after centers
        let m = product behind n z n
        let both = product z n m n
        let e = ChainStep.roots slopes d |> Array.map (fun s -> s * s)
        let first, second = Array.zeroCreate<float> n, Array.zeroCreate<float> n

        for i in 0 .. n - 1 do
            if slopes[i].IsOpen then
                let p = d[i] * after[i * n + i]
                let q = e[i] * (z[i * n + i] + both[i * n + i])
                let mutable r = 0.0

                for j in 0 .. n - 1 do
                    r <- r + after[i * n + j] * centers[j] * z[j * n + i]

                let r = slopes[i].Width * r
                first[i] <- p - q
                second[i] <- p * p + p + q * q + q - 2.0 * r * r

        // (I + E Z) behind (I + Z E) + E + E Z E
        let byImage =
            Array.init (n * n) (fun k ->
                let i, j = k / n, k % n

                behind[k]
                + m[k] * e[j]
                + e[i] * m[j * n + i]
                + e[i] * (both[k] + z[k]) * e[j]
                + (if i = j then e[i] else 0.0))

        struct (first, second, byImage)

    /// Derivatives of the barrier: by `ln d` of each neuron, the second ones by each alone, and the first one by `−ln L²`.
    let derivatives
        (context: Context)
        (chain: MultiplierChain)
        (point: ChainPoint)
        : struct (float[] * float[] * float) =
        let engine, offsets = context.Engine, chain.Offsets
        let last = chain.Maps.Length - 1
        let slopes = Array.zeroCreate<float> point.Weights.Length
        let curvatures = Array.zeroCreate<float> point.Weights.Length
        let m = chain.Maps[last].Rows
        let outputs = Array.zeroCreate<float>(m * m)
        TriangularProducts.gramOfLower engine m point.Inverse outputs

        let rec layer k (byImage: float[]) =
            if k >= 0 then
                Context.check context

                let struct (first, second, byImage) =
                    ChainStep.pullBack engine chain.Maps[k + 1] byImage
                    |> throughActivation
                        engine
                        chain.Slopes[k]
                        point.Weights[offsets[k] .. offsets[k + 1] - 1]
                        point.Stretched[k]

                Array.blit first 0 slopes offsets[k] first.Length
                Array.blit second 0 curvatures offsets[k] second.Length
                layer (k - 1) byImage

        let trace = Seq.sum (seq { for i in 0 .. m - 1 -> outputs[i * m + i] - 1.0 })

        outputs |> Array.map (fun x -> x * exp -point.Level) |> layer (last - 1)
        struct (slopes, curvatures, trace)
