/// `lipverify curve`: upper and lower bounds against the radius, as a table, a plot and a web page.
module LipVerify.Cli.CurveCommand

open System
open Argu
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Enclosures
open LipVerify.Core.Methods
open LipVerify.Formats

/// The files that a curve is written to.
type Destinations =
    {
        Csv: string option
        Plot: string option
        Html: string option
        Restart: bool
    }

/// The network and the input by name, and what is to be computed.
[<NoComparison; NoEquality>]
type Request =
    {
        Settings: Settings
        Model: string
        Input: string
        Title: string option
        Plan: CurvePlan
        Destinations: Destinations
    }

/// An unfinished curve is no loss where its rows are in a file.
let private tellProgress csv (file: CurveFile.Growing) (plan: CurvePlan) added =
    Progress.say
        $"{file.Rows.Length + added} of {plan.Points.Length} points are in {csv}; the same command goes on from there"

let private runInto csv (file: CurveFile.Growing) plan subject =
    let mutable added = 0

    try
        CurvePoints.run plan subject file.Rows (fun row ->
            file.Add row
            added <- added + 1)
    with
    | :? OperationCanceledException ->
        tellProgress csv file plan added
        reraise ()
    | :? IO.IOException as failure -> Error(CommandError.File(LoadError.file csv failure.Message))

let private compute (request: Request) (subject: CurvePoints.Subject) =
    let plan = request.Plan

    match request.Destinations.Csv with
    | None -> CurvePoints.run plan subject [] ignore
    | Some csv ->
        CurveState.identity request.Settings plan subject.Network subject.Input
        |> CurveFile.openFor csv request.Destinations.Restart plan
        |> Result.bind (fun file ->
            use file = file
            runInto csv file plan subject)

let private writeTo path (document: unit -> string) =
    match path with
    | Some path -> OutputFiles.write path (document ())
    | None -> Ok()

/// Computes the points that are not there yet, and writes the files.
let produce
    (request: Request)
    (context: Context)
    (network: Network)
    (input: Tensor)
    : Result<CurveReport, CommandError> =
    let destinations = request.Destinations

    compute
        request
        {
            Context = context
            Definition = request.Settings.Definition
            Enclosure = request.Settings.Enclosure |> Option.defaultValue Ball
            TimeLimit = request.Settings.TimeLimit
            Network = network
            Input = input
        }
    |> Result.bind (fun rows ->
        let report =
            {
                Model = request.Model
                Input = request.Input
                Title = request.Title
                Definition = request.Settings.Definition
                Enclosure = request.Settings.Enclosure |> Option.defaultValue Ball
                FailureProbability = request.Settings.Certification.FailureProbability
                Plan = request.Plan
                Rows = rows
                Files =
                    [
                        "csv", destinations.Csv
                        "plot", destinations.Plot
                        "html", destinations.Html
                    ]
                    |> List.choose (fun (kind, path) -> path |> Option.map (fun path -> kind, path))
            }

        writeTo destinations.Plot (fun () -> CurvePlot.file (CurveReport.picture report))
        |> Result.bind (fun () -> writeTo destinations.Html (fun () -> CurvePage.file (CurveReport.page report)))
        |> Result.map (fun () -> report))

let private positive option (text: string option) =
    match text with
    | None -> Ok None
    | Some text ->
        match Int32.TryParse(text, Globalization.NumberStyles.None, Globalization.CultureInfo.InvariantCulture) with
        | true, number when number >= 1 -> Ok(Some number)
        | _ -> Error(Usage $"{option} must be an integer of at least 1, not \"{text}\"")

let private planOf (arguments: ParseResults<CurveArguments>) =
    let methods =
        match arguments.TryGetResult CurveArguments.Methods with
        | Some text -> CurvePlan.methods text |> Result.mapError Usage
        | None -> Ok CurveMethod.usual

    CurvePlan.radii (arguments.GetResult CurveArguments.Radii)
    |> Result.mapError Usage
    |> Result.bind (fun (radii, logarithmic) ->
        methods
        |> Result.bind (fun methods ->
            positive "--samples" (arguments.TryGetResult CurveArguments.Samples)
            |> Result.bind (fun samples ->
                positive "--starts" (arguments.TryGetResult CurveArguments.Starts)
                |> Result.map (fun starts ->
                    {
                        Radii = radii
                        LogRadii = logarithmic
                        Methods = methods
                        Samples = Option.defaultValue 1000 samples
                        Starts = starts
                    }))))

