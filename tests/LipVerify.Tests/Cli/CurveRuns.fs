/// Short curves from the command line.
module LipVerify.Tests.CurveRuns

open System.IO
open Expecto
open LipVerify.Tests.CliRun

/// The bundled network and its 8, with little effort.
let subject = [ "curve"; onnx; "--input"; eight; "--preprocess"; "mnist" ]

/// Little effort, for the lower bounds that a curve has.
let private effort (arguments: string list) =
    let methods =
        arguments
        |> List.pairwise
        |> List.tryPick (fun (option, value) -> if option = "--methods" then Some(value.Split ',') else None)

    [ "sampling", [ "--samples"; "40" ]; "gradient", [ "--starts"; "2" ] ]
    |> List.filter (fun (method, _) -> methods |> Option.forall (Array.contains method))
    |> List.collect snd

/// The command line of a curve of little effort.
let commandLine arguments = subject @ arguments @ effort arguments

let curve arguments = run (commandLine arguments)

let succeeds outcome =
    Expect.equal outcome.ExitCode 0 outcome.Error
    outcome.Output

let fails (parts: string list) outcome =
    Expect.equal outcome.ExitCode 2 "exit code"
    Expect.isEmpty outcome.Output "output"
    Expect.hasLength (lines outcome.Error) 1 outcome.Error

    for part in parts do
        Expect.stringContains outcome.Error part "error"

/// The rows of a CSV file without their times.
let rows path =
    File.ReadAllLines path
    |> List.ofArray
    |> List.map (fun line -> line.Substring(0, line.LastIndexOf ','))
