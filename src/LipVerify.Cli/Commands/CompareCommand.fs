/// `lipverify compare`: every method beside the others and beside what is attained.
module LipVerify.Cli.CompareCommand

open System
open System.Diagnostics
open Argu
open LipVerify.Core

let private timed work =
    let clock = Stopwatch.StartNew()
    let result = work ()
    result, clock.Elapsed.TotalSeconds

let private lowerRow norm definition ((lower: LowerBound), seconds) =
    {
        Method = "gradient"
        Definition = definition
        Norm = norm
        Scope = "local"
        Outcome =
            Ok
                {
                    Value = lower.Value
                    Rigor = lower.Rigor
                }
        Seconds = seconds
        Ratio = None
    }

/// The best slopes that gradient ascent attains in the ball. What bounds the nominal constant from below bounds the uniform one too.
let private lowerRows (context: Context) network (ball: RestrictedBall) norm =
    let ascend definition =
        context.Report $"lower bound, {BoundReport.definitionName definition}, {Norm.label norm}-norm"
        timed (fun () -> LowerBounds.gradientAscent context norm definition network ball (Effort.fitting network))

    let nominal, nominalSeconds = ascend Nominal
    let uniform, uniformSeconds = ascend Uniform

    [
        lowerRow norm Nominal (nominal, nominalSeconds)
        lowerRow norm Uniform (LowerBound.max nominal uniform, uniformSeconds)
    ]

let private upperRow (context: Context) network input radius (lower: ComparedRow list) (method: ComparedMethod) =
    context.Report $"{method.Name}, {BoundReport.definitionName method.Definition}"

    let outcome, seconds =
        timed (fun () ->
            try
                method.Run context network input radius
            with
            | :? Spectral.NotCertifiableException as failure ->
                Error $"--rigor certified is out of reach: {failure.Message}"
            | :? OutOfMemoryException -> Error "the memory of this machine does not suffice")

    let attained =
        lower
        |> List.filter (fun row -> row.Definition = method.Definition && row.Norm = method.Norm)
        |> List.choose (fun row -> row.Outcome |> Result.map _.Value |> Result.toOption)
        |> List.tryHead

    {
        Method = method.Name
        Definition = method.Definition
        Norm = method.Norm
        Scope = method.Scope
        Outcome = outcome
        Seconds = seconds
        Ratio =
            match outcome, attained with
            | Ok bound, Some attained when attained > 0.0 && Double.IsFinite bound.Value -> Some(bound.Value / attained)
            | _ -> None
    }

let private compare (context: Context) model limit (network: Network) input (radius: Radius) : CompareReport =
    let ball = RestrictedBall.whole (Tensor.reshape network.InputShape input) radius

    let lower = Norm.all |> List.collect (lowerRows context network ball)

    {
        Model = model
        Radius = radius.Value
        Lower = lower
        Upper =
            ComparedMethods.all limit
            |> List.map (upperRow context network input radius lower)
        Engine = context.Engine.Name
    }

let private render (settings: Settings) report =
    if settings.Json then
        JsonText.document (fun writer -> CompareReport.write writer report)
    else
        CompareReport.text report

/// Runs the command.
let run (settings: Settings) (arguments: ParseResults<CompareArguments>) : Result<unit, CommandError> =
    let model = arguments.GetResult CompareArguments.Model
    let csv = arguments.TryGetResult CompareArguments.Csv
    let plot = arguments.TryGetResult CompareArguments.Plot

    let files: OutputFiles.OutputFile list =
        [ "--csv", csv; "--plot", plot ]
        |> List.choose (fun (option, path) ->
            path
            |> Option.map (fun path ->
                {
                    OutputFiles.Option = option
                    OutputFiles.Path = path
                }))

    let radius =
        if settings.Enclosure.IsSome then
            Error(Usage "--enclosure: compare runs analytic with the enclosures ball and crown side by side")
        elif settings.Norm <> Euclidean then
            Error(Usage "--norm: compare lists the norms side by side")
        else
            Settings.radius (arguments.GetResult CompareArguments.Radius)
            |> Result.mapError Usage

    radius
    |> Result.bind (fun radius -> OutputFiles.check settings model files |> Result.map (fun () -> radius))
    |> Result.bind (fun radius ->
        Session.run settings (fun context ->
            Session.loadModel settings model
            |> Result.bind (fun loaded ->
                Session.loadNominal settings context loaded.Network
                |> Result.bind (fun input ->
                    let report = compare context model settings.TimeLimit loaded.Network input radius

                    let writeTo path render =
                        path
                        |> Option.map (fun path -> OutputFiles.write path (render report))
                        |> Option.defaultValue (Ok())

                    writeTo csv CompareReport.csv
                    |> Result.bind (fun () -> writeTo plot CompareReport.plot)
                    |> Result.bind (fun () -> render settings report |> Session.deliver settings loaded.Notices)))))
