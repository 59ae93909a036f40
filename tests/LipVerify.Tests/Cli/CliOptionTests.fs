/// Options are used or refused, by every command and every method, and `--help` lists those that are used.
module LipVerify.Tests.CliOptionTests

open System
open System.IO
open System.Text.RegularExpressions
open Expecto
open LipVerify.Cli
open LipVerify.Core.Methods
open LipVerify.Tests.CliRun

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
    | "--coq" -> [ option; path "instance" ]
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
    set
        [
            "analytic"
            "local-lipsdp"
            "structured"
            "eclipse"
            "eclipse-fast"
            "exact"
            "fastlip"
            "recurjac"
        ]

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
                        let path = SmallFiles.write folder

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
                    let path = SmallFiles.write folder

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
                    let path = SmallFiles.write folder
                    let outcome = run (working path "certify" "" @ [ "--method"; "global"; "--json" ])
                    Expect.stringContains outcome.Output "\"definition\": \"uniform\"" "output"))
        ]
