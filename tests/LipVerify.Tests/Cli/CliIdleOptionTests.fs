/// Options that would have no effect are refused with a line that says so.
module LipVerify.Tests.CliIdleOptionTests

open Expecto
open LipVerify.Tests.CliRun

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

[<Tests>]
let tests =
    testSequenced
    <| testList
        "CliIdleOption"
        [
            testCase "An option of no effect is refused with a line that says so" (fun () ->
                inFolder (fun folder ->
                    let path = SmallFiles.write folder

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
        ]
