/// The methods `lipsdp-neuron` and `lipsdp-layer` from the command line.
module LipVerify.Tests.CliLipSdpTests

open System.Text.Json
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Tests.CliRun

/// `bound` of `3 relu(x1) − relu(x2 + 1)`, without an input.
let private arguments folder method =
    CliExactTests.write folder
    |> List.takeWhile (fun argument -> argument <> "--input")
    |> fun words -> words @ [ "--method"; method ]

[<Tests>]
let tests =
    testSequenced
    <| testList
        "CliLipSdp"
        [
            testTheory
                "bound bounds all pairs of inputs, with neither input nor radius"
                [ "lipsdp-neuron"; "lipsdp-layer"; "eclipse-fast"; "eclipse" ]
                (fun (method: string) ->
                    inFolder (fun folder ->
                        let outcome = arguments folder method @ [ "--json"; "--time-limit"; "60" ] |> run
                        Expect.equal outcome.ExitCode 0 outcome.Error
                        let report = JsonDocument.Parse(outcome.Output).RootElement
                        let value = report.GetProperty("value").GetDouble()
                        // The gradient is (3, −1) where both are active; the product of norms is √10, and so nothing is left to gain.
                        Expect.isWithin 1e-6 value (sqrt 10.0) "value"
                        Expect.isGreaterThanOrEqual value (sqrt 10.0 * (1.0 - 1e-15)) "value"

                        Expect.equal (string (report.GetProperty "method")) method "method"

                        Expect.equal (string (report.GetProperty "definition")) "uniform" "definition"

                        Expect.equal (report.GetProperty("radius").ValueKind) JsonValueKind.Null "value kind"

                        Expect.equal (string (report.GetProperty "rigor")) "certified" "rigor"

                        Expect.isNonEmpty (string (report.GetProperty "explanation")) "explanation"))

            testCase "bound --method lipsdp-neuron says to a reader that the bound is global" (fun () ->
                inFolder (fun folder ->
                    let outcome = arguments folder "lipsdp-neuron" |> run
                    Expect.equal outcome.ExitCode 0 outcome.Error
                    Expect.stringContains outcome.Output "Global Lipschitz constant" "output"
                    Expect.stringContains outcome.Output "The layers by themselves" "output"))

            testTheory
                "bound --method lipsdp-layer refuses options that make no sense for it"
                [
                    "--radius", "0.1", "--method lipsdp-layer has no use for --radius"
                    "--definition", "nominal", "bounds the uniform constant"
                    "--certificate", "c.json", "has no use for --certificate"
                    "--enclosure", "crown", "has no use for --enclosure"
                    "--class", "0", "has no use for --class"
                    "--norm", "inf", "--norm inf is there for"
                ]
                (fun (option: string, value: string, problem: string) ->
                    inFolder (fun folder ->
                        let outcome = arguments folder "lipsdp-layer" @ [ option; value ] |> run
                        Expect.equal outcome.ExitCode 2 "exit code"
                        Expect.stringContains outcome.Error problem "error"))
        ]
