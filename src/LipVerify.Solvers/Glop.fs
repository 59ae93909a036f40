/// Linear programs by GLOP, the simplex method of Google OR-Tools, whose native library is loaded when it is first asked for.
module LipVerify.Solvers.Glop

open System
open System.Threading
open Google.OrTools.LinearSolver
open LipVerify.Core.Bounds.Polynomials

/// States the program and gives its variables.
let private state (solver: Solver) (linear: LinearProgram) =
    let rows =
        linear.Right |> Array.map (fun right -> solver.MakeConstraint(right, right))

    let objective = solver.Objective()
    objective.SetMinimization()

    (linear.Costs, linear.Columns)
    ||> Array.map2 (fun cost column ->
        let variable = solver.MakeNumVar(0.0, Double.PositiveInfinity, "")
        objective.SetCoefficient(variable, cost)

        for row, value in column do
            rows[row].SetCoefficient(variable, value)

        variable)

let private solveWith (solver: Solver) (cancellation: CancellationToken) (limit: TimeSpan option) linear =
    let variables = state solver linear

    limit
    |> Option.iter (fun limit -> solver.SetTimeLimit(max 1L (int64 limit.TotalMilliseconds)))

    use _ = cancellation.Register(fun () -> solver.InterruptSolve() |> ignore)
    // An interruption before the start is forgotten.
    cancellation.ThrowIfCancellationRequested()
    let status = solver.Solve()
    cancellation.ThrowIfCancellationRequested()

    match status with
    | Solver.ResultStatus.OPTIMAL
    | Solver.ResultStatus.FEASIBLE -> Ok(variables |> Array.map _.SolutionValue())
    // The time ended before there was a feasible point.
    | Solver.ResultStatus.NOT_SOLVED when limit.IsSome -> Ok(Array.zeroCreate variables.Length)
    | _ -> Error "GLOP found no optimal solution of the linear program"

/// Solves a linear program; gives what it has after `limit`, zeros where that is nothing.
let solve (cancellation: CancellationToken) (limit: TimeSpan option) (linear: LinearProgram) : Result<float[], string> =
    cancellation.ThrowIfCancellationRequested()

    try
        use solver = Solver.CreateSolver "GLOP"
        solveWith solver cancellation limit linear
    with :? TypeInitializationException as failure when (failure.GetBaseException() :? DllNotFoundException) ->
        Error "the solver of linear programs is missing: Google OR-Tools has no native library for this system"
