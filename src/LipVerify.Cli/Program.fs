/// The command line: parses, runs one command, and turns how it ended into an exit code.
module LipVerify.Cli.Program

open System
open Argu

/// Exit codes of the contract.
module private Exit =
    let ok = 0
    let badInput = 2
    let internalError = 3

/// Examples of the commands' use.
let private examples =
    [
        "info",
        [
            "lipverify info samples/mnist/mnist-net.onnx"
            "lipverify info model.pt --architecture cifar10-net --json"
            "lipverify info zoo:vgg16"
        ]
        "bound",
        [
            "lipverify bound samples/mnist/mnist-net.onnx --input samples/mnist/digits/8.png --preprocess mnist --radius 0.1"
            "lipverify bound model.pt --architecture cifar10-net --input photo.png --preprocess cifar10 --radius 0.01 --json"
            "lipverify bound samples/mnist/mnist-net.onnx --input samples/mnist/digits/8.png --preprocess mnist --radius 0.1 --enclosure crown"
            "lipverify bound samples/mnist/mnist-net.onnx --input samples/mnist/digits/8.png --preprocess mnist --radius 0.1 --method local-lipsdp --time-limit 60"
            "lipverify bound samples/pictures/cifar10-net.safetensors --architecture cifar10-net --input samples/pictures/pictures/0.png --preprocess cifar10 --radius 0.003 --method structured"
            "lipverify bound zoo:mnist-net?seed=1 --method global"
            "lipverify bound small.onnx --method lipsdp-neuron --time-limit 60"
            "lipverify bound small.onnx --input zeros --radius 0.1 --method exact --definition uniform --time-limit 60"
            "lipverify bound small.onnx --method hr2 --norm inf --class 0"
        ]
        "enclose",
        [
            "lipverify enclose samples/mnist/mnist-net.onnx --input samples/mnist/digits/8.png --preprocess mnist --radius 0.1"
            "lipverify enclose samples/mnist/mnist-net.onnx --input samples/mnist/digits/8.png --preprocess mnist --radius 0.1 --enclosure interval --json"
        ]
        "compare",
        [
            "lipverify compare samples/mnist/mnist-net.onnx --input samples/mnist/digits/8.png --preprocess mnist --radius 0.1 --time-limit 60"
        ]
        "certify",
        [
            "lipverify certify samples/mnist/mnist-net.onnx --input samples/mnist/digits/8.png --preprocess mnist"
            "lipverify certify samples/mnist/mnist-net.onnx --input samples/mnist/digits/8.png --preprocess mnist --attacks --clip 0,1"
            "lipverify certify samples/mnist/mnist-net.onnx --input samples/mnist/digits/8.png --preprocess mnist --method crown"
            "lipverify certify samples/mnist/mnist-net.onnx --input samples/mnist/digits/8.png --preprocess mnist --method local-lipsdp"
            "lipverify certify samples/mnist/mnist-net.onnx --input samples/mnist/digits --preprocess mnist --csv radii.csv"
        ]
        "curve",
        [
            "lipverify curve samples/mnist/mnist-net.onnx --input samples/mnist/digits/8.png --preprocess mnist --radii 0.001:7:30 --csv curve.csv --plot curve.svg --html curve.html"
            "lipverify curve zoo:mnist-net --input random --radii 0.001:10:20:log --methods global,analytic --csv curve.csv"
        ]
        "check",
        [
            "lipverify check certificate.json --model samples/mnist/mnist-net.onnx --input samples/mnist/digits/8.png --preprocess mnist"
        ]
        "attack",
        [
            "lipverify attack samples/mnist/mnist-net.onnx --input samples/mnist/digits/8.png --preprocess mnist --clip 0,1"
            "lipverify attack samples/mnist/mnist-net.onnx --input samples/mnist/digits/8.png --preprocess mnist --attack pgd --output adversarial.npy"
            "lipverify attack zoo:cifar10-net --input random --attack cw --json"
        ]
        "bench",
        [
            "lipverify bench"
            "lipverify bench kernels --engine managed --json"
            "lipverify bench vgg16"
            "lipverify bench growth"
        ]
        "demo", [ "lipverify demo"; "lipverify demo --folder demo-output" ]
    ]

let private parser =
    lazy ArgumentParser.Create<Arguments>(programName = "lipverify")

let private fail code (text: string) =
    Progress.say text
    code

/// The command that a command line names, wherever it stands.
let private commandOf (argv: string[]) =
    argv |> Array.tryFind (fun word -> List.contains word SharedOptions.commands)

let private finishWith (outcome: Result<int, CommandError>) =
    match outcome with
    | Ok code -> code
    | Error failure -> fail Exit.badInput (CommandError.text failure)

let private finish (outcome: Result<unit, CommandError>) =
    outcome |> Result.map (fun () -> Exit.ok) |> finishWith

let private printHelp argv =
    let command = commandOf argv

    let examples =
        examples
        |> List.filter (fun (name, _) -> command |> Option.forall ((=) name))
        |> List.collect (fun (_, examples) -> if command.IsSome then examples else [ examples.Head ])

    let lines =
        [
            yield!
                match command with
                | Some command -> Help.ofCommand parser.Value command
                | None -> Help.ofProgram parser.Value
            yield ""
            yield "EXAMPLES:"
            yield ""
            yield! examples |> List.map (fun example -> "    " + example)
            yield ""
            yield "Exit codes: 0 done, 1 a check did not hold, 2 bad usage or input,"
            yield "3 an internal error, 130 ended by Ctrl-C."
        ]

    lines
    |> List.map (fun line -> line + "\n")
    |> String.concat ""
    |> Session.print
    |> finish

