/// `lipverify certify`: the largest radius within which the class of an input surely holds, for one input or several.
module LipVerify.Cli.CertifyCommand

open System
open System.Diagnostics
open Argu
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Spectral
open LipVerify.Core.Networks
open LipVerify.Core.Attacks
open LipVerify.Core.Enclosures
open LipVerify.Core.Bounds.Analytic
open LipVerify.Core.Radii
open LipVerify.Formats

/// What the certified radii of one network share.
[<NoComparison; NoEquality>]
type Job =
    {
        Model: string
        Method: string
        Settings: Settings
        /// Whether to attack the inputs too, and the range of their pixels.
        Attacks: bool
        Clip: (float * float) option
        Context: Context
        Network: Network
        /// What was noticed while the model was loaded.
        Notices: string list
        /// The constant over all inputs, and whether the time limit ended it. Computed once, where it is needed at all.
        Global: Lazy<struct (Bound * bool)>
    }

/// Options of proofs by random vectors, which bounds on margins alone do not need.
let private proofs = [ "--failure-probability"; "--tolerance" ]

/// Refuses options that a method has no use for.
let private checkUse (settings: Settings) isAttacked method =
    match method with
    | "global" -> Settings.refuseNominal "the method global" settings
    | "crown" ->
        let draws = if isAttacked then proofs else proofs @ [ "--seed" ]

        Settings.refuse
            (fun option ->
                $"--method crown has no use for {option}: it bounds margins against the input and draws nothing")
            ("--definition" :: draws)
            settings
    | "structured" when settings.Certification.Deterministic ->
        Error "--rigor certified is out of reach: the structured bound rests on random draws"
    | "local-lipsdp" ->
        Settings.refuse
            (fun option -> $"--method local-lipsdp has no use for {option}: it bounds margins against the input")
            [ "--definition" ]
            settings
    | _ -> Ok()
    |> Result.mapError Usage

/// A global bound is one on the uniform constant.
let private definitionOf method (settings: Settings) =
    if method = "global" then Uniform else settings.Definition

let private enclosureOf (settings: Settings) =
    settings.Enclosure |> Option.defaultValue Ball

/// What a search for multipliers, weights or linear functions may take where no time limit is given. Its last trials are the longest and raise the radius
/// least.
let private patience = TimeSpan.FromMinutes 2.0

/// What the radius of one input, or the constant that serves all of them, may take.
let private limitOf (settings: Settings) method =
    match method with
    | "crown"
    | "local-lipsdp"
    | "structured" -> settings.TimeLimit |> Option.orElse (Some patience)
    | _ when settings.Enclosure = Some Probes -> settings.TimeLimit |> Option.orElse (Some patience)
    | _ -> settings.TimeLimit

/// A job for a network; nothing is computed yet.
let job (settings: Settings) (context: Context) model method network =
    let overAllInputs () =
        let context = Context.within (limitOf settings method) context
        let bound = (Global.bound context network).Bound
        struct (bound, Context.isOver context)

    {
        Model = model
        Method = method
        Settings = settings
        Attacks = false
        Clip = None
        Context = context
        Network = network
        Notices = []
        Global = lazy (overAllInputs ())
    }

let private attack (job: Job) (input: Tensor) =
    AttackCommand.boxOf job.Settings input job.Clip
    |> Result.mapError CommandError.text
    |> Result.map (fun box ->
        let effort = AttackEffort.fitting job.Network

        Attack.all
        |> List.map (AttackCommand.attempt job.Context job.Network input box effort))

/// The radius, whether the time limit ended the search for it, and where enclosures are not those that were asked for.
let private radiusOf (job: Job) (input: Tensor) =
    let context = Context.within (limitOf job.Settings job.Method) job.Context

    let explained radius =
        radius
        |> Result.map (fun (struct (radius, explanation)) -> struct (radius, Context.isOver context, explanation))

    let ended radius =
        radius |> Result.map (fun radius -> struct (radius, None)) |> explained

    match job.Method with
    | "global" ->
        let struct (bound, isOver) = job.Global.Force()

        CertifiedRadius.ofConstant (EnclosedTensor.evaluate job.Context job.Network input) bound
        |> Result.map (fun radius -> struct (radius, isOver, None))
    | "structured" ->
        StructuredRadius.certify context job.Settings.Definition job.Network input
        |> Result.map (fun (struct (radius, isOver)) -> struct (radius, isOver, None))
    | "crown" -> MarginRadius.crown context job.Network input |> ended
    | "local-lipsdp" -> LocalLipSdpRadius.certify context job.Network input None |> ended
    | _ ->
        CertifiedRadius.analyticExplained context (enclosureOf job.Settings) job.Settings.Definition job.Network input
        |> explained

