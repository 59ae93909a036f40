namespace LipVerify.Cli

open System
open System.IO
open LipVerify.Compute
open LipVerify.Core
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

    /// Refuses an output that would overwrite what it is made from.
    let private protectInputs (settings: Settings) model =
        let isSameFile a b =
            a <> ""
            && b <> ""
            && IO.File.Exists a
            && Path.GetFullPath a = Path.GetFullPath b

        let sources =
            [ Some model; settings.Input; settings.Architecture ] |> List.choose id

        match settings.Output with
        | Some output when List.exists (isSameFile output) sources ->
            Error(Usage $"--output {output} would overwrite what the result is made from; name another file")
        | _ -> Ok()

    /// Loads the model and prints its notices.
    let loadModel (settings: Settings) model =
        protectInputs settings model
        |> Result.bind (fun () -> ModelSource.load model settings.Architecture |> Result.mapError File)
        |> Result.map (fun loaded ->
            loaded.Notices |> List.iter (fun text -> Progress.say $"{model}: {text}")
            loaded.Network)

    /// Loads the nominal input of a network.
    let loadInput (settings: Settings) (network: Network) =
        match settings.Input with
        | None -> Error(Usage "--input is missing: a .png, .npy, .npz or .csv file, or zeros, or random[?seed=N]")
        | Some source ->
            InputSource.load network.InputShape settings.Preprocessing source
            |> Result.mapError File

    /// Writes to standard output.
    let print (document: string) =
        try
            Console.Out.Write document
            Console.Out.Flush()
            Ok()
        with
        | :? IOException
        | :? UnauthorizedAccessException as failure -> Error(Usage $"standard output: {failure.Message}")

    /// Writes a finished document to `--output` or to standard output.
    let deliver (settings: Settings) (document: string) =
        match settings.Output with
        | None ->
            // JSON is UTF-8 whatever the terminal's encoding.
            if settings.Json then
                Console.OutputEncoding <- Text.UTF8Encoding false

            print document
        | Some path ->
            Files.write path (ReadOnlyMemory(Text.Encoding.UTF8.GetBytes document))
            |> Result.mapError File
