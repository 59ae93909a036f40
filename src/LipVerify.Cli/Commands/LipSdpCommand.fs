/// `lipverify bound --method lipsdp-neuron` and `lipsdp-layer`: multipliers for all pairs of inputs.
module LipVerify.Cli.LipSdpCommand

open System.Diagnostics
open Argu
open LipVerify.Core

/// The methods by their names on the command line.
let names = [ "lipsdp-neuron", PerNeuron; "lipsdp-layer", PerLayer ]

/// The mode of a method.
let tryFind method =
    names |> List.tryFind (fst >> (=) method) |> Option.map snd

let private checkOptions (settings: Settings) (arguments: ParseResults<BoundArguments>) method =
    if settings.Enclosure.IsSome then
        Error(Usage Settings.enclosureWithoutSlopes)
    elif arguments.Contains BoundArguments.Radius then
        Error(
            Usage
                $"--radius: the method {method} bounds all pairs of inputs; leave it out, or take --method local-lipsdp"
        )
    elif arguments.Contains BoundArguments.Certificate then
        Error(Usage $"--certificate is there for the methods analytic, local-lipsdp and global only, not for {method}")
    elif arguments.Contains BoundArguments.Class then
        Error(Usage $"--class is there for methods that bound one output; {method} bounds all outputs together")
    else
        Settings.requireEuclidean settings.Norm |> Result.mapError Usage

/// Not needed for the bound; its output stands beside it where it is given.
let private inputFor (settings: Settings) network =
    if settings.Input.IsNone then
        Ok None
    else
        Session.loadInput settings network |> Result.map Some

let private compute context (settings: Settings) model method mode network input : BoundReport =
    let clock = Stopwatch.StartNew()
    let found = LipSdp.bound context mode network settings.TimeLimit

    {
        Model = model
        Norm = Euclidean
        Definition = Uniform
        Radius = None
        Method = method
        Enclosure = Ball
        Result = found.Result
        Explanation = Some found.Explanation
        Output = input |> Option.map (Network.evaluate context network >> Tensor.values)
        Engine = context.Engine.Name
        Elapsed = clock.Elapsed
    }

/// Runs the command.
let run (settings: Settings) (arguments: ParseResults<BoundArguments>) method mode : Result<unit, CommandError> =
    let model = arguments.GetResult BoundArguments.Model

    checkOptions settings arguments method
    |> Result.bind (fun () ->
        Session.run settings (fun context ->
            Session.loadModel settings model
            |> Result.bind (fun network ->
                inputFor settings network
                |> Result.bind (fun input ->
                    let report = compute context settings model method mode network input

                    if settings.Json then
                        JsonText.document (fun writer -> BoundReport.write writer report)
                    else
                        BoundReport.text report
                    |> Session.deliver settings))))