/// Refuses options that none of the methods, or no file, has a use for.
let private checkUse (settings: Settings) (arguments: ParseResults<CurveArguments>) (plan: CurvePlan) =
    let some property = List.exists property plan.Methods
    let isGiven (option: string) = Settings.isGiven option settings

    let isDrawn =
        arguments.Contains CurveArguments.Plot || arguments.Contains CurveArguments.Html

    let provesNorms = some (CurveMethod.has _.ProvesNorms)

    let anyTime =
        BoundMethods.all
        |> List.filter _.IsAnyTime
        |> List.map _.Name
        |> CommandOptions.enumerate

    let uses =
        [
            "--enclosure", some CurveMethod.takesEnclosure, "--methods analytic"
            "--time-limit", some (CurveMethod.has _.IsAnyTime), $"a method that ends with the best it has: {anyTime}"
            "--failure-probability", provesNorms, "an upper bound"
            "--tolerance", provesNorms, "an upper bound"
            "--samples", some ((=) RandomSampling), "--methods sampling"
            "--starts", some ((=) GradientAscent), "--methods gradient"
            "--title", isDrawn, "--plot or --html"
            "--restart", arguments.Contains CurveArguments.Csv, "--csv"
        ]

    let uncertified =
        plan.Methods
        |> List.choose CurveMethod.registered
        |> List.tryPick (fun (method, _) -> method.Uncertified |> Option.map (fun reason -> method.Name, reason))

    match uses |> List.tryFind (fun (option, used, _) -> isGiven option && not used), uncertified with
    | Some(option, _, needed), _ -> Error(Usage $"{option} has no use without {needed}; leave it out")
    | None, Some(name, reason) when settings.Certification.Deterministic ->
        Error(Usage $"--rigor certified is out of reach of --methods {name}: {reason}")
    | None, _ when List.forall CurveMethod.isConstant plan.Methods ->
        let names = plan.Methods |> List.map CurveMethod.name |> CommandOptions.enumerate
        Settings.refuseNominal $"the method {names}" settings |> Result.mapError Usage
    | None, _ -> Ok()

let private requestOf settings (arguments: ParseResults<CurveArguments>) =
    planOf arguments
    |> Result.bind (fun plan -> checkUse settings arguments plan |> Result.map (fun () -> plan))
    |> Result.map (fun plan ->
        {
            Settings = settings
            Model = arguments.GetResult CurveArguments.Model
            Input = Option.defaultValue "" settings.Input
            Title = arguments.TryGetResult CurveArguments.Title
            Plan = plan
            Destinations =
                {
                    Csv = arguments.TryGetResult CurveArguments.Csv
                    Plot = arguments.TryGetResult CurveArguments.Plot
                    Html = arguments.TryGetResult CurveArguments.Html
                    Restart = arguments.Contains CurveArguments.Restart
                }
        })

/// The files of a request, with that beside the CSV file.
let private filesOf (destinations: Destinations) : OutputFiles.OutputFile list =
    [
        "--csv", destinations.Csv
        "--csv (its state)", destinations.Csv |> Option.map CurveState.path
        "--plot", destinations.Plot
        "--html", destinations.Html
    ]
    |> List.choose (fun (option, path) -> path |> Option.map (fun path -> { Option = option; Path = path }))

/// Runs the command.
let run (settings: Settings) (arguments: ParseResults<CurveArguments>) : Result<unit, CommandError> =
    requestOf settings arguments
    |> Result.bind (fun request ->
        OutputFiles.check settings request.Model (filesOf request.Destinations)
        |> Result.map (fun () -> request))
    |> Result.bind (fun request ->
        Session.run settings (fun context ->
            Session.loadModel settings request.Model
            |> Result.bind (fun loaded ->
                let context = Session.forNetwork settings loaded.Network context

                Session.loadNominal settings context loaded.Network
                |> Result.bind (fun input ->
                    produce request context loaded.Network input
                    |> Result.bind (fun report ->
                        if settings.Json then
                            JsonText.document (fun writer -> CurveReport.write writer report)
                        else
                            CurveReport.text report
                        |> Session.deliver settings loaded.Notices)))))
