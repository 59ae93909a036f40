/// `lipverify bound --method fastlip`: elementwise Jacobian bounds, in the Euclidean or the maximum norm.
module LipVerify.Cli.FastLipCommand

open System.Diagnostics
open Argu
open LipVerify.Core

let private checkOptions (settings: Settings) (arguments: ParseResults<BoundArguments>) =
    if settings.Enclosure.IsSome then
        Error(Usage Settings.enclosureWithoutSlopes)
    elif settings.TimeLimit.IsSome then
        Error(Usage Settings.timeLimitWithoutSearch)
    elif arguments.Contains BoundArguments.Certificate then
        Error(Usage "--certificate is there for the methods analytic, local-lipsdp and global only, not for fastlip")
    elif arguments.Contains BoundArguments.Class then
        Error(Usage "--class is there for methods that bound one output; fastlip bounds all outputs together")
    else
        Ok()

let private compute context (settings: Settings) model (radius: Radius) network input =
    let clock = Stopwatch.StartNew()

    FastLip.bound context settings.Norm settings.Definition network input radius
    |> Result.mapError Usage
    |> Result.map (fun bound ->
        {
            Model = model
            Norm = settings.Norm
            Definition = settings.Definition
            Radius = Some radius.Value
            Method = "fastlip"
            Enclosure = Ball
            Result = { Bound = bound; Layers = [] }
            Explanation = None
            Output = Some(Network.evaluate context network input |> Tensor.values)
            Engine = context.Engine.Name
            Elapsed = clock.Elapsed
        })

/// Runs the command within a ball.
let run (settings: Settings) (arguments: ParseResults<BoundArguments>) radius : Result<unit, CommandError> =
    let model = arguments.GetResult BoundArguments.Model

    match radius with
    | None -> Error(Usage "--radius is missing: the method fastlip bounds a ball around the input")
    | Some radius ->
        checkOptions settings arguments
        |> Result.bind (fun () ->
            Session.run settings (fun context ->
                Session.loadModel settings model
                |> Result.bind (fun network ->
                    Session.loadInput settings network
                    |> Result.bind (compute context settings model radius network))
                |> Result.bind (fun report ->
                    if settings.Json then
                        JsonText.document (fun writer -> BoundReport.write writer report)
                    else
                        BoundReport.text report
                    |> Session.deliver settings)))
