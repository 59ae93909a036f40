/// `lipverify bound --method seqlip|seqlip-exact|seqlip-greedy`: SeqLip, for all pairs of inputs.
module LipVerify.Cli.SeqLipCommand

open System.Diagnostics
open Argu
open LipVerify.Core

/// The methods by name.
let private methods =
    [ "seqlip", Relaxed; "seqlip-exact", Enumerated; "seqlip-greedy", Greedy ]

/// The maximum that a method takes.
let tryFind name =
    methods |> List.tryFind (fun (known, _) -> known = name) |> Option.map snd

let private checkOptions (settings: Settings) (arguments: ParseResults<BoundArguments>) method maximum =
    if settings.Enclosure.IsSome then
        Error(Usage Settings.enclosureWithoutSlopes)
    elif settings.TimeLimit.IsSome && maximum <> Relaxed then
        Error(Usage Settings.timeLimitWithoutSearch)
    elif arguments.Contains BoundArguments.Certificate then
        Error(Usage $"--certificate is there for the methods analytic, local-lipsdp and global only, not for {method}")
    elif arguments.Contains BoundArguments.Class then
        Error(Usage $"--class is there for methods that bound one output; {method} bounds all outputs together")
    elif settings.Certification.Deterministic && maximum = Greedy then
        Error(Usage "--rigor certified is out of reach: seqlip-greedy is an estimate; seqlip is an upper bound")
    else
        Settings.requireEuclidean settings.Norm |> Result.mapError Usage

let private compute context (settings: Settings) model method maximum network input =
    let clock = Stopwatch.StartNew()

    SeqLip.bound context maximum network settings.TimeLimit
    |> Result.mapError Usage
    |> Result.map (fun found ->
        {
            Model = model
            Norm = Euclidean
            // A global bound holds for every pair of inputs.
            Definition = Uniform
            Radius = None
            Method = method
            Enclosure = Ball
            Result = { Bound = found.Bound; Layers = [] }
            Explanation = Some found.Explanation
            Output = input |> Option.map (Network.evaluate context network >> Tensor.values)
            Engine = context.Engine.Name
            Elapsed = clock.Elapsed
        })

let private loadInput (settings: Settings) network =
    if settings.Input.IsNone then
        Ok None
    else
        Session.loadInput settings network |> Result.map Some

/// Runs the command; neither a radius nor an input is needed.
let run (settings: Settings) (arguments: ParseResults<BoundArguments>) method maximum : Result<unit, CommandError> =
    let model = arguments.GetResult BoundArguments.Model

    checkOptions settings arguments method maximum
    |> Result.bind (fun () ->
        Session.run settings (fun context ->
            Session.loadModel settings model
            |> Result.bind (fun network ->
                loadInput settings network
                |> Result.bind (compute context settings model method maximum network))
            |> Result.bind (fun report ->
                if settings.Json then
                    JsonText.document (fun writer -> BoundReport.write writer report)
                else
                    BoundReport.text report
                |> Session.deliver settings)))
