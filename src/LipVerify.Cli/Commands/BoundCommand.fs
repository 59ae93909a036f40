/// `lipverify bound`: one upper bound, layer by layer.
module LipVerify.Cli.BoundCommand

open System
open System.Diagnostics
open Argu
open LipVerify.Core
open LipVerify.Formats

/// Computes a bound and times it; the output at the nominal input comes with it.
let compute context model method definition enclosure (network: Network) input radius : BoundReport =
    let clock = Stopwatch.StartNew()

    let result =
        match method, input, radius with
        | "analytic", Some input, Some radius -> Analytic.boundWith context enclosure definition network input radius
        | _ -> Global.bound context network

    {
        Model = model
        Definition = definition
        Radius = radius |> Option.map _.Value
        Method = method
        Enclosure = enclosure
        Result = result
        Output = input |> Option.map (Network.evaluate context network >> Tensor.values)
        Engine = context.Engine.Name
        Elapsed = clock.Elapsed
    }

let private parseRadius (arguments: ParseResults<BoundArguments>) =
    match arguments.TryGetResult BoundArguments.Radius with
    | Some text -> Settings.radius text |> Result.map Some |> Result.mapError Usage
    | None -> Ok None

let private checkMethod (settings: Settings) (arguments: ParseResults<BoundArguments>) method radius =
    match method, radius with
    | "global", _ when settings.Enclosure.IsSome -> Error(Usage Settings.enclosureWithoutSlopes)
    | "analytic", _ when
        arguments.Contains BoundArguments.Certificate
        && settings.Enclosure |> Option.exists (fun kind -> kind <> Ball)
        ->
        Error(
            Usage
                "--certificate is there for --enclosure ball only: the checker replays the slopes of Algorithm 1 itself"
        )
    | "global", _ -> Ok()
    | "analytic", Some _ -> Ok()
    | "analytic", None -> Error(Usage "--radius is missing: the method analytic bounds a ball around the input")
    | _ -> Error(Usage $"--method must be analytic or global, not \"{method}\"")

/// The nominal input: needed for a local bound, evaluated beside a global one where it is given.
let private inputFor (settings: Settings) method network =
    if method = "global" && settings.Input.IsNone then
        Ok None
    else
        Session.loadInput settings network |> Result.map Some

/// Writes the certificate of a bound where one was asked for.
let private certify definition network (input: Tensor option) radius (report: BoundReport) path =
    let certificate =
        match report.Method, radius with
        | "analytic", Some radius -> Certificate.local definition radius report.Result
        | _ -> Certificate.``global`` report.Result

    CertificateFile.write network (input |> Option.defaultWith (fun () -> Tensor.vector [||])) certificate
    |> Result.mapError (fun problem -> Usage $"--certificate: {problem}")
    |> Result.bind (fun bytes -> Files.write path (ReadOnlyMemory bytes) |> Result.mapError File)

/// Runs the command.
let run (settings: Settings) (arguments: ParseResults<BoundArguments>) : Result<unit, CommandError> =
    let model = arguments.GetResult BoundArguments.Model
    let method = arguments.GetResult(BoundArguments.Method, "analytic")
    let enclosure = settings.Enclosure |> Option.defaultValue Ball

    parseRadius arguments
    |> Result.bind (fun radius -> checkMethod settings arguments method radius |> Result.map (fun () -> radius))
    |> Result.bind (fun radius ->
        Session.run settings (fun context ->
            Session.loadModel settings model
            |> Result.bind (fun network ->
                inputFor settings method network
                |> Result.bind (fun input ->
                    let report =
                        compute context model method settings.Definition enclosure network input radius

                    arguments.TryGetResult BoundArguments.Certificate
                    |> Option.map (certify settings.Definition network input radius report)
                    |> Option.defaultValue (Ok())
                    |> Result.bind (fun () ->
                        if settings.Json then
                            JsonText.document (fun writer -> BoundReport.write writer report)
                        else
                            BoundReport.text report
                        |> Session.deliver settings)))))
