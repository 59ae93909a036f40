namespace LipVerify.Core

open System
open System.Numerics.Tensors
open LipVerify.Compute

/// Room for the matrices of one step, used again by the next.
type internal PathRoom(problem: MultiplierProblem.Problem) =
    let n, k, c = problem.Height, problem.Uncertain, problem.Columns
    let room rows columns = Array.zeroCreate<float>(rows * columns)

    /// `L⁻¹`, for `S = L Lᵀ`.
    member val Inverse = room n n
    /// `Q = S⁻¹`.
    member val Q = room n n
    member val QB = room n k
    member val BQB = room k k
    member val QY = room n c
    member val YQY = room c c
    member val BQY = room k c
    member val Hessian = room (k + 1) (k + 1)
    /// `ΔS`.
    member val Change = room n n

/// Derivatives along the central path of `MultiplierSolver`, and the Newton steps that they give.
module internal PathDerivatives =

    /// Derivatives of `−log det S` by `μ` and `s`: the gradient, and the Hessian in the scale of `point`, each `s` times itself.
    [<ReferenceEquality>]
    type Derivatives = { Gradient: float[]; Hessian: float[] }

    let private multiplyFactors engine (problem: MultiplierProblem.Problem) (point: PathPoint) (room: PathRoom) =
        let n, k, c = problem.Height, problem.Uncertain, problem.Columns
        Array.blit point.Factor 0 room.Inverse 0 room.Inverse.Length
        TriangularProducts.invertLower engine n room.Inverse
        TriangularProducts.gramOfLower engine n room.Inverse room.Q
        TriangularProducts.timesLower engine n k room.Q problem.B room.QB
        TriangularProducts.symmetricAdjointProduct engine n k problem.B room.QB room.BQB

        if problem.IsLower then
            TriangularProducts.timesLower engine n c room.Q problem.Y room.QY
            TriangularProducts.symmetricAdjointProduct engine n c problem.Y room.QY room.YQY
        else
            MultiplierProblem.multiplyInto engine false false n c n room.Q n problem.Y c room.QY
            MultiplierProblem.multiplyInto engine true false c c n problem.Y c room.QY c room.YQY

        TriangularProducts.adjointProduct engine n k c problem.B room.QY room.BQY

    /// The derivatives at a point; the Hessian lies in the room.
    let at (engine: IEngine) (problem: MultiplierProblem.Problem) (room: PathRoom) (point: PathPoint) =
        let n, k, c = problem.Height, problem.Uncertain, problem.Columns
        multiplyFactors engine problem point room
        let q, qb, bqb, qy, bqy = room.Q, room.QB, room.BQB, room.QY, room.BQY
        let gradient = Array.zeroCreate<float>(k + 1)
        let size = k + 1
        let hessian = room.Hessian
        let mutable trace = 0.0

        for i in 0 .. n - 1 do
            trace <-
                trace
                + TensorPrimitives.Dot(ReadOnlySpan(problem.Y, i * c, c), ReadOnlySpan(qy, i * c, c))

        gradient[0] <- point.Mu * trace

        hessian[0] <- point.Mu * point.Mu * TensorPrimitives.SumOfSquares(ReadOnlySpan room.YQY)

        for i in 0 .. k - 1 do
            let si = point.Weights[i]
            gradient[i + 1] <- -si * (q[i * n + i] - bqb[i * k + i])

            let mixed =
                TensorPrimitives.SumOfSquares(ReadOnlySpan(bqy, i * c, c))
                - TensorPrimitives.SumOfSquares(ReadOnlySpan(qy, i * c, c))

            hessian[(i + 1) * size] <- si * point.Mu * mixed

            for j in 0..i do
                let a = q[i * n + j]
                let b = qb[i * k + j]
                let c = qb[j * k + i]
                let d = bqb[i * k + j]
                hessian[(i + 1) * size + j + 1] <- si * point.Weights[j] * (a * a - b * b - c * c + d * d)

        {
            Gradient = gradient
            Hessian = hessian
        }

    /// Derivatives where the weights of each tie change by one factor: in relative terms those of its members add up.
    let tie (ties: int[]) count (derivatives: Derivatives) =
        let size = derivatives.Gradient.Length
        let tied = count + 1
        let place i = if i = 0 then 0 else ties[i - 1] + 1
        let gradient = Array.zeroCreate<float> tied
        let hessian = Array.zeroCreate<float>(tied * tied)

        for i in 0 .. size - 1 do
            let a = place i
            gradient[a] <- gradient[a] + derivatives.Gradient[i]

            for j in 0..i do
                let b = place j
                let value = derivatives.Hessian[i * size + j]
                let k = max a b * tied + min a b
                // Of two members of one tie both orders lie on the diagonal.
                hessian[k] <- hessian[k] + (if a = b && i <> j then 2.0 * value else value)

        {
            Gradient = gradient
            Hessian = hessian
        }

    /// `−H⁻¹ g` in relative terms, with a ridge where rounding has made the Hessian indefinite.
    let direction (engine: IEngine) (derivatives: Derivatives) pull =
        let size = derivatives.Gradient.Length
        let gradient = Array.copy derivatives.Gradient
        gradient[0] <- gradient[0] - pull

        let rec attempt ridge =
            let factor = Array.copy derivatives.Hessian
            factor[0] <- factor[0] + pull

            for i in 0 .. size - 1 do
                factor[i * size + i] <- factor[i * size + i] * (1.0 + ridge) + 1e-300

            if engine.TryCholesky((size: int), HostStorage factor) then
                TriangularProducts.solveFactored size factor gradient |> Array.map (~-) |> Some
            elif ridge > 1.0 then
                None
            else
                attempt (max 1e-14 (100.0 * ridge))

        attempt 0.0

    /// How much larger than at `point` `μ` can be anywhere, relatively, from the Newton step for the pull `q`: where
    /// `Z = S⁻¹ − S⁻¹ ΔS S⁻¹` is positive definite it is feasible in the dual problem, and `⟨Z, S⟩` says so. None off the central path.
    let dualGap (path: CentralPath) n (point: PathPoint) (derivatives: Derivatives) (step: PathStep) pull =
        let share = pull * (1.0 - step.Relative[0])

        // `Z` is `S − ΔS` up to a congruence.
        if share > 0.0 && path.IsBehindFeasible point step then
            Some(
                Array.fold2 (fun sum g d -> sum + g * d) (float n) derivatives.Gradient step.Relative
                / share
            )
        else
            None
