/// The method `local-lipsdp` from the command line.
module LipVerify.Tests.CliLocalLipSdpTests

open System
open System.Text.Json
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Tests.CliRun

let private json outcome =
    Expect.equal outcome.ExitCode 0 outcome.Error
    JsonDocument.Parse(outcome.Output).RootElement

let private value method radius =
    let report =
        bound [ "--radius"; radius; "--method"; method; "--json" ] |> run |> json

    report.GetProperty("value").GetDouble(), report

[<Tests>]
let tests =
    testSequenced
    <| testList
        "CliLocalLipSdp"
        [
            testCase "bound --method local-lipsdp lies far below analytic, is certified and explains itself" (fun () ->
                let analytic, _ = value "analytic" "0.05"
                let tight, report = value "local-lipsdp" "0.05"
                // Products of layer norms lose a factor of several on the first layers alone.
                Expect.isLessThan tight (analytic / 2.0) "tight"

                Expect.equal (string (report.GetProperty "method")) "local-lipsdp" "method"

                Expect.equal (string (report.GetProperty "rigor")) "certified" "rigor"

                Expect.stringContains (string (report.GetProperty "explanation")) "multipliers" "explanation")

            testCase "a time limit of 0 leaves Algorithm 1 with sums of magnitudes for norms" (fun () ->
                let analytic, _ = value "analytic" "0.05"

                let report =
                    bound
                        [
                            "--radius"
                            "0.05"
                            "--method"
                            "local-lipsdp"
                            "--time-limit"
                            "0"
                            "--json"
                        ]
                    |> run
                    |> json

                Expect.stringContains (string (report.GetProperty "explanation")) "the time was over" "explanation"

                Expect.equal (string (report.GetProperty "rigor")) "certified" "rigor"

                Expect.isGreaterThanOrEqual (report.GetProperty("value").GetDouble()) analytic "value"

                Expect.isTrue
                    (Double.IsFinite(report.GetProperty("value").GetDouble()))
                    "Double.IsFinite(report.GetProperty(\"value\").GetDouble())")

            testCase "certify --method local-lipsdp certifies at least what crown does" (fun () ->
                let radius method more =
                    let report =
                        run (
                            [
                                "certify"
                                onnx
                                "--input"
                                eight
                                "--preprocess"
                                "mnist"
                                "--method"
                                method
                                "--json"
                            ]
                            @ more
                        )
                        |> json

                    report.GetProperty("certifiedRadius").GetDouble()

                Expect.isGreaterThanOrEqual
                    (radius "local-lipsdp" [ "--time-limit"; "5" ])
                    (radius "crown" [])
                    "radius \"local-lipsdp\" [ \"--time-limit\"; \"5\" ]")

            testCase "curve computes local-lipsdp where it is asked for" (fun () ->
                let outcome =
                    run
                        [
                            "curve"
                            onnx
                            "--input"
                            eight
                            "--preprocess"
                            "mnist"
                            "--radii"
                            "0.01,0.02"
                            "--methods"
                            "analytic,local-lipsdp"
                            "--json"
                        ]

                let methods =
                    [
                        for point in (json outcome).GetProperty("points").EnumerateArray() ->
                            point.GetProperty("method").GetString()
                    ]

                Expect.sameElements methods [ "analytic"; "analytic"; "local-lipsdp"; "local-lipsdp" ] "methods")

            testTheory
                "bound --method local-lipsdp refuses options that make no sense for it"
                [
                    "--enclosure", "crown", "has no use for --enclosure"
                    "--time-limit", "-1", "--time-limit must be a number of seconds"
                ]
                (fun (option: string, value: string, problem: string) ->
                    let outcome =
                        bound [ "--radius"; "0.1"; "--method"; "local-lipsdp"; option; value ] |> run

                    Expect.equal outcome.ExitCode 2 "exit code"
                    Expect.stringContains outcome.Error problem "error")

            testTheory
                "every method takes --time-limit, and says that it ended it"
                [
                    "global", false
                    "analytic", true
                    "seqlip", false
                    "lipsdp-layer", false
                    "exact", true
                ]
                (fun (method: string, isLocal: bool) ->
                    let ball = if isLocal then [ "--radius"; "0.1" ] else []

                    let outcome =
                        bound (ball @ [ "--method"; method; "--time-limit"; "0"; "--json" ]) |> run

                    Expect.equal outcome.ExitCode 0 outcome.Error
                    let report = json outcome

                    Expect.stringContains
                        (string (report.GetProperty "explanation"))
                        "the time limit ended it"
                        "explanation"
                    // Attained there.
                    Expect.isGreaterThan (report.GetProperty("value").GetDouble()) 2.1 "value")
        ]
