/// `lipverify certify`: the largest radius within which the class of an input surely holds, for one input or several.
module LipVerify.Cli.CertifyCommand

open Argu
open LipVerify.Core.Computation
open LipVerify.Core.Spectral
open LipVerify.Core.Networks
open LipVerify.Core.Methods
open LipVerify.Core.Radii
open LipVerify.Formats

/// Refuses options that a method has no use for.
let private checkUse (settings: Settings) isAttacked (method: RadiusMethod) =
    let unused =
        [
            if method.Definition = RadiusDefinition.Margins then
                "--definition"

            if not method.Draws then
                "--failure-probability"
                "--tolerance"

                if not isAttacked then
                    "--seed"
        ]

    let why =
        if method.Draws then
            "it bounds margins against the input"
        else
            "it bounds margins against the input and draws nothing"

    settings
    |> Settings.refuse (fun option -> $"--method {method.Name} has no use for {option}: {why}") unused
    |> Result.bind (fun () ->
        match method.Uncertified with
        | Some reason when settings.Certification.Deterministic -> Error $"--rigor certified is out of reach: {reason}"
        | _ when method.Definition = RadiusDefinition.Uniform ->
            Settings.refuseNominal $"the method {method.Name}" settings
        | _ -> Ok())
    |> Result.mapError Usage

let private document (settings: Settings) write text value =
    if settings.Json then
        JsonText.document (fun writer -> write writer value)
    else
        text value

let private certifyOne job name csv input =
    CertifyJob.certify job name input
    |> Result.mapError Usage
    |> Result.bind (fun report ->
        let batch =
            {
                Model = job.Model
                Method = job.Method.Name
                Enclosure = job.Enclosure
                Definition = job.Definition
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
let private entry (job: CertifyJob) count index (input: InputSource.NamedInput) =
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
                    CertifyJob.certify job input.Name values
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

let private certifyAll (job: CertifyJob) csv (inputs: InputSource.NamedInput list) =
    if Shape.size job.Network.OutputShape < 2 then
        Error(Usage CertifiedRadius.singleOutput)
    else
        let batch =
            {
                Model = job.Model
                Method = job.Method.Name
                Enclosure = job.Enclosure
                Definition = job.Definition
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
            Usage $"--input is missing: a .png, .npy, .npz or .csv file, a folder of them, or zeros, or random[?seed=N]"
        )
    | Some source ->
        InputSource.loadAll network.InputShape settings.Preprocessing source
        |> Result.mapError File
        |> Result.map (fun inputs -> source, inputs)

let private methodOf (settings: Settings) (arguments: ParseResults<CertifyArguments>) =
    let name = arguments.GetResult(CertifyArguments.Method, "analytic")

    match RadiusMethods.tryFind name with
    | Some method when settings.Enclosure.IsSome && not method.TakesEnclosure ->
        Error(Usage Settings.enclosureWithoutSlopes)
    | Some method -> Ok method
    | None ->
        let names = RadiusMethods.all |> List.map _.Name |> CommandOptions.enumerate
        Error(Usage $"--method must be one of {names}, not \"{name}\"")

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
                let context = Session.forNetwork settings loaded.Network context

                loadInputs settings loaded.Network
                |> Result.bind (fun (source, inputs) ->
                    let job =
                        { CertifyJob.create settings context model method loaded.Network with
                            Notices = loaded.Notices
                            Attacks = arguments.Contains CertifyArguments.Attacks
                            Clip = clip
                        }

                    match inputs with
                    | InputSource.One input -> certifyOne job source csv input
                    | InputSource.Several(inputs, skipped) ->
                        tellSkipped skipped
                        certifyAll job csv inputs))))
