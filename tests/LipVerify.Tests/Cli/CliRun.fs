/// Runs the command line in this process and as a process of its own.
module LipVerify.Tests.CliRun

open System
open System.Diagnostics
open System.IO

/// How a command line ended.
type Outcome =
    {
        ExitCode: int
        Output: string
        Error: string
    }

/// `samples/mnist`, found above the tests.
let samples =
    let rec above (folder: DirectoryInfo | null) =
        match folder with
        | null -> failwith "samples/mnist lies in no folder above the tests"
        | folder ->
            let candidate = Path.Combine(folder.FullName, "samples", "mnist")

            if Directory.Exists candidate then
                candidate
            else
                above folder.Parent

    above (DirectoryInfo AppContext.BaseDirectory)

let onnx = Path.Combine(samples, "mnist-net.onnx")
let safetensors = Path.Combine(samples, "mnist-net.safetensors")
let eight = Path.Combine(samples, "digits", "8.png")

/// The engine that `./test --engine` asks for.
let private engine =
    match Environment.GetEnvironmentVariable "LIPVERIFY_TEST_ENGINE" with
    | null
    | "" -> []
    | name -> [ "--engine"; name ]

/// The bound of the sample network at a digit.
let bound arguments =
    [ "bound"; onnx; "--input"; eight; "--preprocess"; "mnist" ]
    @ engine
    @ arguments

/// Runs the command line in this process: the same code without the half second that a process takes to start.
let run (arguments: string list) =
    let output, error = Console.Out, Console.Error
    use newOutput = new StringWriter()
    use newError = new StringWriter()

    try
        Console.SetOut newOutput
        Console.SetError newError
        let exitCode = LipVerify.Cli.Program.main (Array.ofList arguments)

        {
            ExitCode = exitCode
            Output = newOutput.ToString()
            Error = newError.ToString()
        }
    finally
        Console.SetOut output
        Console.SetError error

/// The lines of a text that ends with a line break.
let lines (text: string) =
    text.Split('\n', StringSplitOptions.RemoveEmptyEntries) |> List.ofArray

/// A shell in which `lipverify` runs the built program, whose path is in `$LIPVERIFY`.
let private shellStart (script: string) =
    let prelude = "lipverify() { dotnet \"$LIPVERIFY\" \"$@\"; }\n"
    let start = ProcessStartInfo("/bin/sh", [ "-c"; prelude + script ])
    start.RedirectStandardOutput <- true
    start.RedirectStandardError <- true
    start.Environment["LIPVERIFY"] <- Path.Combine(AppContext.BaseDirectory, "lipverify.dll")
    start

/// Runs a shell script that calls `lipverify`.
let shell (script: string) =
    use running =
        Process.Start(shellStart script)
        |> Option.ofObj
        |> Option.defaultWith (fun () -> failwith "sh does not start")

    let error = running.StandardError.ReadToEndAsync()
    let output = running.StandardOutput.ReadToEnd()
    running.WaitForExit()

    {
        ExitCode = running.ExitCode
        Output = output
        Error = error.Result
    }

/// Runs `work` with a temporary folder that is deleted afterwards.
let inFolder (work: string -> unit) =
    let folder = Directory.CreateTempSubdirectory "lipverify-tests-"

    try
        work folder.FullName
    finally
        folder.Delete true