/// Argu's message without the usage text that follows it.
let private usageError (argv: string[]) (message: string) =
    let problem = message.Split('\n', 2)[0]
    let problem = problem.Replace("ERROR: ", "").TrimEnd('.', '\r')

    let help =
        commandOf argv
        |> Option.map (fun command -> $"lipverify {command} --help")
        |> Option.defaultValue "lipverify --help"

    fail Exit.badInput $"{problem}; see {help}"

let private version =
    typeof<Arguments>.Assembly.GetName().Version
    |> Option.ofObj
    |> Option.map (fun version -> version.ToString 3)
    |> Option.defaultValue "unknown"

let private commandNames = String.concat ", " SharedOptions.commands

/// Refuses a preprocessing that nothing is done with.
let private checkPreprocessing (arguments: ParseResults<Arguments>) (settings: Settings) =
    let isPicture (path: string) =
        path.EndsWith(".png", StringComparison.OrdinalIgnoreCase)

    match arguments.TryGetSubCommand() with
    // The range of pixels is one before normalisation, and pictures are saved without it.
    | Some(Attack attack) when attack.Contains AttackArguments.Clip || Option.exists isPicture settings.Output -> Ok()
    | Some(Certify certify) when certify.Contains CertifyArguments.Clip -> Ok()
    | Some(Bound _)
    | Some(Check _) -> Settings.requirePreprocessed false settings
    | _ -> Settings.requirePreprocessed true settings

/// Refuses options that the command has no use for.
let private checkOptions (arguments: ParseResults<Arguments>) (settings: Settings) =
    let check command =
        SharedOptions.check (arguments.Parser.GetArgumentCaseInfo(command: Arguments).Name.Value) settings.Given

    arguments.TryGetSubCommand()
    |> Option.map check
    |> Option.defaultValue (Ok())
    |> Result.bind (fun () -> checkPreprocessing arguments settings)
    |> Result.mapError Usage
    |> Result.map (fun () -> settings)

/// The exit code of a command that ran to its end.
let private runCommand (arguments: ParseResults<Arguments>) : Result<int, CommandError> =
    let completed = Result.map (fun () -> Exit.ok)

    Settings.ofArguments arguments
    |> Result.mapError Usage
    |> Result.bind (checkOptions arguments)
    |> Result.bind (fun settings ->
        match arguments.TryGetSubCommand() with
        | Some(Info info) -> InfoCommand.run settings info |> completed
        | Some(Bound bound) -> BoundCommand.run settings bound |> completed
        | Some(Enclose enclose) -> EncloseCommand.run settings enclose |> completed
        | Some(Compare compare) -> CompareCommand.run settings compare |> completed
        | Some(Certify certify) -> CertifyCommand.run settings certify |> completed
        | Some(Curve curve) -> CurveCommand.run settings curve |> completed
        | Some(Check check) -> CheckCommand.run settings check
        | Some(Attack attack) -> AttackCommand.run settings attack |> completed
        | Some(Bench bench) -> BenchCommand.run settings bench |> completed
        | Some(Demo demo) -> DemoCommand.run settings demo |> completed
        | _ -> Error(Usage $"a command is needed: {commandNames}; see lipverify --help"))

let private execute (arguments: ParseResults<Arguments>) =
    if arguments.Contains Arguments.Version then
        Session.print $"lipverify {version}\n" |> finish
    else
        runCommand arguments |> finishWith

/// Argu takes a word that is no command for a stray argument.
let private unknownCommand (argv: string[]) =
    match Array.tryHead argv with
    | Some word when not (word.StartsWith '-') && not (List.contains word SharedOptions.commands) -> Some word
    | _ -> None

/// The failure behind one that loops on several threads have wrapped.
let rec private innermost (failure: exn) =
    match failure with
    | :? AggregateException as several when several.InnerExceptions.Count > 0 -> innermost several.InnerExceptions[0]
    | _ -> failure

let private failureOf argv (failure: exn) =
    match innermost failure with
    | :? ArguParseException as failure when failure.ErrorCode = ErrorCode.HelpText -> printHelp argv
    | :? ArguParseException as failure -> usageError argv failure.Message
    | :? OperationCanceledException ->
        Interruption.tell ()
        Interruption.exitCode
    | :? LipVerify.Core.Spectral.Spectral.NotCertifiableException as failure ->
        fail Exit.badInput $"--rigor certified is out of reach: {failure.Message}"
    | :? OutOfMemoryException -> fail Exit.badInput "there is not enough memory for this network"
    | :? LipVerify.Core.Numbers.ContradictionException as failure ->
        fail Exit.internalError $"internal error, please report it: {failure.Message}"
    | failure -> fail Exit.internalError $"internal error, please report it: {failure}"

/// Runs one command line and returns its exit code.
[<EntryPoint>]
let main argv =
    try
        Interruption.token () |> ignore

        match unknownCommand argv with
        | Some word ->
            fail Exit.badInput $"there is no command \"{word}\"; there are {commandNames}; see lipverify --help"
        | None when argv.Length = 0 -> printHelp argv
        | None -> parser.Value.ParseCommandLine(argv, raiseOnUsage = true) |> execute
    with failure ->
        failureOf argv failure
