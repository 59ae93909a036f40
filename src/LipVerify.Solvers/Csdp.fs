/// Semidefinite programs by COIN-OR CSDP, run as a process on files in a folder of its own.
module LipVerify.Solvers.Csdp

open System
open System.ComponentModel
open System.Diagnostics
open System.IO
open System.Threading
open LipVerify.Core.Bounds.Polynomials

[<Literal>]
let private Program = "csdp"

/// Below this side a second thread only waits.
let private sideForThreads = 200

let private start folder (program: SemidefiniteProgram) =
    let info =
        ProcessStartInfo(
            Program,
            [ "problem.dat-s"; "solution" ],
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true
        )

    if
        Array.max program.Sides < sideForThreads
        && program.Constraints.Length < 4 * sideForThreads
    then
        info.Environment["OMP_NUM_THREADS"] <- "1"
        info.Environment["OPENBLAS_NUM_THREADS"] <- "1"

    Process.Start info |> Option.ofObj

let private stop (running: Process) =
    try
        running.Kill()
    with
    | :? InvalidOperationException
    | :? Win32Exception -> () // it has ended by itself

/// Waits for the process, whose output nobody needs, and ends it on cancellation and with this process.
let private finish (cancellation: CancellationToken) (running: Process) =
    let atExit = EventHandler(fun _ _ -> stop running)
    AppDomain.CurrentDomain.ProcessExit.AddHandler atExit

    use _ =
        { new IDisposable with
            member _.Dispose() =
                AppDomain.CurrentDomain.ProcessExit.RemoveHandler atExit
        }

    use _ = cancellation.Register(fun () -> stop running)

    running.OutputDataReceived.Add ignore
    running.ErrorDataReceived.Add ignore
    running.BeginOutputReadLine()
    running.BeginErrorReadLine()
    running.WaitForExit()
    cancellation.ThrowIfCancellationRequested()
    running.ExitCode

let private solveIn folder cancellation (program: SemidefiniteProgram) =
    let solution = Path.Combine(folder, "solution")

    using (new StreamWriter(Path.Combine(folder, "problem.dat-s"))) (fun writer -> SdpaFile.write writer program)

    match start folder program with
    | None -> Error "CSDP could not be started"
    | Some running ->
        use running = running
        let code = finish cancellation running

        // Multipliers of an unfinished run prove a bound as well: what they are worth is computed from them.
        if File.Exists solution then
            use reader = new StreamReader(solution)
            SdpaFile.readMultipliers reader program.Constraints.Length
        else
            Error $"CSDP found no solution of the semidefinite program (exit code {code})"

/// Solves a semidefinite program.
let solve (cancellation: CancellationToken) (program: SemidefiniteProgram) : Result<float[], string> =
    cancellation.ThrowIfCancellationRequested()
    let folder = Directory.CreateTempSubdirectory "lipverify-csdp-"

    try
        try
            solveIn folder.FullName cancellation program
        with
        | :? Win32Exception ->
            Error $"the solver of semidefinite programs is missing ({Program}): install the Debian package coinor-csdp"
        | :? IOException as failure -> Error $"the semidefinite program could not be handed to CSDP: {failure.Message}"
    finally
        folder.Delete true

/// True where the program is on the path.
let isInstalled () =
    (Environment.GetEnvironmentVariable "PATH"
     |> Option.ofObj
     |> Option.defaultValue "")
        .Split(Path.PathSeparator)
    |> Array.exists (fun folder -> File.Exists(Path.Combine(folder, Program)))
