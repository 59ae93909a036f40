/// `lipverify check`: hands a certificate, the network and the input to the checker, a program of its own.
module LipVerify.Cli.CheckCommand

open System
open System.Diagnostics
open System.IO
open Argu
open LipVerify.Core.Computation
open LipVerify.Formats

/// The checker lies beside this program.
let private checker =
    Path.Combine(AppContext.BaseDirectory, "lipverify-checker.dll")

let private requireChecker () =
    if File.Exists checker then
        Ok()
    else
        Error(Usage $"check needs its program, which is not there: {checker}; build the project anew")

let private runtime () =
    match Environment.ProcessPath with
    | null -> "dotnet"
    | path when Path.GetFileNameWithoutExtension path = "dotnet" -> path
    | _ -> "dotnet"

/// The checker names itself in its lines, and this program does in its own.
let private withoutPrefix (line: string) =
    let prefix = "lipverify-checker: "

    if line.StartsWith(prefix, StringComparison.Ordinal) then
        line.Substring prefix.Length
    else
        line

let private runChecker (files: string list) : Result<string * int, CommandError> =
    let start = ProcessStartInfo(runtime (), checker :: files)
    start.RedirectStandardOutput <- true
    start.RedirectStandardError <- true

    let started =
        try
            Process.Start start |> Option.ofObj
        with :? ComponentModel.Win32Exception ->
            None

    match started with
    | None -> Error(Usage $"check needs the program \"{start.FileName}\", which does not start")
    | Some running ->
        use running = running
        let problem = running.StandardError.ReadToEndAsync()
        let output = running.StandardOutput.ReadToEnd()
        running.WaitForExit()

        match running.ExitCode with
        | 0
        | 1 -> Ok(output, running.ExitCode)
        | _ -> Error(Usage(withoutPrefix (problem.Result.Trim())))

let private writeFile path (bytes: byte[]) =
    Files.write path (ReadOnlyMemory bytes) |> Result.mapError CommandError.File

/// The instance for the proved checker: the checker writes it into the folder, in the form that the name of the user's file asks
/// for, and it is put in its place from there.
let private withInstance (folder: string) (destination: string option) check =
    match destination with
    | None -> check []
    | Some path ->
        let made =
            Path.Combine(
                folder,
                (if path.EndsWith(".v", StringComparison.Ordinal) then
                     "instance.v"
                 else
                     "instance")
            )

        check [ "--coq"; made ]
        |> Result.bind (fun outcome -> writeFile path (File.ReadAllBytes made) |> Result.map (fun () -> outcome))

/// Writes what the checker reads into a folder, the exact doubles of the network and the input, and runs it.
let private checkIn (folder: string) certificate coq network (input: Tensor option) =
    let networkFile = Path.Combine(folder, "network.safetensors")
    let inputFile = Path.Combine(folder, "input.npy")

    let inputWritten =
        match input with
        | Some input -> writeFile inputFile (Npy.write input) |> Result.map (fun () -> [ inputFile ])
        | None -> Ok []

    inputWritten
    |> Result.bind (fun inputs ->
        writeFile networkFile (CanonicalNetwork.write network)
        |> Result.bind (fun () ->
            withInstance folder coq (fun options -> runChecker (options @ certificate :: networkFile :: inputs))))

let private inTemporaryFolder work =
    let folder = Directory.CreateTempSubdirectory "lipverify-check-"

    try
        work folder.FullName
    finally
        folder.Delete true

let private loadInput (settings: Settings) network =
    match settings.Input with
    | None -> Ok None
    | Some _ -> Session.loadInput settings network |> Result.map Some

/// The file of --coq must not be the certificate.
let private requireApart (certificate: string) (coq: string option) =
    match coq with
    | Some path when path <> "" && Path.GetFullPath path = Path.GetFullPath certificate ->
        Error(Usage $"--coq {path}: this would overwrite the certificate; name another file")
    | _ -> Ok()

/// Runs the command and gives the checker's exit code.
let run (settings: Settings) (arguments: ParseResults<CheckArguments>) : Result<int, CommandError> =
    let certificate = arguments.GetResult CheckArguments.Certificate
    let model = arguments.GetResult CheckArguments.Model
    let coq = arguments.TryGetResult CheckArguments.Coq

    let outputs =
        coq
        |> Option.map (fun path ->
            {
                OutputFiles.Option = "--coq"
                OutputFiles.Path = path
            })
        |> Option.toList

    requireChecker ()
    |> Result.bind (fun () ->
        Files.require CertificateText.mostBytes "the most that a certificate takes" certificate
        |> Result.mapError CommandError.File)
    |> Result.bind (fun () -> OutputFiles.check settings model outputs)
    |> Result.bind (fun () -> requireApart certificate coq)
    |> Result.bind (fun () -> Session.loadModel settings model)
    |> Result.bind (fun loaded ->
        let network = loaded.Network

        loadInput settings network
        |> Result.bind (fun input ->
            inTemporaryFolder (fun folder -> checkIn folder certificate coq network input)
            |> Result.bind (fun (output, code) ->
                Session.deliver { settings with Json = false } loaded.Notices output
                |> Result.map (fun () -> code))))
