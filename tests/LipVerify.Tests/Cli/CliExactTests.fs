/// The method `exact` from the command line.
module LipVerify.Tests.CliExactTests

open System
open System.IO
open System.Text
open System.Text.Json
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Tests.CliRun

/// A network 2-2-1 as state dict and architecture: `3 relu(x1) − relu(x2 + 1)`.
let internal write folder =
    let tensors =
        [
            "fc1.weight", [ 2; 2 ], [ 1.0; 0.0; 0.0; 1.0 ]
            "fc1.bias", [ 2 ], [ 0.0; 1.0 ]
            "fc2.weight", [ 1; 2 ], [ 3.0; -1.0 ]
            "fc2.bias", [ 1 ], [ 0.0 ]
        ]

    let entries =
        (0, tensors)
        ||> List.mapFold (fun start (name, shape: int list, values) ->
            let finish = start + 8 * List.length values
            let extents = shape |> List.map string |> String.concat ","
            $"\"{name}\":{{\"dtype\":\"F64\",\"shape\":[{extents}],\"data_offsets\":[{start},{finish}]}}", finish)
        |> fst

    let header = Encoding.UTF8.GetBytes("{" + String.concat "," entries + "}")

    let data =
        tensors
        |> List.collect (fun (_, _, values) -> values)
        |> List.map (fun (value: float) -> BitConverter.GetBytes value)
        |> Array.concat

    let model = Path.Combine(folder, "small.safetensors")
    File.WriteAllBytes(model, Array.concat [ BitConverter.GetBytes(int64 header.Length); header; data ])
    let architecture = Path.Combine(folder, "small.json")

    File.WriteAllText(
        architecture,
        """{ "input": [2], "layers": [ { "type": "linear", "name": "fc1", "in": 2, "out": 2 }, { "type": "relu" },
             { "type": "linear", "name": "fc2", "in": 2, "out": 1 } ] }"""
    )

    [
        "bound"
        model
        "--architecture"
        architecture
        "--input"
        "zeros"
        "--method"
        "exact"
    ]

[<Tests>]
let tests =
    testSequenced
    <| testList
        "CliExact"
        [
            testCase "bound --method exact reports both ends and the gap between them" (fun () ->
                inFolder (fun folder ->
                    let outcome =
                        write folder @ [ "--radius"; "0.5"; "--definition"; "uniform"; "--json" ] |> run

                    Expect.equal outcome.ExitCode 0 outcome.Error
                    let report = JsonDocument.Parse(outcome.Output).RootElement
                    let number (name: string) = report.GetProperty(name).GetDouble()
                    // Where x1 > 0 the gradient is (3, −1); x2 + 1 stays positive.
                    Expect.isWithin 0.01 (number "lower") (sqrt 10.0) "lower"
                    Expect.isWithin 0.01 (number "value") (sqrt 10.0) "value"
                    Expect.isGreaterThanOrEqual (number "value") (number "lower") "value"
                    Expect.isLessThanOrEqual (number "gap") 1e-3 "gap"))

            testCase "bound --method exact takes the maximum norm, where the rows of the Jacobian are summed" (fun () ->
                inFolder (fun folder ->
                    for definition in [ "uniform"; "nominal" ] do
                        let outcome =
                            write folder
                            @ [ "--radius"; "0.5"; "--definition"; definition; "--norm"; "inf"; "--json" ]
                            |> run

                        Expect.equal outcome.ExitCode 0 outcome.Error
                        let report = JsonDocument.Parse(outcome.Output).RootElement
                        let number (name: string) = report.GetProperty(name).GetDouble()

                        Expect.equal (string (report.GetProperty "norm")) "inf" "norm"
                        // Where x1 > 0 the gradient is (3, −1), and the input lies on the kink.
                        Expect.isWithin 0.01 (number "lower") (4.0) "lower"
                        Expect.isWithin 0.01 (number "value") (4.0) "value"
                        Expect.isLessThanOrEqual (number "gap") 1e-3 "gap"))

            testCase "bound --method exact says both ends to a reader" (fun () ->
                inFolder (fun folder ->
                    let outcome = write folder @ [ "--radius"; "0.5"; "--time-limit"; "60" ] |> run
                    Expect.equal outcome.ExitCode 0 outcome.Error
                    Expect.stringContains outcome.Output "≤ 3.16" "output"
                    Expect.stringContains outcome.Output "≥ 3.16" "output"
                    Expect.stringContains outcome.Output "gap" "output"))

            testTheory
                "bound --method exact refuses options that make no sense for it"
                [
                    "--certificate", "c.json", "has no use for --certificate"
                    "--enclosure", "crown", "has no use for --enclosure"
                    "--class", "0", "has no use for --class"
                    "--rigor", "certified", "--rigor certified is out of reach"
                ]
                (fun (option: string, value: string, problem: string) ->
                    inFolder (fun folder ->
                        let outcome = write folder @ [ "--radius"; "0.5"; option; value ] |> run
                        Expect.equal outcome.ExitCode 2 "exit code"
                        Expect.stringContains outcome.Error problem "error"))

            testCase "bound --method exact needs a radius" (fun () ->
                inFolder (fun folder ->
                    let outcome = run (write folder)
                    Expect.equal outcome.ExitCode 2 "exit code"
                    Expect.stringContains outcome.Error "--radius is missing" "error"))
        ]
