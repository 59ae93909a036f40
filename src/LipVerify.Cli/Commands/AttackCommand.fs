/// `lipverify attack`: adversarial inputs as upper bounds on the least perturbation that changes the class.
module LipVerify.Cli.AttackCommand

open System
open System.Diagnostics
open Argu
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Attacks
open LipVerify.Formats

/// What `--output` asks for.
type private Target =
    /// The report, or nothing beside standard output.
    | Report
    /// The adversarial input, normalised, as exact doubles.
    | Array of path: string
    /// The adversarial input as a picture of 8 bits a channel.
    | Picture of path: string

let private target (settings: Settings) =
    match settings.Output with
    | None -> Report
    | Some path ->
        match (string (IO.Path.GetExtension path)).ToLowerInvariant() with
        | ".npy" -> Array path
        | ".png" -> Picture path
        | _ -> Report

let private attacks (arguments: ParseResults<AttackArguments>) =
    match arguments.GetResult(AttackArguments.Attack, "all") with
    | "all" -> Ok Attack.all
    | name ->
        match Attack.tryFind name with
        | Some attack -> Ok [ attack ]
        | None ->
            let names = Attack.all |> List.map Attack.name |> String.concat ", "
            Error(Usage $"--attack must be one of {names} or all, not \"{name}\"")

/// The range of pixels that an option asks for.
let clip (option: string option) =
    match option with
    | None -> Ok None
    | Some text -> Settings.clip text |> Result.map Some |> Result.mapError Usage

let private pictureFits target (network: Network) =
    match target, network.InputShape with
    | Picture _, [ (1 | 3); _; _ ]
    | Array _, _
    | Report, _ -> Ok()
    | Picture path, shape ->
        Error(
            Usage
                $"--output {path}: inputs of {Shape.text shape} are no pictures, which have 1 or 3 channels; name an .npy file"
        )

let private boxAround (settings: Settings) (input: Tensor) (low, high) =
    let bound value =
        Preprocessing.apply settings.Preprocessing (Tensor.create input.Shape value)
        |> Result.mapError (fun problem -> Usage $"--clip: {problem}")

    bound low
    |> Result.bind (fun lower -> bound high |> Result.map (fun upper -> { Lower = lower; Upper = upper }))
    |> Result.bind (fun box ->
        let isOutside i x =
            x < (Tensor.values box.Lower)[i] || x > (Tensor.values box.Upper)[i]

        match
            Tensor.values input
            |> Array.indexed
            |> Array.tryFind (fun (i, x) -> isOutside i x)
        with
        | Some(i, _) ->
            Error(
                Usage
                    $"--clip {Figure.exact low},{Figure.exact high} does not contain the input: its value {i} lies outside"
            )
        | None -> Ok box)

/// The range of the pixels as a box around the input, in units of the normalised input; none where there is no range.
let boxOf (settings: Settings) (input: Tensor) range =
    match range with
    | None -> Ok None
    | Some range -> boxAround settings input range |> Result.map Some

/// Runs one attack and times it.
let attempt context network input box effort attack =
    let clock = Stopwatch.StartNew()
    let example = Attacks.run context attack network input box effort

    {
        Attack = attack
        Example = example
        Elapsed = clock.Elapsed
    }

let private write path (bytes: byte[]) =
    Files.write path (ReadOnlyMemory bytes) |> Result.mapError File

/// Levels are rounded to 8 bits, which may undo the attack: the picture is read back and tried.
let private savePicture context (settings: Settings) (network: Network) input (example: AdversarialExample) path =
    let bytes =
        Preprocessing.undo settings.Preprocessing example.Input
        |> Result.map (
            Tensor.map (fun value -> 255.0 * value)
            >> Image.ofTensor
            >> Option.get
            >> Png.write
        )
        |> Result.mapError Usage

    bytes
    |> Result.bind (write path)
    |> Result.bind (fun () ->
        InputSource.load network.InputShape settings.Preprocessing path
        |> Result.mapError File)
    |> Result.map (fun picture ->
        match Attacks.verify context example.Attack network input picture with
        | Some kept ->
            $"{path}: rounded to 8 bits the picture is still adversarial, at distance ≤ {Figure.upward kept.Distance}"
        | None -> $"{path}: rounded to 8 bits the picture is no longer adversarial; an .npy file keeps the exact input"
        |> Progress.say)

/// Saves the nearest example where one was asked for: the path, or none.
let private save context settings network input target (best: AdversarialExample option) =
    match target, best with
    | Report, _ -> Ok None
    | (Array path | Picture path), None ->
        Progress.say $"{path} is not written: no adversarial input was found"
        Ok None
    | Array path, Some example -> write path (Npy.write example.Input) |> Result.map (fun () -> Some path)
    | Picture path, Some example ->
        savePicture context settings network input example path
        |> Result.map (fun () -> Some path)

let private deliver (settings: Settings) target notices report =
    let settings =
        if target = Report then
            settings
        else
            { settings with Output = None }

    if settings.Json then
        JsonText.document (fun writer -> AttackReport.write writer report)
    else
        AttackReport.text report
    |> Session.deliver settings notices

let private attackAll context (settings: Settings) model (loaded: LoadedModel) target clip attacks (input: Tensor) box =
    let network = loaded.Network
    let clock = Stopwatch.StartNew()
    let effort = AttackEffort.fitting network
    let outcomes = attacks |> List.map (attempt context network input box effort)

    let output = Network.evaluate context network input |> Tensor.values

    let report =
        {
            Model = model
            Label = output |> Array.indexed |> Array.maxBy snd |> fst
            Clip = clip
            Outcomes = outcomes
            Saved = None
            Engine = Session.engineText context.Engine
            Elapsed = clock.Elapsed
        }

    save context settings network input target (AttackReport.best report)
    |> Result.bind (fun saved -> deliver settings target loaded.Notices { report with Saved = saved })

/// Runs the command.
let run (settings: Settings) (arguments: ParseResults<AttackArguments>) : Result<unit, CommandError> =
    let model = arguments.GetResult AttackArguments.Model
    let target = target settings

    let attack context attacks clip =
        Session.loadClassifier settings model
        |> Result.bind (fun loaded ->
            let context = Session.forNetwork settings loaded.Network context

            pictureFits target loaded.Network
            |> Result.bind (fun () -> Session.loadNominal settings context loaded.Network)
            |> Result.bind (fun input ->
                boxOf settings input clip
                |> Result.bind (attackAll context settings model loaded target clip attacks input)))

    attacks arguments
    |> Result.bind (fun attacks -> OutputFiles.check settings model [] |> Result.map (fun () -> attacks))
    |> Result.bind (fun attacks ->
        clip (arguments.TryGetResult AttackArguments.Clip)
        |> Result.bind (fun clip -> Session.run settings (fun context -> attack context attacks clip)))