/// A constant that no double bounds shows nothing.
let private requireFinite (struct (result: CertifiedRadius, _, _) as found) =
    match result.Lipschitz with
    | Some bound when not (Double.IsFinite bound.Value) ->
        Error "the bound on the Lipschitz constant is beyond the range of double precision"
    | _ -> Ok found

/// No input of another class is nearer than the certified radius.
let private requireConsistent (report: CertifyReport) =
    match CertifyReport.nearest report with
    | Some example when example.Rigor = Certified ->
        Ends.below
            "the distance of an attack and the certified radius"
            (Bound.certified example.Distance)
            {
                Value = report.Result.Radius
                Rigor = report.Result.Rigor
            }
        |> ignore
    | _ -> ()

    report

/// The certified radius of one input, or why there is none.
let certify (job: Job) name (input: Tensor) : Result<CertifyReport, string> =
    let clock = Stopwatch.StartNew()

    let result =
        match Session.overflow job.Context job.Network input with
        | Some problem -> Error problem
        | None -> radiusOf job input |> Result.bind requireFinite

    let attacks =
        if job.Attacks then
            attack job input |> Result.map Some
        else
            Ok None

    result
    |> Result.bind (fun found -> attacks |> Result.map (fun attacks -> found, attacks))
    |> Result.map (fun (struct (result, isOver, explanation), attacks) ->
        {
            Model = job.Model
            Input = name
            Definition = definitionOf job.Method job.Settings
            Method = job.Method
            Enclosure = enclosureOf job.Settings
            Result = result
            Explanation = explanation
            EndedByLimit = isOver
            Attacks = attacks
            Engine = job.Context.Engine.Name
            Elapsed = clock.Elapsed
        }
        |> requireConsistent)

let private document (settings: Settings) write text value =
    if settings.Json then
        JsonText.document (fun writer -> write writer value)
    else
        text value

let private certifyOne job name csv input =
    certify job name input
    |> Result.mapError Usage
    |> Result.bind (fun report ->
        let batch =
            {
                Model = job.Model
                Method = job.Method
                Enclosure = enclosureOf job.Settings
                Definition = definitionOf job.Method job.Settings
                FailureProbability = job.Context.Certification.FailureProbability
                Entries = [ { Name = name; Outcome = Ok report } ]
            }

        csv
        |> Option.map (fun path -> OutputFiles.write path (BatchReport.csv batch))
        |> Option.defaultValue (Ok())
        |> Result.bind (fun () ->
            document job.Settings CertifyReport.write CertifyReport.text report
            |> Session.deliver job.Settings job.Notices))

/// One of several inputs: what fails is told in its line, and the others go on.
let private entry (job: Job) count index (input: InputSource.NamedInput) =
    let report (text: string) =
        job.Context.Report $"{Progress.bar index count} {index} of {count} inputs  {input.Name}: {text}"

    let job =
        { job with
            Context = { job.Context with Report = report }
        }

    {
        Name = input.Name
        Outcome =
            match input.Values with
            | Error error -> Error(LoadError.text error)
            | Ok values ->
                try
                    certify job input.Name values
                with :? Spectral.NotCertifiableException as failure ->
                    Error $"--rigor certified is out of reach: {failure.Message}"
    }

let private tellFailures (batch: BatchReport) =
    let failures =
        batch.Entries
        |> List.choose (fun entry ->
            match entry.Outcome with
            | Ok _ -> None
            | Error problem -> Some problem)

    match failures with
    | [] -> Ok()
    | first :: _ ->
        Error(Usage $"{failures.Length} of {batch.Entries.Length} inputs have no certified radius; the first: {first}")

