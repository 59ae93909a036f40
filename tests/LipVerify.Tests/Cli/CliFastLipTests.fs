/// The methods `fastlip` and `recurjac` from the command line.
module LipVerify.Tests.CliFastLipTests

open System.Text.Json
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Tests.CliRun

/// `bound --method METHOD` of `3 relu(x1) − relu(x2 + 1)` around 0.
let private arguments method folder =
    CliExactTests.write folder
    |> List.map (fun argument -> if argument = "exact" then method else argument)

[<Tests>]
let tests =
    testSequenced
    <| testList
        "CliFastLip"
        [
            testTheory
                "bound --method fastlip and recurjac measure the entries of the Jacobian in each norm"
                [
                    for method in [ "fastlip"; "recurjac" ] do
                        for norm in [ "inf"; "2"; "1" ] do
                            method, norm
                ]
                (fun (method, norm) ->
                    // The largest entries are (3, 1) in size.
                    let expected = Map [ "inf", 4.0; "2", sqrt 10.0; "1", 3.0 ] |> Map.find norm

                    inFolder (fun folder ->
                        let outcome =
                            arguments method folder
                            @ [ "--radius"; "0.5"; "--definition"; "uniform"; "--norm"; norm; "--json" ]
                            |> run

                        Expect.equal outcome.ExitCode 0 outcome.Error
                        let report = JsonDocument.Parse(outcome.Output).RootElement
                        let value = report.GetProperty("value").GetDouble()
                        // The spectral certificate is loose by 1e-9 at most.
                        Expect.isGreaterThanOrEqual value expected "value"

                        Expect.equal (string (report.GetProperty "method")) method "method"

                        Expect.isLessThanOrEqual value (expected * (1.0 + 1e-8)) "value"

                        Expect.equal (string (report.GetProperty "norm")) norm "norm"

                        Expect.equal (string (report.GetProperty "rigor")) "certified" "rigor"))

            testTheory
                "bound --method fastlip and recurjac without a radius say what is missing"
                [ "fastlip"; "recurjac" ]
                (fun (method: string) ->
                    inFolder (fun folder ->
                        let outcome = arguments method folder |> run
                        Expect.equal outcome.ExitCode 2 "exit code"
                        Expect.stringContains outcome.Error "--radius is missing" "error"))

            testCase "bound --method recurjac and fastlip end by --time-limit and say so" (fun () ->
                inFolder (fun folder ->
                    let run method =
                        arguments method folder
                        @ [ "--radius"; "0.5"; "--norm"; "inf"; "--time-limit"; "0"; "--json" ]
                        |> run

                    for method in [ "recurjac"; "fastlip" ] do
                        let outcome = run method
                        Expect.equal outcome.ExitCode 0 outcome.Error
                        let report = JsonDocument.Parse(outcome.Output).RootElement

                        Expect.stringContains
                            (string (report.GetProperty "explanation"))
                            "the time limit ended it"
                            "explanation"

                        Expect.equal (string (report.GetProperty "rigor")) "certified" "rigor"

                        Expect.isGreaterThanOrEqual (report.GetProperty("value").GetDouble()) 3.0 "value"))
        ]
