/// `lipverify compare`: every method beside the others and beside what is attained.
module LipVerify.Cli.CompareCommand

open System
open System.Diagnostics
open Argu
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Spectral
open LipVerify.Core.Networks
open LipVerify.Core.LowerBounds
open LipVerify.Formats

/// What a row may take where no time limit is given.
let private patience = TimeSpan.FromMinutes 1.0

/// A row that is still to be computed, from those of lower bounds before it.
[<NoComparison; NoEquality>]
type private Task =
    {
        Method: string
        Definition: Definition
        Norm: Norm
        Scope: string
        /// The bound, what was attained, and whether the method ended early because the rest of the time would not have sufficed.
        Run: Context -> ComparedRow list -> Result<struct (Bound * Bound option * bool), string>
    }

/// The best slopes that gradient ascent attains in the ball. What bounds the nominal constant from below bounds the uniform one too.
let private lowerTask (network: Network) (ball: RestrictedBall) (norm, definition) =
    let run context (lower: ComparedRow list) =
        let found =
            LowerBounds.gradientAscent context norm definition network ball (Effort.fitting network)

        let own: Bound =
            {
                Value = found.Value
                Rigor = found.Rigor
            }

        let best =
            lower
            |> List.filter (fun row -> row.Norm = norm)
            |> List.choose (_.Outcome >> Result.toOption)
            |> List.fold (fun (best: Bound) (next: Bound) -> if next.Value > best.Value then next else best) own

        Ok(struct (best, None, false))

    {
        Method = "gradient"
        Definition = definition
        Norm = norm
        Scope = "local"
        Run = run
    }

let private upperTask network input radius (method: ComparedMethod) =
    let run context _ =
        try
            method.Run context network input radius
            |> Result.map (fun found -> struct (found.Result.Bound, found.Lower |> Option.map _.Bound, found.IsCut))
        with
        | :? Spectral.NotCertifiableException as failure ->
            Error $"--rigor certified is out of reach: {failure.Message}"
        | :? OutOfMemoryException -> Error "the memory of this machine does not suffice"
        | :? ContradictionException as failure -> Error $"internal error, please report it: {failure.Message}"

    {
        Method = method.Name
        Definition = method.Definition
        Norm = method.Norm
        Scope = method.Scope
        Run = run
    }

/// The row of a task, which is the `number`th of `count`.
let private row (context: Context) limit count lower number (task: Task) : ComparedRow =
    let place =
        $"row {number} of {count}: {task.Method}, {BoundReport.definitionName task.Definition}, {Norm.label task.Norm}-norm"

    context.Report place
    let clock = Stopwatch.StartNew()
    let report (text: string) = context.Report $"{place}: {text}"

    let context = Context.within (Some limit) { context with Report = report }
    let outcome = task.Run context lower

    let isCut =
        match outcome with
        | Ok(struct (_, _, isCut)) -> isCut || Context.isOver context
        | Error _ -> Context.isOver context

    {
        Method = task.Method
        Definition = task.Definition
        Norm = task.Norm
        Scope = task.Scope
        Outcome = outcome |> Result.map (fun (struct (bound, _, _)) -> bound)
        LowerEnd = outcome |> Result.toOption |> Option.bind (fun (struct (_, lower, _)) -> lower)
        EndedByLimit = isCut
        Seconds = clock.Elapsed.TotalSeconds
        Ratio = None
    }

/// Computes row after row, and hands the report so far to `keep` after each.
let private compare (context: Context) model limit (network: Network) input (radius: Radius) keep : CompareReport =
    let ball = RestrictedBall.whole (Tensor.reshape network.InputShape input) radius

    let lower =
        List.allPairs Norm.all [ Nominal; Uniform ] |> List.map (lowerTask network ball)

    let upper = ComparedMethods.all |> List.map (upperTask network input radius)
    let limit = limit |> Option.defaultValue patience

    let add put (report: CompareReport) task =
        let finished = report.Lower.Length + report.Upper.Length

        let row =
            row context limit (lower.Length + upper.Length) report.Lower (finished + 1) task

        let report = CompareReport.withRatios (put report row)
        keep report
        report

    let addLower (report: CompareReport) row =
        { report with
            Lower = report.Lower @ [ row ]
        }

    let addUpper (report: CompareReport) row =
        { report with
            Upper = report.Upper @ [ row ]
        }

    let start =
        {
            Model = model
            Radius = radius.Value
            Lower = []
            Upper = []
            IsComplete = false
            Engine = Session.engineText context.Engine
        }

    let withLower = lower |> List.fold (add addLower) start
    let complete = upper |> List.fold (add addUpper) withLower
    { complete with IsComplete = true }

let private render (settings: Settings) report =
    if settings.Json then
        JsonText.document (fun writer -> CompareReport.write writer report)
    else
        CompareReport.text report

/// Delivers the report that `work` gives; where Ctrl-C ends that, the last one that it kept.
let private handingOut deliver (work: (CompareReport -> unit) -> CompareReport) =
    let kept = ref None

    let words () =
        match Option.map deliver kept.Value with
        | Some(Error failure) -> Progress.say (CommandError.text failure)
        | Some(Ok())
        | None -> ()

    Interruption.withLastWords words (fun () -> work (fun report -> kept.Value <- Some report))
    |> deliver

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

    Settings.radius (arguments.GetResult CompareArguments.Radius)
    |> Result.mapError Usage
    |> Result.bind (fun radius -> OutputFiles.check settings model files |> Result.map (fun () -> radius))
    |> Result.bind (fun radius ->
        Session.run settings (fun context ->
            Session.loadModel settings model
            |> Result.bind (fun loaded ->
                let context = Session.forNetwork settings loaded.Network context

                Session.loadNominal settings context loaded.Network
                |> Result.bind (fun input ->
                    let writeTo path render report =
                        path
                        |> Option.map (fun path -> OutputFiles.write path (render report))
                        |> Option.defaultValue (Ok())

                    let deliver report =
                        writeTo csv CompareReport.csv report
                        |> Result.bind (fun () -> writeTo plot CompareReport.plot report)
                        |> Result.bind (fun () -> render settings report |> Session.deliver settings loaded.Notices)

                    // Should a row not be written, the report at the end says so.
                    let keepInFile report =
                        csv
                        |> Option.filter (Files.isDevice >> not)
                        |> Option.iter (fun path -> OutputFiles.write path (CompareReport.csv report) |> ignore)

                    handingOut deliver (fun keep ->
                        compare context model settings.TimeLimit loaded.Network input radius (fun report ->
                            keep report
                            keepInFile report))))))
