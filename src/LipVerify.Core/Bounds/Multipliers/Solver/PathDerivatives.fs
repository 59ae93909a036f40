namespace LipVerify.Core.Bounds.Multipliers.Solver

open System
open System.Numerics.Tensors
open LipVerify.Compute

/// Room for the matrices of one step, used again by the next.
type internal PathRoom(engine: IEngine, problem: MultiplierProblem.Problem) =
    let n, k = problem.Height, problem.Uncertain
    let room rows columns = Array.zeroCreate<float>(rows * columns)

    /// `L⁻¹`, for `S = L Lᵀ`.
    member val Inverse = room n n
    /// `Q = S⁻¹`.
    member val Q = room n n
    member val Projections = Projections(engine, problem)
    member val Hessian = room (k + 1) (k + 1)
    /// `ΔS`.
    member val Change = room n n

/// Derivatives along the central path of `MultiplierSolver`, and the Newton steps that they give.
module internal PathDerivatives =

    /// Derivatives of `−log det S` by `μ` and `s`: the gradient, and the Hessian in the scale of `point`, each `s` times itself.
    [<ReferenceEquality>]
    type Derivatives = { Gradient: float[]; Hessian: float[] }

    /// The derivatives at a point; the Hessian lies in the room.
    let at engine (problem: MultiplierProblem.Problem) (room: PathRoom) (point: PathPoint) =
        let n, k, c = problem.Height, problem.Uncertain, problem.Columns
        Array.blit point.Factor 0 room.Inverse 0 room.Inverse.Length
        TriangularProducts.invertLower engine n room.Inverse
        TriangularProducts.gramOfLower engine n room.Inverse room.Q
        let p = room.Projections
        p.Of room.Q
        let q, qb, bqb, qy, bqy = room.Q, p.ZB, p.BZB, p.ZY, p.BZY
        let gradient = Array.zeroCreate<float>(k + 1)
        let size = k + 1
        let hessian = room.Hessian
        let mutable trace = 0.0

        for i in 0 .. n - 1 do
            trace <-
                trace
                + TensorPrimitives.Dot(ReadOnlySpan(problem.Y, i * c, c), ReadOnlySpan(qy, i * c, c))

        gradient[0] <- point.Mu * trace

        hessian[0] <- point.Mu * point.Mu * TensorPrimitives.SumOfSquares(ReadOnlySpan p.YZY)

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

    /// The Newton step `−H⁻¹ g` for the pull `q`, in relative terms.
    let direction (engine: IEngine) ties (derivatives: Derivatives) pull =
        let size = derivatives.Gradient.Length
        let gradient = Ties.vector ties derivatives.Gradient |> Array.copy
        let hessian = Ties.matrix ties size derivatives.Hessian |> Array.copy
        gradient[0] <- gradient[0] - pull
        hessian[0] <- hessian[0] + pull

        Ties.tryFactor engine gradient.Length hessian
        |> Option.map (fun factor ->
            TriangularProducts.solveFactored gradient.Length factor gradient
            |> Array.map (~-)
            |> Ties.expand ties)

    /// A step with the change that it makes, which lies in the room.
    let step engine problem (room: PathRoom) (point: PathPoint) (relative: float[]) =
        let weights = Array.map2 (*) point.Weights relative[1..]
        // What `QB` held has gone into the derivatives.
        MultiplierProblem.formMatrix engine problem (point.Mu * relative[0]) weights 0.0 room.Projections.ZB room.Change

        {
            Relative = relative
            Change = room.Change
        }

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
