namespace LipVerify.Core.Bounds.Multipliers.Solver

open System
open System.Numerics.Tensors
open LipVerify.Compute

/// A strictly feasible point of the program of `MultiplierSolver`.
[<ReferenceEquality>]
type internal PathPoint =
    {
        Mu: float
        /// `s`.
        Weights: float[]
        /// `S(μ, s)`; its place is taken over by the next point.
        Matrix: float[]
        /// The Cholesky factor of `S`, in the lower triangle; its place is taken over too.
        Factor: float[]
    }

/// A Newton step in relative terms, and what it adds to `S`.
[<ReferenceEquality>]
type internal PathStep =
    {
        /// Of `μ`, then one an entry of `s`.
        Relative: float[]
        /// `ΔS`.
        Change: float[]
    }

/// How far to go along a Newton step for `q ln μ + ln det S`. Matrices of some hundred rows are tried by the dozen: they share
/// their room.
type internal CentralPath(engine: IEngine, n: int) =
    let mutable tried = Array.zeroCreate<float>(n * n)
    let mutable best = Array.zeroCreate<float>(n * n)

    /// Steps go at most this part of the way to where the matrix stops being positive definite: closer, many later steps would be
    /// spent on getting away from there.
    static let fraction = 0.7

    let logDeterminant (factor: float[]) =
        let mutable sum = 0.0

        for i in 0 .. n - 1 do
            sum <- sum + log factor[i * n + i]

        2.0 * sum

    /// `−q ln μ − ln det S`: its least values for growing `q` are the central path.
    let barrier pull mu factor = -pull * log mu - logDeterminant factor

    /// Whether `S + α ΔS` is positive definite; its factor is left in `tried`.
    let isFeasible (start: PathPoint) (step: PathStep) (alpha: float) =
        TensorPrimitives.MultiplyAdd(ReadOnlySpan step.Change, alpha, ReadOnlySpan start.Matrix, tried.AsSpan())
        engine.TryCholesky(n, HostStorage tried)

    let isPositive (step: PathStep) alpha =
        step.Relative |> Array.forall (fun d -> 1.0 + alpha * d > 0.0)

    /// The barrier at `α`, infinite where that is not feasible or too near to where nothing is.
    let trial pull start step alpha =
        let further = alpha / fraction

        if
            isPositive step further
            && isFeasible start step further
            && isFeasible start step alpha
        then
            barrier pull (start.Mu * (1.0 + alpha * step.Relative[0])) tried
        else
            Double.PositiveInfinity

    /// Keeps the factor that was tried last.
    let keep () =
        let other = best
        best <- tried
        tried <- other

    let rec grow pull start step alpha value =
        let next =
            if alpha < 1e6 then
                trial pull start step (2.0 * alpha)
            else
                Double.PositiveInfinity

        if next < value then
            keep ()
            grow pull start step (2.0 * alpha) next
        else
            alpha

    let rec shrink pull start step alpha value =
        if trial pull start step alpha < value then
            keep ()
            Some alpha
        elif alpha < 1e-8 then
            None
        else
            shrink pull start step (alpha * 0.6) value

    /// Takes over the matrices of `start`.
    let goTo (start: PathPoint) (step: PathStep) (alpha: float) =
        TensorPrimitives.MultiplyAdd(ReadOnlySpan step.Change, alpha, ReadOnlySpan start.Matrix, start.Matrix.AsSpan())

        let factor = best
        best <- start.Factor

        {
            Mu = start.Mu * (1.0 + alpha * step.Relative[0])
            Weights =
                start.Weights
                |> Array.mapi (fun j s -> s * (1.0 + alpha * step.Relative[j + 1]))
            Matrix = start.Matrix
            Factor = factor
        }

    /// Whether `S − ΔS` is positive definite.
    member _.IsBehindFeasible start step = isFeasible start step -1.0

    /// The best of the steps tried: doubled while that helps, shortened while it does not. None where none helps.
    member _.Follow pull (start: PathPoint) (step: PathStep) : PathPoint option =
        let value = barrier pull start.Mu start.Factor
        let full = trial pull start step 1.0

        if full < value then
            keep ()
            Some(grow pull start step 1.0 full)
        else
            shrink pull start step 0.6 value
        |> Option.map (goTo start step)
