/// Options are used or refused, by every command and every method, and `--help` lists those that are used.
module LipVerify.Tests.CliOptionTests

open System
open System.IO
open System.Text.RegularExpressions
open Expecto
open LipVerify.Cli
open LipVerify.Core.Methods
open LipVerify.Core.Computation
open LipVerify.Formats
open LipVerify.Propositions.Generators
open LipVerify.Tests.CliRun

/// A network 2-2-2 as a state dict with its architecture, and an input.
let private files folder =
    let path name = Path.Combine(folder, name)

    let matrix (values: float list) =
        Tensor.ofArray [ 2; 2 ] (Array.ofList values)

    let bytes =
        Safetensors.write
            []
            [
                "fc1.weight", matrix [ 1.0; 0.5; -0.25; 1.0 ]
                "fc1.bias", Tensor.vector [| 0.0; 0.125 |]
                "fc2.weight", matrix [ 1.0; -1.0; 0.5; 2.0 ]
                "fc2.bias", Tensor.vector [| 0.25; 0.0 |]
            ]

    File.WriteAllBytes(path "small.safetensors", bytes)

    File.WriteAllText(
        path "small.json",
        """{ "input": [2], "layers": [ { "type": "linear", "name": "fc1", "in": 2, "out": 2 }, { "type": "relu" },
             { "type": "linear", "name": "fc2", "in": 2, "out": 2 } ] }"""
    )

    File.WriteAllText(path "x.csv", "0.5,-0.25\n")

    // One for pictures of 1 × 2 pixels, and a picture.
    File.WriteAllText(
        path "picture.json",
        """{ "input": [1, 1, 2], "layers": [ { "type": "flatten" }, { "type": "linear", "name": "fc1", "in": 2, "out": 2 }, { "type": "relu" },
             { "type": "linear", "name": "fc2", "in": 2, "out": 2 } ] }"""
    )

    File.WriteAllBytes(
        path "x.png",
        Png.write
            {
                Width = 4
                Height = 2
                Channels = 1
                Pixels = Array.init 8 (fun i -> byte (20 * i))
            }
    )

    path

let private commands = CommandOptions.commands.Value

/// The options of all commands, by their long names.
let private options =
    commands
    |> List.collect CommandOptions.ofCommand
    |> List.filter (fun name -> name.StartsWith("--", StringComparison.Ordinal))
    |> List.distinct

/// An option with a value that is right.
let private withValue path option =
    match option with
    | "--architecture" -> [ option; path "small.json" ]
    | "--input" -> [ option; path "x.csv" ]
    | "--resize" -> [ option; "1" ]
    | "--preprocess" -> [ option; "mnist" ]
    | "--mean" -> [ option; "0.5"; "--std"; "2" ]
    | "--std" -> [ option; "2"; "--mean"; "0.5" ]
    | "--definition" -> [ option; "uniform" ]
    | "--enclosure" -> [ option; "ball" ]
    | "--time-limit" -> [ option; "60" ]
    | "--norm" -> [ option; "2" ]
    | "--failure-probability" -> [ option; "1e-6" ]
    | "--tolerance" -> [ option; "0.01" ]
    | "--rigor" -> [ option; "probabilistic" ]
    | "--seed" -> [ option; "3" ]
    | "--engine" -> [ option; "managed" ]
    | "--threads" -> [ option; "1" ]
    | "--json" -> [ option ]
    | "--output" -> [ option; path "out.txt" ]
    | "--radius" -> [ option; "0.5" ]
    | "--method" -> [ option; "analytic" ]
    | "--class" -> [ option; "0"; "--method"; "shor" ]
    | "--certificate" -> [ option; path "other.json" ]
    | "--csv" -> [ option; path "out.csv" ]
    | "--plot" -> [ option; path "out.svg" ]
    | "--html" -> [ option; path "out.html" ]
    | "--title" -> [ option; "T"; "--plot"; path "titled.svg" ]
    | "--radii" -> [ option; "0.1" ]
    | "--methods" -> [ option; "analytic" ]
    | "--samples" -> [ option; "10" ]
    | "--starts" -> [ option; "2" ]
    | "--restart" -> [ option; "--csv"; path "restarted.csv" ]
    | "--attacks" -> [ option ]
    | "--attack" -> [ option; "fgsm" ]
    | "--clip" -> [ option; "-9,9" ]
    | "--model" -> [ option; path "small.safetensors" ]
    | "--folder" -> [ option; path "demo" ]
    | other -> failwith $"{other} is new: give it a value here"

