/// Short curves from the command line.
module LipVerify.Tests.CurveRuns

open System.IO
open NUnit.Framework
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
    Assert.That(outcome.ExitCode, Is.Zero, outcome.Error)
    outcome.Output

let fails (parts: string list) outcome =
    Assert.That(outcome.ExitCode, Is.EqualTo 2)
    Assert.That(outcome.Output, Is.Empty)
    Assert.That(lines outcome.Error, Has.Exactly(1).Items, outcome.Error)

    for part in parts do
        Assert.That(outcome.Error, Does.Contain part)

/// The rows of a CSV file without their times.
let rows path =
    File.ReadAllLines path
    |> List.ofArray
    |> List.map (fun line -> line.Substring(0, line.LastIndexOf ','))
