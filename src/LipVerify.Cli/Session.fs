namespace LipVerify.Cli

open System
open System.IO
open LipVerify.Compute
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Formats

/// Ways in which a command ends early, each with one line for the user.
type CommandError =
    /// Bad usage or input: exit code 2.
    | Usage of string
    /// A file that could not be used: exit code 2.
    | File of LoadError

module CommandError =

    /// The line on standard error.
    let text failure =
        match failure with
        | Usage problem -> problem
        | File error -> LoadError.text error

/// What every command shares: the engine, cancellation, and where results and notices go.
module Session =

    let private engine (settings: Settings) =
        try
            let engine = Engines.Create(settings.Engine, settings.Threads)
            Ok engine
        with :? EngineUnavailableException as failure ->
            Error(Usage failure.Message)

    /// Says which engine served, where it was not the one hoped for: behind the result, so that an error stays one line.
    let private tellNotice () =
        Engines.Notice |> Option.ofObj |> Option.iter Progress.say

    /// Runs `work` with an engine, progress on standard error and cancellation by Ctrl-C.
    let run (settings: Settings) (work: Context -> Result<unit, CommandError>) =
        engine settings
        |> Result.bind (fun engine ->
            Progress.during (fun report ->
                work
                    { Context.create engine with
                        Cancellation = Interruption.token ()
                        Seed = settings.Seed
                        Certification = settings.Certification
                        Report = report
                    }))
        |> Result.map tellNotice

    /// The context for a network: where `auto` was asked for, a card may serve it.
    let forNetwork (settings: Settings) (network: Network) (context: Context) =
        EngineChoice.fit settings.Engine network context

    /// The engine in reports: where it is a device, which one, and by what.
    let engineText (engine: IEngine) =
        match engine.Origin with
        | :? CpuEngine -> engine.Name
        | _ -> $"{engine.Name} ({engine.Description})"

    /// Loads the model. Its notices are for `deliver`.
    let loadModel (settings: Settings) model =
        ModelSource.load model settings.Architecture |> Result.mapError File

    /// Loads a model whose class is asked for, its largest output: a softmax that is left out must keep it.
    let loadClassifier (settings: Settings) model =
        loadModel settings model
        |> Result.bind (fun loaded ->
            match loaded.Softmax with
            | Some softmax when Softmax.isOverPart softmax ->
                Error(
                    Usage
                        $"{model}: the final Softmax is over part of the outputs only, so that the largest output of the file need not be that of the logits before it, whose class would be certified; take the node out"
                )
            | _ -> Ok loaded)

    /// Loads the nominal input of a network.
    let loadInput (settings: Settings) (network: Network) =
        match settings.Input with
        | None -> Error(Usage $"--input is missing: a {InputSource.kinds}, or zeros, or random[?seed=N]")
        | Some source ->
            InputSource.load network.InputShape settings.Preprocessing source
            |> Result.mapError File

    /// Why nothing is said about an input: at a layer its values are no longer finite.
    let overflow (context: Context) (network: Network) (input: Tensor) : string option =
        match EnclosedTensor.tryEvaluate context network input with
        | Ok _ -> None
        | Error place -> Some $"{place}: the values at this input leave the range of double precision"

    /// Loads the nominal input of a network, at which all values must be finite.
    let loadNominal (settings: Settings) (context: Context) (network: Network) =
        loadInput settings network
        |> Result.bind (fun input ->
            match overflow context network input with
            | None -> Ok input
            | Some problem -> Error(Usage problem))

    /// Writes to standard output.
    let print (document: string) =
        try
            Console.Out.Write document
            Console.Out.Flush()
            Ok()
        with
        | :? IOException
        | :? UnauthorizedAccessException as failure -> Error(Usage $"standard output: {failure.Message}")

    /// A document that tells the notices of a model: lines before a text, a field of a JSON object.
    let private told (settings: Settings) (notices: string list) document =
        if notices.IsEmpty then
            document
        elif settings.Json then
            JsonText.withTexts "notices" notices document
        else
            (notices |> List.map (fun notice -> $"note: {notice}\n") |> String.concat "")
            + "\n"
            + document

    /// Writes a finished document, with the notices of its model, to `--output` or to standard output.
    let deliver (settings: Settings) (notices: string list) (document: string) =
        let document = told settings notices document

        match settings.Output with
        | None ->
            // JSON is UTF-8 whatever the terminal's encoding.
            if settings.Json then
                Console.OutputEncoding <- Text.UTF8Encoding false

            print document
        | Some path ->
            Files.write path (ReadOnlyMemory(Text.Encoding.UTF8.GetBytes document))
            |> Result.mapError File
