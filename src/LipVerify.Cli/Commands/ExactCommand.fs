/// `lipverify bound --method exact`: branch and bound, with both ends and the gap between them.
module LipVerify.Cli.ExactCommand

open System
open System.Diagnostics
open Argu
open LipVerify.Core

/// The gap at which the search ends, relative to the lower end.
let private goal = 1e-3

/// Where no time limit is given.
let private patience = TimeSpan.FromMinutes 5.0

let private checkOptions (settings: Settings) (arguments: ParseResults<BoundArguments>) =
    if settings.Enclosure.IsSome then
        Error(Usage Settings.enclosureWithoutSlopes)
    elif arguments.Contains BoundArguments.Certificate then
        Error(Usage "--certificate is there for the methods analytic and global only, not for exact")
    elif arguments.Contains BoundArguments.Class then
        Error(Usage "--class is there for methods that bound one output; exact bounds all outputs together")
    elif settings.Certification.Deterministic then
        Error(Usage "--rigor certified is out of reach: bounds of the method exact are numerical")
    else
        Settings.requireEuclidean settings.Norm |> Result.mapError Usage

let private compute context (settings: Settings) model (radius: Radius) network input =
    let clock = Stopwatch.StartNew()
    let limit = settings.TimeLimit |> Option.defaultValue patience

    {
        Model = model
        Definition = settings.Definition
        Radius = radius.Value
        Found = ExactSearch.bound context settings.Definition network input radius goal (Some limit)
        Output = Network.evaluate context network input |> Tensor.values
        Engine = context.Engine.Name
        Elapsed = clock.Elapsed
    }

/// Runs the command within a ball.
let run (settings: Settings) (arguments: ParseResults<BoundArguments>) radius : Result<unit, CommandError> =
    let model = arguments.GetResult BoundArguments.Model

    match radius with
    | None -> Error(Usage "--radius is missing: the method exact bounds a ball around the input")
    | Some radius ->
        checkOptions settings arguments
        |> Result.bind (fun () ->
            Session.run settings (fun context ->
                Session.loadModel settings model
                |> Result.bind (fun network ->
                    Session.loadInput settings network
                    |> Result.bind (fun input ->
                        let report = compute context settings model radius network input

                        if settings.Json then
                            JsonText.document (fun writer -> ExactReport.write writer report)
                        else
                            ExactReport.text report
                        |> Session.deliver settings))))
