/// Linear programs by COIN-OR Clp through its C interface, loaded when it is first asked for.
module LipVerify.Solvers.Clp

open System
open System.Runtime.InteropServices
open System.Threading
open Microsoft.FSharp.NativeInterop
open LipVerify.Core

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

let private solveWith model (linear: LinearProgram) =
    Native.Clp_setLogLevel(model, 0)
    load model linear
    Native.Clp_initialSolve model |> ignore
    let solution = Native.Clp_primalColumnSolution model

    if Native.Clp_status model <> 0 then
        Error "Clp found no optimal solution of the linear program"
    else
        Ok(Array.init linear.Columns.Length (NativePtr.get solution))

/// Solves a linear program.
let solve (cancellation: CancellationToken) (linear: LinearProgram) : Result<float[], string> =
    cancellation.ThrowIfCancellationRequested()

    try
        let model = Native.Clp_newModel()

        try
            solveWith model linear
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
