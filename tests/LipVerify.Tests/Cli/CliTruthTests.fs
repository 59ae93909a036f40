/// What is left out of a file is told, what leaves the range of doubles is an error, and a tie claims no constant.
module LipVerify.Tests.CliTruthTests

open System.IO
open System.Text.Json
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Tests.CliRun
open LipVerify.Tests.OnnxWriter

let private inFiles (model: byte[]) (input: string) (work: string -> string -> unit) =
    inFolder (fun folder ->
        let modelFile = Path.Combine(folder, "model.onnx")
        let inputFile = Path.Combine(folder, "input.csv")
        File.WriteAllBytes(modelFile, model)
        File.WriteAllText(inputFile, input)
        work modelFile inputFile)

let private softmaxed =
    model
        [ 1; 3 ]
        [
            node "Gemm" [ "x"; "w" ] "h" [ int "transB" 1 ]
            node "Softmax" [ "h" ] "y" [ int "axis" -1 ]
        ]
        [ doubles "w" [ 2; 3 ] [| 1.0; 0.0; 0.5; -1.0; 2.0; 0.25 |] ]

/// Commands at an input, each with what it needs.
let private commands model input =
    [
        [ "bound"; model; "--input"; input; "--radius"; "0.1" ]
        [ "enclose"; model; "--input"; input; "--radius"; "0.1" ]
        [ "certify"; model; "--input"; input ]
        [ "attack"; model; "--input"; input; "--attack"; "fgsm" ]
        [ "curve"; model; "--input"; input; "--radii"; "0.1"; "--methods"; "analytic" ]
        [ "compare"; model; "--input"; input; "--radius"; "0.1"; "--time-limit"; "1" ]
    ]

/// Logits x at the input, with a softmax over each pair of them.
let private inPairs shape axis =
    model
        [ 1; 4 ]
        [
            node "Gemm" [ "x"; "w" ] "h" []
            node "Reshape" [ "h"; "shape" ] "g" []
            node "Softmax" [ "g" ] "y" [ int "axis" axis ]
        ]
        [
            doubles "w" [ 4; 4 ] (Array.init 16 (fun i -> if i % 5 = 0 then 1.0 else 0.0))
            longs "shape" shape
        ]

/// Four layers of which each multiplies by 1e100.
let private growing =
    model
        [ 1; 2 ]
        [
            node "Mul" [ "x"; "c" ] "a" []
            node "Relu" [ "a" ] "b" []
            node "Mul" [ "b"; "c" ] "d" []
            node "Relu" [ "d" ] "e" []
            node "Mul" [ "e"; "c" ] "f" []
            node "Relu" [ "f" ] "g" []
            node "Mul" [ "g"; "c" ] "y" []
        ]
        [ doubles "c" [] [| 1e100 |] ]

let private shouldFail (parts: string list) (outcome: Outcome) =
    Expect.equal outcome.ExitCode 2 outcome.Output
    Expect.isEmpty outcome.Output "output"
    Expect.equal (lines outcome.Error).Length 1 outcome.Error

    for part in parts do
        Expect.stringContains outcome.Error part "error"

