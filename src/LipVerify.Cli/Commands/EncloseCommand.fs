/// `lipverify enclose`: how far the values inside a network can move, layer by layer.
module LipVerify.Cli.EncloseCommand

open System.Diagnostics
open Argu
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Enclosures
open LipVerify.Core.Bounds.Analytic

/// Why the enclosures are not what they could be.
let private explain context (result: NetworkEnclosure) =
    match result.Explanation with
    | how when not (Context.isOver context) -> how
    | Some how -> Some $"{how}; the time limit ended it"
    | None -> Some "the time limit ended it: what was left is enclosed coarsely"

let private enclose context model kind network input (radius: Radius) : EncloseReport =
    let clock = Stopwatch.StartNew()
    let result = Enclosures.ofNetwork context kind network input radius

    {
        Model = model
        Radius = radius.Value
        Network = network
        Result = result
        Explanation = explain context result
        Engine = Session.engineText context.Engine
        Elapsed = clock.Elapsed
    }

/// Runs the command.
let run (settings: Settings) (arguments: ParseResults<EncloseArguments>) : Result<unit, CommandError> =
    let model = arguments.GetResult EncloseArguments.Model
    let kind = settings.Enclosure |> Option.defaultValue Crown

    Settings.radius (arguments.GetResult EncloseArguments.Radius)
    |> Result.mapError Usage
    |> Result.bind (fun radius -> OutputFiles.check settings model [] |> Result.map (fun () -> radius))
    |> Result.bind (fun radius ->
        Session.run settings (fun context ->
            let context = Context.within settings.TimeLimit context

            Session.loadModel settings model
            |> Result.bind (fun loaded ->
                let context = Session.forNetwork settings loaded.Network context

                Session.loadNominal settings context loaded.Network
                |> Result.bind (fun input ->
                    let report = enclose context model kind loaded.Network input radius

                    EncloseReport.requireFinite report
                    |> Result.mapError Usage
                    |> Result.bind (fun () ->
                        if settings.Json then
                            JsonText.document (fun writer -> EncloseReport.write writer report)
                        else
                            EncloseReport.text report
                        |> Session.deliver settings loaded.Notices)))))
