/// The command line: parses, runs one command, and turns how it ended into an exit code.
module LipVerify.Cli.Program

open System
open Argu
open LipVerify.Formats

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
        "methods", [ "lipverify methods"; "lipverify methods --json" ]
        "bound",
        [
            "lipverify bound samples/mnist/mnist-net.onnx --input samples/mnist/digits/8.png --preprocess mnist --radius 0.1"
            "lipverify bound model.pt --architecture alexnet --input photo.jpg --resize 256 --preprocess imagenet --radius 0.001 --method structured"
            "lipverify bound samples/mnist/mnist-net.onnx --input samples/mnist/digits/8.png --preprocess mnist --radius 0.1 --method local-lipsdp --time-limit 60"
            "lipverify bound zoo:mnist-net?seed=1 --method global"
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

let private fail code (text: string) =
    Progress.say text
    code

/// The command that a command line names, wherever it stands.
let private commandOf (argv: string[]) =
    argv
    |> Array.tryFind (fun word -> List.contains word CommandOptions.commands.Value)

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
                | Some command -> Help.ofCommand command
                | None -> Help.ofProgram ()
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

let private commandNames = String.concat ", " CommandOptions.commands.Value

let private isHelp word = word = "--help" || word = "-h"

let private seeHelp command problem =
    fail Exit.badInput $"{problem}; see lipverify {command} --help"

/// Argu's message without the usage text that follows it.
let private usageError (argv: string[]) (message: string) =
    let problem = message.Split('\n', 2)[0]
    let problem = problem.Replace("ERROR: ", "").TrimEnd('.', '\r')

    match commandOf argv with
    | Some command -> seeHelp command problem
    | None -> fail Exit.badInput $"a command is needed: {commandNames}; see lipverify --help"

let private version =
    typeof<Arguments>.Assembly.GetName().Version
    |> Option.ofObj
    |> Option.map (fun version -> version.ToString 3)
    |> Option.defaultValue "unknown"

/// Refuses a preprocessing that nothing is done with.
let private checkPreprocessing (command: Arguments) (settings: Settings) =
    let isPicture (path: string) =
        path.EndsWith(".png", StringComparison.OrdinalIgnoreCase)

    match command with
    // The range of pixels is one before normalisation, and pictures are saved without it.
    | Attack attack when attack.Contains AttackArguments.Clip || Option.exists isPicture settings.Output -> Ok()
    | Certify certify when certify.Contains CertifyArguments.Clip -> Ok()
    | Bound _
    | Check _ -> Settings.requirePreprocessed false settings
    | _ -> Settings.requirePreprocessed true settings

/// The exit code of a command that ran to its end.
let private runCommand (arguments: ParseResults<Arguments>) : Result<int, CommandError> =
    let running command run (own: ParseResults<'own>) =
        result {
            let! settings = Settings.ofArguments own |> Result.mapError Usage
            do! checkPreprocessing command settings |> Result.mapError Usage
            return! run settings own
        }

    let completing command run own =
        running command run own |> Result.map (fun () -> Exit.ok)

    match arguments.TryGetSubCommand() with
    | Some(Info own as command) -> completing command InfoCommand.run own
    | Some(Methods own as command) -> completing command MethodsCommand.run own
    | Some(Bound own as command) -> completing command BoundCommand.run own
    | Some(Enclose own as command) -> completing command EncloseCommand.run own
    | Some(Compare own as command) -> completing command CompareCommand.run own
    | Some(Certify own as command) -> completing command CertifyCommand.run own
    | Some(Curve own as command) -> completing command CurveCommand.run own
    | Some(Check own as command) -> running command CheckCommand.run own
    | Some(Attack own as command) -> completing command AttackCommand.run own
    | Some(Bench own as command) -> completing command BenchCommand.run own
    | Some(Demo own as command) -> completing command DemoCommand.run own
    | _ -> Error(Usage $"a command is needed: {commandNames}; see lipverify --help")

/// Argu takes a word that is no command for a stray argument.
let private unknownCommand (argv: string[]) =
    match Array.tryHead argv with
    | Some word when
        not (word.StartsWith '-')
        && not (List.contains word CommandOptions.commands.Value)
        ->
        Some word
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

let private parse (argv: string[]) =
    CommandOptions.parser.Value.ParseCommandLine(argv, raiseOnUsage = true)
    |> runCommand
    |> finishWith

/// Runs one command line and returns its exit code.
[<EntryPoint>]
let main argv =
    try
        Interruption.token () |> ignore

        match unknownCommand argv, commandOf argv with
        | Some word, _ ->
            fail Exit.badInput $"there is no command \"{word}\"; there are {commandNames}; see lipverify --help"
        | _ when argv.Length = 0 || Array.exists isHelp argv -> printHelp argv
        | _ when Array.contains "--version" argv -> Session.print $"lipverify {version}\n" |> finish
        | _, None -> parse argv
        | _, Some command ->
            // Options may stand before their command.
            let rest = argv |> Array.removeAt (Array.IndexOf(argv, command))

            match CommandOptions.refusal command (List.ofArray rest) with
            | Some problem -> seeHelp command problem
            | None -> parse (Array.append [| command |] rest)
    with failure ->
        failureOf argv failure
