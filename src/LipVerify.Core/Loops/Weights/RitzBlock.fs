namespace LipVerify.Core.Loops.Weights

open System
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Loops.Operator

/// Approximate top singular triplets of a loop operator, the largest first: `K right_i ≈ sigma_i left_i`. Nothing is proved of them.
[<NoEquality; NoComparison>]
type internal Triplets =
    {
        Sigma: float[]
        /// Unit vectors `(df, v)`.
        Left: float[][]
        /// Vectors `(dx, u)`, of length 1 but for those of value 0.
        Right: float[][]
    }

/// Subspace iteration on `K Kᵀ` whose operator may change a little from step to step.
[<Sealed>]
type internal RitzBlock(context: Context, rows: int, count: int) =
    let mutable steps = 0

    /// What each step adds at random, in parts of a unit vector: directions that the block has lost may be the top ones of the next operator.
    let fresh = 0.03

    let gaussian stream =
        steps <- steps + 1
        Array.init count (fun i -> Gaussian.draw (context.Seed ^^^ 0x5EED) (stream + steps * count + i) rows)

    let dot (a: float[]) (b: float[]) =
        Numerics.Tensors.TensorPrimitives.Dot(ReadOnlySpan a, ReadOnlySpan b)

    let addScaled (factor: float) (x: float[]) (y: float[]) =
        Numerics.Tensors.TensorPrimitives.MultiplyAdd(ReadOnlySpan x, factor, ReadOnlySpan y, Span y)

    /// Gram and Schmidt, twice.
    let orthonormalise (vectors: float[][]) =
        vectors
        |> Array.iteri (fun i vector ->
            for _ in 1..2 do
                for j in 0 .. i - 1 do
                    addScaled -(dot vector vectors[j]) vectors[j] vector

            let length = sqrt (dot vector vector)

            if length > 0.0 then
                addScaled (1.0 / length - 1.0) (Array.copy vector) vector)

        vectors

    let mix (weights: float[]) (vectors: float[][]) =
        let sum = Array.zeroCreate<float> vectors[0].Length
        Array.iter2 (fun weight vector -> addScaled weight vector sum) weights vectors
        sum

    let mutable block = orthonormalise (gaussian 0)

    /// Vectors of the block.
    member _.Count = count

    /// One step with an operator of these rows.
    member _.Step(operator: LoopOperator) : Triplets =
        let engine = context.Engine
        let columns = LoopOperator.columns operator
        let right = HostStorage(Array.zeroCreate (count * columns))
        let image = HostStorage(Array.zeroCreate (count * rows))
        LoopOperator.pull context operator LoopOperator.unseen count (HostStorage(Array.concat block)) right
        LoopOperator.push context operator LoopOperator.unseen count right image

        let part (x: HostStorage) length i = Array.sub x.Values (i * length) length

        let right, image =
            Array.init count (part right columns), Array.init count (part image rows)

        let gram =
            Array.init (count * count) (fun k -> dot right[k / count] right[k % count])

        if not (Array.forall Double.IsFinite gram) then
            // The operator has left the range of doubles: nothing is known of it.
            {
                Sigma = Array.create count Double.PositiveInfinity
                Left = block
                Right = right
            }
        else
            let vectors = HostStorage gram
            let values = engine.SymmetricEigen(count, vectors, true)

            let weights =
                Array.init count (fun i -> Array.sub vectors.Values ((count - 1 - i) * count) count)

            let sigma = Array.init count (fun i -> sqrt (max 0.0 values[count - 1 - i]))

            let triplets =
                {
                    Sigma = sigma
                    Left = weights |> Array.map (fun w -> mix w block)
                    Right =
                        Array.map2
                            (fun w s -> mix (w |> Array.map (fun x -> if s > 0.0 then x / s else 0.0)) right)
                            weights
                            sigma
                }

            let next = weights |> Array.map (fun w -> mix w image) |> orthonormalise

            Array.iter2
                (fun next (noise: float[]) -> addScaled (fresh / sqrt (float rows)) noise next)
                next
                (gaussian 1)

            block <- orthonormalise next
            triplets

module internal Triplets =

    /// How much of the top directions each coordinate from `first` on takes part in; they sum up to at most 1. Directions below the top one
    /// count less and less, by this power of their singular value.
    let energies power (sigma: float[]) (vectors: float[][]) first count =
        let weights =
            sigma
            |> Array.map (fun s ->
                if sigma[0] > 0.0 then
                    Math.Pow(s / sigma[0], power)
                else
                    0.0)

        let total = max (Array.sum weights) Double.Epsilon

        Array.init count (fun j ->
            let mutable sum = 0.0

            for i in 0 .. weights.Length - 1 do
                let x = vectors[i][first + j]
                sum <- sum + weights[i] * x * x

            sum / total)
