/// Linear programs by COIN-OR Clp through its C interface, loaded when it is first asked for.
module LipVerify.Solvers.Clp

open System
open System.Runtime.InteropServices
open System.Threading
open Microsoft.FSharp.NativeInterop
open LipVerify.Core.Bounds.Polynomials
#nowarn "9" // pointers into the library's own memory

[<Literal>]
let private Library = "libClp.so.1"

module private Native =

    [<DllImport(Library)>]
    extern nativeint Clp_newModel()

    [<DllImport(Library)>]
    extern void Clp_deleteModel(nativeint model)

    [<DllImport(Library)>]
    extern void Clp_setLogLevel(nativeint model, int level)

    [<DllImport(Library)>]
    extern void Clp_loadProblem(
        nativeint model,
        int columns,
        int rows,
        int[] starts,
        int[] indices,
        double[] values,
        double[] columnLower,
        double[] columnUpper,
        double[] costs,
        double[] rowLower,
        double[] rowUpper
    )

    [<DllImport(Library)>]
    extern void Clp_setMaximumSeconds(nativeint model, double seconds)

    [<DllImport(Library)>]
    extern int Clp_initialSolve(nativeint model)

    [<DllImport(Library)>]
    extern int Clp_status(nativeint model)

    [<DllImport(Library)>]
    extern double* Clp_primalColumnSolution(nativeint model)

let private load model (linear: LinearProgram) =
    let entries = Array.concat linear.Columns
    let count = linear.Columns.Length

    Native.Clp_loadProblem(
        model,
        count,
        linear.Right.Length,
        linear.Columns |> Array.scan (fun start column -> start + column.Length) 0,
        Array.map fst entries,
        Array.map snd entries,
        Array.zeroCreate count,
        Array.create count Double.MaxValue,
        linear.Costs,
        linear.Right,
        linear.Right
    )

/// What `Clp_status` says of a run that found an optimum, and of one that was stopped.
let private optimal, stopped = 0, 3

let private solveWith model (limit: TimeSpan option) (linear: LinearProgram) =
    Native.Clp_setLogLevel(model, 0)
    load model linear

    limit
    |> Option.iter (fun limit -> Native.Clp_setMaximumSeconds(model, limit.TotalSeconds))

    Native.Clp_initialSolve model |> ignore
    let solution = Native.Clp_primalColumnSolution model

    match Native.Clp_status model with
    | status when status = optimal || (status = stopped && limit.IsSome) ->
        Ok(Array.init linear.Columns.Length (NativePtr.get solution))
    | _ -> Error "Clp found no optimal solution of the linear program"

/// Solves a linear program; gives what it has after `limit`.
let solve (cancellation: CancellationToken) (limit: TimeSpan option) (linear: LinearProgram) : Result<float[], string> =
    cancellation.ThrowIfCancellationRequested()

    try
        let model = Native.Clp_newModel()

        try
            solveWith model limit linear
        finally
            Native.Clp_deleteModel model
    with
    | :? DllNotFoundException
    | :? EntryPointNotFoundException ->
        Error $"the solver of linear programs is missing ({Library}): install the Debian package coinor-libclp1"

/// True where the library is there.
let isInstalled () =
    match NativeLibrary.TryLoad Library with
    | true, handle ->
        NativeLibrary.Free handle
        true
    | _ -> false