/// A command line that works, for a command of which an option may ask for a method or an option of its own.
let private working path command option =
    let architecture, source =
        if option = "--resize" then
            "picture.json", "x.png"
        else
            "small.json", "x.csv"

    let model = [ path "small.safetensors"; "--architecture"; path architecture ]
    let input = [ "--input"; path source ]
    let hasLimit = option = "--time-limit"

    match command with
    | "info" -> model
    | "methods" -> []
    | "bound" ->
        model
        @ input
        @ [ "--radius"; "0.5" ]
        @ (if hasLimit then [ "--method"; "local-lipsdp" ] else [])
    | "enclose"
    | "compare" -> model @ input @ [ "--radius"; "0.5" ]
    | "certify" ->
        model
        @ input
        @ (if hasLimit then [ "--method"; "local-lipsdp" ] else [])
        @ (if option = "--clip" then [ "--attacks" ] else [])
    | "curve" ->
        model
        @ input
        @ [
            "--radii"
            "0.1"
            "--methods"
            (if hasLimit then "local-lipsdp"
             elif option = "--starts" then "gradient"
             else "global,analytic,sampling")
        ]
    | "check" -> [ path "c.json"; "--model" ] @ model @ input
    | "attack" -> model @ input
    | _ -> []
    |> fun arguments -> command :: arguments

let private isRefused outcome =
    outcome.ExitCode = 2
    && Regex.IsMatch(outcome.Error, "lipverify [a-z]+ has no use for")

let private ball =
    set [ "analytic"; "local-lipsdp"; "structured"; "exact"; "fastlip"; "recurjac" ]

let private oneOutput = set [ "shor"; "hr2"; "lasserre2"; "lipopt3"; "lipopt4" ]

/// Which methods take an option, by the method's nature rather than by what the program says of it.
let private takes option method =
    match option with
    | "--radius" -> ball.Contains method || oneOutput.Contains method
    | "--class" -> oneOutput.Contains method
    | "--certificate" -> List.contains method [ "global"; "analytic"; "local-lipsdp"; "structured" ]
    | "--enclosure" -> method = "analytic"
    | "--definition" -> ball.Contains method
    | "--time-limit" -> true
    | _ -> not (oneOutput.Contains method)

/// Command lines with an option of no effect, each with parts of the line that they must give.
let private idle: (string * string list) list =
    [
        "bound M --method global --input X", [ "--method global has no use for --input" ]
        "bound M --method global --preprocess mnist", [ "--input is missing"; "--preprocess" ]
        "bound M --method global --definition nominal", [ "--definition nominal"; "uniform"; "leave --definition out" ]
        "bound M --input zeros --radius 1 --preprocess mnist", [ "--input zeros has no use for --preprocess" ]
        "bound M --input random?seed=2 --radius 1 --mean 1 --std 1", [ "--input random?seed=2 has no use for --mean" ]
        "certify M --input X --method global --definition nominal", [ "--definition nominal" ]
        "certify M --input X --method crown --definition uniform", [ "--method crown has no use for --definition" ]
        "certify M --input X --method crown --seed 1", [ "--method crown has no use for --seed" ]
        "certify M --input X --method crown --tolerance 0.1", [ "--method crown has no use for --tolerance" ]
        "certify M --input X --method local-lipsdp --definition nominal",
        [ "--method local-lipsdp has no use for --definition" ]
        "curve M --input X --radii 1 --methods global --definition nominal", [ "--definition nominal" ]
        "curve M --input X --radii 1 --methods global --enclosure crown", [ "--enclosure has no use without" ]
        "curve M --input X --radii 1 --time-limit 3",
        [
            "--time-limit has no use without a method that ends with the best it has"
            "structured"
        ]
        "curve M --input X --radii 1 --methods global --samples 3", [ "--samples has no use without" ]
        "curve M --input X --radii 1 --methods global --starts 3", [ "--starts has no use without" ]
        "curve M --input X --radii 1 --methods sampling --tolerance 0.1", [ "--tolerance has no use without" ]
        "curve M --input X --radii 1 --title t", [ "--title has no use without --plot or --html" ]
        "curve M --input X --radii 1 --restart", [ "--restart has no use without --csv" ]
        "--threads 2 info M", [ "lipverify info has no use for --threads" ]
        "info M --threads 2", [ "lipverify info has no use for --threads, which is there for bound, " ]
        "demo --input X", [ "lipverify demo has no use for --input" ]
        "info zoo:mnist-net --architecture mnist-net", [ "leave out --architecture" ]
    ]

