/// The command line: parses, runs one command, and turns how it ended into an exit code.
module LipVerify.Cli.Program

open System
open Argu

/// Exit codes of the contract.
module private Exit =
    let ok = 0
    let badInput = 2
    let internalError = 3
    let cancelled = 130

let private examples =
    """EXAMPLES:

    lipverify demo
    lipverify info samples/mnist/mnist-net.onnx
    lipverify bound samples/mnist/mnist-net.onnx --input samples/mnist/digits/8.png --preprocess mnist --radius 0.1
    lipverify bound model.pt --architecture cifar10-net --input photo.png --preprocess cifar10 --radius 0.01 --json
    lipverify bound zoo:alexnet?seed=1 --method global

    Exit codes: 0 done, 1 a check did not hold, 2 bad usage or input.
"""

let private parser =
    ArgumentParser.Create<Arguments>(
        programName = "lipverify",
        helpTextMessage = "Guaranteed bounds on Lipschitz constants of ReLU networks."
    )

let private fail code (text: string) =
    Console.Error.WriteLine("lipverify: " + text.ReplaceLineEndings " ")
    code

let private execute (arguments: ParseResults<Arguments>) : Result<unit, CommandError> =
    Settings.ofArguments arguments
    |> Result.mapError Usage
    |> Result.bind (fun settings ->
        match arguments.GetSubCommand() with
        | Info info -> InfoCommand.run settings info
        | Bound bound -> BoundCommand.run settings bound
        | Demo _ -> DemoCommand.run settings
        | _ -> Error(Usage "a command is needed: info, bound or demo; see lipverify --help"))

/// Argu's message without the usage text that follows it.
let private firstLine (message: string) =
    let line = message.Split('\n', 2)[0]
    line.Replace("ERROR: ", "").TrimEnd('.', '\r') + "; see lipverify --help"

let private parse (argv: string[]) =
    try
        Ok(parser.ParseCommandLine(argv, raiseOnUsage = true))
    with :? ArguParseException as failure ->
        match failure.ErrorCode with
        | ErrorCode.HelpText ->
            Console.Out.WriteLine failure.Message
            Console.Out.Write examples
            Error Exit.ok
        | _ -> Error(fail Exit.badInput (firstLine failure.Message))

let private run (arguments: ParseResults<Arguments>) =
    try
        match execute arguments with
        | Ok() -> Exit.ok
        | Error failure -> fail Exit.badInput (CommandError.text failure)
    with
    | :? OperationCanceledException -> fail Exit.cancelled "cancelled"
    | :? OutOfMemoryException -> fail Exit.badInput "there is not enough memory for this network"
    | failure -> fail Exit.internalError $"internal error, please report it: {failure}"

[<EntryPoint>]
let main argv =
    match parse argv with
    | Ok arguments -> run arguments
    | Error code -> code