[<Tests>]
let tests =
    testSequenced
    <| testList
        "CliTruth"
        [
            testCase "a Softmax that is left out is told in JSON and on standard output, by every command" (fun () ->
                inFiles softmaxed "1,2,3" (fun model input ->
                    for command in [ "info"; model ] :: commands model input do
                        let report = run (command @ [ "--json" ])
                        Expect.equal report.ExitCode 0 report.Error
                        let root = JsonDocument.Parse(report.Output).RootElement
                        let notices = root.GetProperty("notices").EnumerateArray() |> List.ofSeq
                        Expect.equal notices.Length 1 "length"
                        Expect.stringContains (string notices[0]) "Softmax" "notice"

                    for command in [ [ "info"; model ]; (commands model input).Head ] do
                        let report = run command
                        Expect.stringStarts report.Output "note: the final Softmax is left out" "output"))

            testTheory
                "no class is certified or attacked behind a Softmax over part of the outputs"
                [ 2, 2, -1; 2, 2, 1 ]
                (fun (rows: int, columns: int, axis: int) ->
                    // The largest logit is 9; the largest probability is that of the logit beside -9: 1 or 8.5.
                    inFiles (inPairs [ 1; rows; columns ] axis) "9,8.5,1,-9" (fun model input ->
                        for command in
                            [
                                [ "certify"; model; "--input"; input ]
                                [ "attack"; model; "--input"; input ]
                            ] do
                            let outcome = run command
                            Expect.equal outcome.ExitCode 2 "exit code"
                            Expect.isEmpty outcome.Output "output"
                            Expect.hasLength (lines outcome.Error) 1 "lines outcome.Error"
                            Expect.stringContainsAll outcome.Error [ model; "over part of the outputs" ] "error"

                        let bound = run (commands model input).Head
                        Expect.equal bound.ExitCode 0 bound.Error))

            testCase "a Softmax over all outputs of another shape keeps the class" (fun () ->
                inFiles (inPairs [ 1; 1; 4 ] -1) "9,8.5,1,-9" (fun model input ->
                    let outcome = run [ "certify"; model; "--input"; input ]
                    Expect.equal outcome.ExitCode 0 outcome.Error))

            testCase "the output that is shown is the file's" (fun () ->
                inFiles softmaxed "1,2,3" (fun model input ->
                    let report = run ((commands model input).Head @ [ "--json" ])

                    let output =
                        [
                            for value in
                                JsonDocument.Parse(report.Output).RootElement.GetProperty("output").EnumerateArray() do
                                value.GetDouble()
                        ]

                    // Logits 2.5 and 3.75.
                    let share = 1.0 / (1.0 + exp 1.25)
                    Expect.isWithin 1e-15 output[0] share "output[0]"
                    Expect.isWithin 1e-15 output[1] (1.0 - share) "output[1]"))

            testCase "a model of which nothing is left out has no notices" (fun () ->
                let report = run (bound [ "--radius"; "0.1"; "--json" ])

                let found, _ =
                    JsonDocument.Parse(report.Output).RootElement.TryGetProperty "notices"

                Expect.isFalse found "found")

            testCase
                "values that leave the range of doubles are an error that names the layer, in every command"
                (fun () ->
                    inFiles growing "1,2" (fun model input ->
                        for command in commands model input do
                            for options in [ []; [ "--json" ] ] do
                                run (command @ options)
                                |> shouldFail [ "layer 6 (Mul_6)"; "range of double precision" ]))

            testCase "a bound that leaves the range of doubles is an error" (fun () ->
                inFiles growing "0,0" (fun model input ->
                    run [ "bound"; model; "--method"; "global"; "--json" ]
                    |> shouldFail [ "range of double precision" ]

                    run [ "bound"; model; "--input"; input; "--radius"; "1"; "--json" ]
                    |> shouldFail [ "range of double precision" ]

                    run [ "curve"; model; "--input"; input; "--radii"; "1"; "--methods"; "global" ]
                    |> shouldFail [ "global"; "range of double precision" ]

                    run [ "enclose"; model; "--input"; input; "--radius"; "1e10" ]
                    |> shouldFail [ "range of double precision" ]))

            testCase "a tie claims no constant" (fun () ->
                let tied = model [ 1; 2 ] [ node "Relu" [ "x" ] "y" [] ] []

                inFiles tied "1,1" (fun model input ->
                    for method in [ "analytic"; "global"; "crown" ] do
                        let report =
                            run [ "certify"; model; "--input"; input; "--method"; method; "--json" ]

                        Expect.equal report.ExitCode 0 report.Error
                        let root = JsonDocument.Parse(report.Output).RootElement
                        Expect.equal (root.GetProperty("label").ValueKind) JsonValueKind.Null "value kind"

                        Expect.equal (root.GetProperty("certifiedRadius").GetDouble()) 0 "certifiedRadius"

                        Expect.equal (root.GetProperty("lipschitz").ValueKind) JsonValueKind.Null "value kind"))
        ]