/// Options of numbers, and a line to which they belong.
let private numbers =
    [
        "bound zoo:mnist-net --input zeros", "--radius", ""
        "bound zoo:mnist-net --input zeros --radius 1", "--tolerance", ""
        "bound zoo:mnist-net --input zeros --radius 1", "--failure-probability", ""
        "bound zoo:mnist-net --input zeros --radius 1 --method local-lipsdp", "--time-limit", ""
        "bound zoo:mnist-net --input zeros --radius 1 --std 1", "--mean", ""
        "bound zoo:mnist-net --input zeros --radius 1 --mean 1", "--std", ""
        "attack zoo:mnist-net --input zeros", "--clip", "-1,"
        "curve zoo:mnist-net --input zeros", "--radii", "0.1,"
        "curve zoo:mnist-net --input zeros", "--radii", "1:2:"
    ]

[<Tests>]
let tests =
    testSequenced
    <| testList
        "CliOption"
        [
            testTheory
                "A command takes the options that it uses and refuses the others"
                [
                    "info"
                    "methods"
                    "bound"
                    "enclose"
                    "compare"
                    "certify"
                    "curve"
                    "check"
                    "attack"
                    "bench"
                    "demo"
                ]
                (fun (command: string) ->
                    inFolder (fun folder ->
                        let path = files folder

                        [ "--radius"; "0.5"; "--certificate"; path "c.json" ]
                        |> List.append (
                            working path "bound" ""
                            |> List.filter (fun word -> word <> "--radius" && word <> "0.5")
                        )
                        |> run
                        |> fun outcome -> Expect.equal outcome.ExitCode 0 outcome.Error

                        for option in options do
                            let start = working path command option

                            let line =
                                if List.contains option start then
                                    start
                                else
                                    start @ withValue path option

                            if not (List.contains option (CommandOptions.ofCommand command)) then
                                let outcome = run line
                                Expect.isTrue (isRefused outcome) $"{option}: {outcome.Error}"
                                Expect.hasLength (lines outcome.Error) 1 "lines outcome.Error"
                                Expect.isEmpty outcome.Output "output"
                            // Benchmarks and the demonstration take too long for each of their options.
                            elif command <> "bench" && command <> "demo" then
                                let outcome = run line
                                // Of another input a certificate does not hold.
                                let isOther =
                                    command = "check" && List.contains option [ "--preprocess"; "--mean"; "--std" ]

                                Expect.equal outcome.ExitCode (if isOther then 1 else 0) $"{option}: {outcome.Error}"))

            testTheory "The help of a command lists what it takes and no more" commands (fun (command: string) ->
                let outcome = run [ command; "--help" ]
                Expect.equal outcome.ExitCode 0 outcome.Error

                let listed =
                    lines outcome.Output
                    |> List.map _.Trim()
                    |> List.filter (fun line -> line.StartsWith("--", StringComparison.Ordinal))
                    |> List.map (fun line -> line.Split([| ' '; ',' |])[0])

                for option in options do
                    Expect.equal
                        (List.contains option listed)
                        (List.contains option (CommandOptions.ofCommand command))
                        option

                Expect.isTrue
                    (lines outcome.Output
                     |> List.forall (fun line -> line.Contains "lipverify " || line.Length <= 100))
                    "")

            testTheory "Without a command all of them are listed" [ ""; "--help" ] (fun (arguments: string) ->
                let outcome =
                    arguments.Split(' ', StringSplitOptions.RemoveEmptyEntries)
                    |> List.ofArray
                    |> run

                Expect.equal outcome.ExitCode 0 outcome.Error
                Expect.isEmpty outcome.Error "error"

                for command in commands do
                    Expect.stringContains outcome.Output $"\n    {command} " command)

            testCase "A method takes the options that it uses and refuses the others" (fun () ->
                inFolder (fun folder ->
                    let path = files folder

                    let values =
                        [
                            "--radius", "0.5"
                            "--class", "0"
                            "--certificate", path "m.json"
                            "--enclosure", "ball"
                            "--definition", "nominal"
                            "--time-limit", "60"
                            "--failure-probability", "1e-6"
                            "--tolerance", "0.01"
                            "--seed", "3"
                        ]

                    for method in BoundMethods.all do
                        let start =
                            [
                                "bound"
                                path "small.safetensors"
                                "--architecture"
                                path "small.json"
                                "--method"
                                method.Name
                                if ball.Contains method.Name then
                                    yield! [ "--input"; path "x.csv"; "--radius"; "0.5" ]
                                if oneOutput.Contains method.Name then
                                    yield! [ "--class"; "0" ]
                            ]

                        for option, value in values do
                            let input =
                                if option = "--radius" && takes option method.Name then
                                    [ "--input"; path "x.csv" ]
                                else
                                    []

                            let line =
                                if List.contains option start then
                                    start
                                else
                                    start @ input @ [ option; value ]

                            let outcome = run line
                            let why = $"{method.Name} {option}: {outcome.Error}"

                            if takes option method.Name then
                                // Solvers that are not installed are another matter.
                                Expect.isTrue (outcome.ExitCode = 0 || outcome.Error.Contains "Debian package") why
                            else
                                Expect.equal outcome.ExitCode 2 why
                                Expect.stringContains outcome.Error option why

                                Expect.isMatch
                                    outcome.Error
                                    $"--method {method.Name} has no use for {option}|leave --definition out"
                                    why))

            testCase "An option of no effect is refused with a line that says so" (fun () ->
                inFolder (fun folder ->
                    let path = files folder

                    for line, parts in idle do
                        let words =
                            line.Split ' '
                            |> List.ofArray
                            |> List.collect (fun word ->
                                match word with
                                | "M" -> [ path "small.safetensors"; "--architecture"; path "small.json" ]
                                | "X" -> [ path "x.csv" ]
                                | _ -> [ word ])

                        let outcome = run words
                        Expect.equal outcome.ExitCode 2 line
                        Expect.hasLength (lines outcome.Error) 1 line

                        for part in parts do
                            Expect.stringContains outcome.Error part line))

            testCase "A preprocessing counts for the range of pixels and for pictures too" (fun () ->
                let attack arguments =
                    [
                        "attack"
                        "zoo:mnist-net"
                        "--input"
                        "zeros"
                        "--preprocess"
                        "mnist"
                        "--attack"
                        "fgsm"
                    ]
                    @ arguments
                    |> run

                Expect.equal (attack []).ExitCode 2 "exit code"
                let outcome = attack [ "--clip"; "-10,10" ]
                Expect.equal outcome.ExitCode 0 outcome.Error)

            testCase "certify --method global says that its constant is uniform" (fun () ->
                inFolder (fun folder ->
                    let path = files folder
                    let outcome = run (working path "certify" "" @ [ "--method"; "global"; "--json" ])
                    Expect.stringContains outcome.Output "\"definition\": \"uniform\"" "output"))

            testTheory
                "A number that a double cannot hold is refused"
                [ "1e-400"; "1e400"; "-1e-400" ]
                (fun (text: string) ->
                    for line, option, before in numbers do
                        let value = before + text
                        let outcome = (line.Split ' ' |> List.ofArray) @ [ $"{option}={value}" ] |> run
                        Expect.equal outcome.ExitCode 2 $"{option} {value}"
                        Expect.stringContains outcome.Error option $"{option} {value}"
                        Expect.stringContains outcome.Error text $"{option} {value}")

            statement "A text of a positive number is read as a positive number, or refused" 1000 id (fun seed ->
                let random = Random seed
                let digits = String.init (1 + random.Next 20) (fun _ -> string (random.Next 10))
                let text = $"{random.Next 10}.{digits}e{random.Next 800 - 400}"
                let isZero = text.Split('e')[0] |> Seq.forall (fun c -> c = '0' || c = '.')

                match DecimalText.parse text with
                | Ok value -> Expect.isTrue ((value > 0.0 && Double.IsFinite value) || (isZero && value = 0.0)) text
                | Error _ -> Expect.isFalse isZero text)

            testTheory "Zero is zero" [ "0"; "0e99"; "-0.000" ] (fun (text: string) ->
                match DecimalText.parse text with
                | Ok value -> Expect.equal value 0 "value"
                | Error problem -> failtest problem)
        ]