let private certifyAll (job: Job) csv (inputs: InputSource.NamedInput list) =
    if Shape.size job.Network.OutputShape < 2 then
        Error(Usage CertifiedRadius.singleOutput)
    else
        let batch =
            {
                Model = job.Model
                Method = job.Method
                Enclosure = enclosureOf job.Settings
                Definition = definitionOf job.Method job.Settings
                FailureProbability = job.Context.Certification.FailureProbability
                Entries = inputs |> List.mapi (entry job inputs.Length)
            }

        csv
        |> Option.map (fun path -> OutputFiles.write path (BatchReport.csv batch))
        |> Option.defaultValue (Ok())
        |> Result.bind (fun () ->
            document job.Settings BatchReport.write BatchReport.text batch
            |> Session.deliver job.Settings job.Notices)
        |> Result.bind (fun () -> tellFailures batch)

let private tellSkipped (skipped: string list) =
    match skipped with
    | [] -> ()
    | [ path ] -> Progress.say $"{path} is no .png, .npy, .npz or .csv file and was left out"
    | first :: rest ->
        Progress.say $"{first} and {rest.Length} more are no .png, .npy, .npz or .csv files and were left out"

let private loadInputs (settings: Settings) (network: Network) =
    match settings.Input with
    | None ->
        Error(
            Usage "--input is missing: a .png, .npy, .npz or .csv file, a folder of them, or zeros, or random[?seed=N]"
        )
    | Some source ->
        InputSource.loadAll network.InputShape settings.Preprocessing source
        |> Result.mapError File
        |> Result.map (fun inputs -> source, inputs)

let private methodOf (settings: Settings) (arguments: ParseResults<CertifyArguments>) =
    match arguments.GetResult(CertifyArguments.Method, "analytic") with
    | "global"
    | "structured"
    | "local-lipsdp"
    | "crown" when settings.Enclosure.IsSome -> Error(Usage Settings.enclosureWithoutSlopes)
    | "analytic"
    | "global"
    | "structured"
    | "local-lipsdp"
    | "crown" as method -> Ok method
    | other -> Error(Usage $"--method must be analytic, global, structured, crown or local-lipsdp, not \"{other}\"")

let private clipOf (arguments: ParseResults<CertifyArguments>) =
    match arguments.TryGetResult CertifyArguments.Clip with
    | Some _ when not (arguments.Contains CertifyArguments.Attacks) ->
        Error(Usage "--clip limits the pixels of attacks: give --attacks too, or leave it out")
    | range -> AttackCommand.clip range

/// Runs the command.
let run (settings: Settings) (arguments: ParseResults<CertifyArguments>) : Result<unit, CommandError> =
    let model = arguments.GetResult CertifyArguments.Model
    let csv = arguments.TryGetResult CertifyArguments.Csv

    let files: OutputFiles.OutputFile list =
        [
            for path in Option.toList csv do
                {
                    OutputFiles.Option = "--csv"
                    OutputFiles.Path = path
                }
        ]

    methodOf settings arguments
    |> Result.bind (fun method ->
        checkUse settings (arguments.Contains CertifyArguments.Attacks) method
        |> Result.map (fun () -> method))
    |> Result.bind (fun method -> OutputFiles.check settings model files |> Result.map (fun () -> method))
    |> Result.bind (fun method -> clipOf arguments |> Result.map (fun clip -> method, clip))
    |> Result.bind (fun (method, clip) ->
        Session.run settings (fun context ->
            Session.loadClassifier settings model
            |> Result.bind (fun loaded ->
                loadInputs settings loaded.Network
                |> Result.bind (fun (source, inputs) ->
                    let job =
                        { job settings context model method loaded.Network with
                            Notices = loaded.Notices
                            Attacks = arguments.Contains CertifyArguments.Attacks
                            Clip = clip
                        }

                    match inputs with
                    | InputSource.One input -> certifyOne job source csv input
                    | InputSource.Several(inputs, skipped) ->
                        tellSkipped skipped
                        certifyAll job csv inputs))))
