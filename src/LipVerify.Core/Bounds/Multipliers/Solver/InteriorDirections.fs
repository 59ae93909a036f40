namespace LipVerify.Core.Bounds.Multipliers.Solver

open System
open System.Numerics.Tensors
open LipVerify.Compute

/// Directions of Helmberg, Rendl, Vanderbei & Wolkowicz (1996), Kojima, Shindoh & Hara (1997) and Monteiro (1997) with Mehrotra's
/// corrector: `X + ΔX = σν S⁻¹ − S⁻¹ ΔS X`, made symmetric, where `X + ΔX` meets the constraints.
type internal InteriorDirections(engine: IEngine, problem: MultiplierProblem.Problem, ties: int[] option) =
    /// Shorter steps get nowhere: what is left is rounding.
    static let leastStep = 1e-3

    let n, k, c = problem.Height, problem.Uncertain, problem.Columns

    /// Of the Hessian, ties summed.
    let order =
        match ties with
        | Some ties -> Array.max ties + 2
        | None -> k + 1

    let square () = Array.zeroCreate<float>(n * n)
    let cone = DefiniteCone(engine, n)
    let inverse, q, product, second = square (), square (), square (), square ()
    let change, dualChange = square (), square ()

    let projectionsOfQ, projectionsOfX =
        Projections(engine, problem), Projections(engine, problem)

    let scaledColumns = Array.zeroCreate<float>(n * k)
    let hessian = Array.zeroCreate<float>((k + 1) * (k + 1))

    let multiply (a: float[]) (b: float[]) (result: float[]) =
        MultiplierProblem.multiplyInto engine false false n n n a n b n result

    let dot (a: float[]) (b: float[]) =
        TensorPrimitives.Dot(ReadOnlySpan a, ReadOnlySpan b)

    let rowDot (a: float[]) (b: float[]) i width =
        TensorPrimitives.Dot(ReadOnlySpan(a, i * width, width), ReadOnlySpan(b, i * width, width))

    /// `½ (a + aᵀ)` in place.
    let symmetrise (a: float[]) =
        for i in 0 .. n - 1 do
            for j in 0 .. i - 1 do
                let mean = 0.5 * (a[i * n + j] + a[j * n + i])
                a[i * n + j] <- mean
                a[j * n + i] <- mean

    let scales (point: InteriorPoint) i =
        if i = 0 then point.Mu else point.Weights[i - 1]

    /// `⟨A_i, Z⟩` for a symmetric `Z`, times `y_i`; `zb` is `Z B`, and `BᵀZB` has the diagonal `diagonal`.
    let constraintsOf (point: InteriorPoint) (z: float[]) (diagonal: int -> float) =
        Array.init (k + 1) (fun i ->
            scales point i
            * (if i = 0 then
                   -(dot problem.Gram z)
               else
                   z[(i - 1) * n + i - 1] - diagonal (i - 1)))

    /// `y_i y_j tr(A_i S⁻¹ A_j X)`, lower triangle.
    let formHessian (point: InteriorPoint) =
        let a, x = projectionsOfQ, projectionsOfX
        let dual = point.Dual
        let size = k + 1
        hessian[0] <- point.Mu * point.Mu * dot a.YZY x.YZY

        for i in 0 .. k - 1 do
            let si = point.Weights[i]
            hessian[(i + 1) * size] <- si * point.Mu * (rowDot a.BZY x.BZY i c - rowDot a.ZY x.ZY i c)

            for j in 0..i do
                let value =
                    q[i * n + j] * dual[i * n + j]
                    - a.ZB[i * k + j] * x.ZB[i * k + j]
                    - a.ZB[j * k + i] * x.ZB[j * k + i]
                    + a.BZB[i * k + j] * x.BZB[i * k + j]

                hessian[(i + 1) * size + j + 1] <- si * point.Weights[j] * value

    let solve (factor: float[]) (right: float[]) =
        let right = Ties.vector ties right
        Ties.expand ties (TriangularProducts.solveFactored right.Length factor right)

    /// `ΔS` of a relative step, into `change`.
    let formChange (point: InteriorPoint) (relative: float[]) =
        let weights = Array.map2 (*) point.Weights relative[1..]
        MultiplierProblem.formMatrix engine problem (point.Mu * relative[0]) weights 0.0 scaledColumns change

    /// `σν S⁻¹ − X − S⁻¹ ΔS X`, not yet symmetric, into `dualChange`; `S⁻¹ ΔS` stays in `product`.
    let formDualChange (point: InteriorPoint) centre =
        multiply q change product
        multiply product point.Dual dualChange
        TensorPrimitives.Add(ReadOnlySpan dualChange, ReadOnlySpan point.Dual, dualChange.AsSpan())
        TensorPrimitives.Negate(ReadOnlySpan dualChange, dualChange.AsSpan())
        TensorPrimitives.MultiplyAdd(ReadOnlySpan q, (centre: float), ReadOnlySpan dualChange, dualChange.AsSpan())

    /// How far `μ` and `s` can go and stay positive.
    let positive (relative: float[]) =
        let least = Array.min relative
        if least < -0.95 then -0.95 / least else 1.0

    let reach (point: InteriorPoint) (relative: float[]) =
        struct (min (positive relative) (cone.Reach point.Matrix change), cone.Reach point.Dual dualChange)

    /// The projections, and the constraints of `S⁻¹` in relative terms.
    let prepare (point: InteriorPoint) =
        Array.blit point.Factor 0 inverse 0 inverse.Length
        TriangularProducts.invertLower engine n inverse
        TriangularProducts.gramOfLower engine n inverse q
        projectionsOfQ.Of q
        projectionsOfX.Of point.Dual
        formHessian point
        constraintsOf point q (fun j -> projectionsOfQ.BZB[j * k + j])

    /// What the second order of the predictor adds to the constraints; its matrix `S⁻¹ ΔS ΔX` goes into `second`.
    let secondOrder (point: InteriorPoint) =
        multiply product dualChange second
        symmetrise second
        TriangularProducts.timesLower engine n k second problem.B scaledColumns
        let diagonal = Array.zeroCreate<float> k

        for i in 0 .. n - 1 do
            for j in 0 .. (min i k) - 1 do
                diagonal[j] <- diagonal[j] + problem.B[i * k + j] * scaledColumns[i * k + j]

        constraintsOf point second (fun j -> diagonal[j])

    /// Where `X` is `ν S⁻¹`, with the `ν` that makes `⟨K, X⟩ = 1`.
    member _.Start(struct (mu: float, weights: float[], matrix: float[], factor: float[])) : InteriorPoint =
        Array.blit factor 0 inverse 0 inverse.Length
        TriangularProducts.invertLower engine n inverse
        let dual = square ()
        TriangularProducts.gramOfLower engine n inverse dual
        let scale = 1.0 / dot problem.Gram dual
        TensorPrimitives.Multiply(ReadOnlySpan dual, scale, dual.AsSpan())

        {
            Mu = mu
            Weights = weights
            Matrix = matrix
            Factor = factor
            Dual = dual
            Infeasibility = 1.0
        }

    /// The next point, which takes over the matrices of this one; none where there is no progress.
    member _.Next(point: InteriorPoint) : InteriorPoint option =
        let constraints = prepare point
        let nu = dot point.Matrix point.Dual / float n
        // `−c` in relative terms.
        let goal i = if i = 0 then point.Mu else 0.0

        Ties.tryFactor engine order (Ties.matrix ties (k + 1) hessian)
        |> Option.bind (fun factor ->
            let predictor = solve factor (Array.init (k + 1) goal)
            formChange point predictor
            formDualChange point 0.0
            symmetrise dualChange
            let struct (far, dualFar) = reach point predictor

            let left =
                (dot point.Matrix point.Dual
                 + far * dot change point.Dual
                 + dualFar * dot point.Matrix dualChange
                 + far * dualFar * dot change dualChange)
                / float n

            let ratio = max 0.0 (left / nu)
            let centre = nu * min 1.0 (max 1e-6 (ratio * ratio * ratio))
            let correction = secondOrder point

            let relative =
                solve factor (Array.init (k + 1) (fun i -> goal i + centre * constraints[i] - correction[i]))

            formChange point relative
            formDualChange point centre
            symmetrise dualChange
            TensorPrimitives.Subtract(ReadOnlySpan dualChange, ReadOnlySpan second, dualChange.AsSpan())
            let struct (far, dualFar) = reach point relative

            if not (max far dualFar > leastStep && Array.forall Double.IsFinite relative) then
                None
            else
                cone.Go point.Matrix change far
                cone.Go point.Dual dualChange dualFar

                if cone.TryFactor point.Matrix point.Factor then
                    Some
                        { point with
                            Mu = point.Mu * (1.0 + far * relative[0])
                            Weights = point.Weights |> Array.mapi (fun j s -> s * (1.0 + far * relative[j + 1]))
                            Infeasibility = point.Infeasibility * (1.0 - dualFar)
                        }
                else
                    None)

    /// `⟨S, X⟩`: once `X` meets the constraints, no `μ` is larger than this one by more.
    member _.Gap(point: InteriorPoint) = dot point.Matrix point.Dual
