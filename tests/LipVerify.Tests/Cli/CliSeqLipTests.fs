/// The methods `seqlip`, `seqlip-exact` and `seqlip-greedy` from the command line.
module LipVerify.Tests.CliSeqLipTests

open System.Text.Json
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Tests.CliRun

/// `bound --method …` of `3 relu(x1) − relu(x2 + 1)`, without input and radius.
let private arguments folder method =
    let bound = CliExactTests.write folder

    (bound |> List.takeWhile (fun argument -> argument <> "--input"))
    @ [ "--method"; method ]

// Both slopes are free: the norm of (3, −1).
let private constant = sqrt 10.0

[<Tests>]
let tests =
    testSequenced
    <| testList
        "CliSeqLip"
        [
            testTheory
                "bound --method seqlip… needs no radius and no input"
                [
                    "seqlip", "certified"
                    "seqlip-exact", "certified"
                    "seqlip-greedy", "estimate"
                ]
                (fun (method: string, rigor: string) ->
                    inFolder (fun folder ->
                        let outcome = arguments folder method @ [ "--json" ] |> run
                        Expect.equal outcome.ExitCode 0 outcome.Error
                        let report = JsonDocument.Parse(outcome.Output).RootElement
                        let text (name: string) = string (report.GetProperty name)

                        Expect.isWithin (1e-8 * constant) (report.GetProperty("value").GetDouble()) constant "value"

                        Expect.equal (text "rigor") rigor "rigor"
                        Expect.equal (text "method") method "method"
                        Expect.equal (text "definition") "uniform" "definition"
                        Expect.stringContains (text "explanation") "layer 0" "explanation"
                        Expect.equal (report.GetProperty("radius").ValueKind) JsonValueKind.Null "value kind"))

            testCase "an estimate by seqlip-greedy is not shown as a bound" (fun () ->
                inFolder (fun folder ->
                    let bound = (arguments folder "seqlip" |> run).Output
                    let estimate = (arguments folder "seqlip-greedy" |> run).Output
                    Expect.stringContains bound "≤" "bound"
                    Expect.stringLacks bound "≈" "bound"
                    Expect.stringContains estimate "≈" "estimate"
                    Expect.stringLacks estimate "≤" "estimate"
                    Expect.stringContains estimate "no guarantee" "estimate"))

            testTheory
                "options that mean nothing to seqlip… are refused"
                [
                    "seqlip", "--norm", "inf", "--norm"
                    "seqlip", "--class", "0", "--class"
                    "seqlip", "--enclosure", "crown", "--enclosure"
                    "seqlip-greedy", "--rigor", "certified", "estimate"
                    "seqlip", "--certificate", "c.json", "--certificate"
                ]
                (fun (method, option, value, expected: string) ->
                    inFolder (fun folder ->
                        let outcome = arguments folder method @ [ option; value ] |> run
                        Expect.equal outcome.ExitCode 2 "exit code"
                        Expect.stringContains outcome.Error expected "error"))

            testCase "seqlip-exact says which layer has too many ReLUs" (fun () ->
                let outcome = run [ "bound"; "zoo:mnist-net?seed=1"; "--method"; "seqlip-exact" ]

                Expect.equal outcome.ExitCode 2 "exit code"
                Expect.stringContains outcome.Error "ReLUs" "error"
                Expect.stringContains outcome.Error "seqlip bounds wider layers" "error")
        ]
