/// The built program as a shell meets it: exit codes, streams that close, Ctrl-C.
module LipVerify.Tests.CliProcessTests

open System
open System.Diagnostics
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Tests.CliRun

let private shellOnly () =
    if OperatingSystem.IsWindows() then
        skiptest "needs a POSIX shell"

// `sh` ignores the signal in what it starts with `&`, so the program takes the place of this shell.
let private interrupted (seconds: string) arguments =
    shell $"(sleep {seconds}; kill -INT $$) >/dev/null 2>&1 & exec dotnet \"$LIPVERIFY\" {arguments}"

/// `compare` on the sample network, whose rows last for minutes together, once the file of its rows holds some.
let private interruptedCompare csv arguments =
    let inputs = $"'{onnx}' --input '{eight}' --preprocess mnist --radius 0.1"

    shell (
        $"(while [ \"$(cat '{csv}' 2>/dev/null | wc -l)\" -lt 3 ]; do sleep 0.1; done; kill -INT $$) >/dev/null 2>&1 & "
        + $"exec dotnet \"$LIPVERIFY\" compare {inputs} --time-limit 30 --csv '{csv}' {arguments}"
    )

[<Tests>]
let tests =
    testSequenced
    <| testList
        "CliProcess"
        [
            testCase "A result goes to standard output, and nothing else" (fun () ->
                shellOnly ()
                let outcome = shell $"lipverify info '{onnx}' --json"
                Expect.equal outcome.ExitCode 0 "exit code"
                Expect.isEmpty outcome.Error "error"
                Expect.stringStarts outcome.Output ("{") "output"
                Expect.stringEnds outcome.Output ("}\n") "output")

            testCase "A mistake gives exit code 2 and one line" (fun () ->
                shellOnly ()
                let outcome = shell "lipverify info missing.onnx"
                Expect.equal outcome.ExitCode 2 "exit code"
                Expect.isEmpty outcome.Output "output"
                Expect.equal outcome.Error "lipverify: missing.onnx: there is no such file\n" "error")

            testTheory
                "A reader who leaves early is no error"
                [ "info zoo:mnist-net"; "--help" ]
                (fun (arguments: string) ->
                    shellOnly ()
                    let outcome = shell $"lipverify {arguments} | head -n 1"
                    Expect.isEmpty outcome.Error "error"
                    Expect.hasLength (lines outcome.Output) 1 "lines outcome.Output")

            testTheory
                "A closed standard output is one line"
                [ "lipverify info zoo:mnist-net >&-"; "lipverify --help >&-" ]
                (fun (script: string) ->
                    shellOnly ()
                    let outcome = shell script
                    Expect.equal outcome.ExitCode 2 "exit code"
                    Expect.hasLength (lines outcome.Error) 1 "lines outcome.Error"
                    Expect.stringStarts outcome.Error "lipverify: standard output: " "error")

            testCase "A closed standard error changes no exit code" (fun () ->
                shellOnly ()
                Expect.equal (shell "lipverify info zoo:nope 2>&-").ExitCode 2 "exit code")

            testTheory
                "Ctrl-C ends long work soon, with exit code 130 and one line"
                [ "0.7", "while weights are drawn"; "6", "while it computes" ]
                (fun (seconds: string, _when: string) ->
                    shellOnly ()
                    let clock = Stopwatch.StartNew()

                    let outcome =
                        interrupted seconds "bound zoo:vgg16 --input random --radius 0.001 --json"

                    let waited = clock.Elapsed.TotalSeconds - float seconds
                    Expect.equal outcome.ExitCode 130 "exit code"
                    Expect.equal outcome.Error "lipverify: cancelled\n" "error"
                    Expect.isEmpty outcome.Output "output"
                    // One second of grace; the rest is for busy machines.
                    Expect.isLessThan waited 4.0 "waited")

            testCase "Ctrl-C leaves the finished rows of compare, in JSON and in its file" (fun () ->
                shellOnly ()

                inFolder (fun folder ->
                    let csv = System.IO.Path.Combine(folder, "rows.csv")
                    let outcome = interruptedCompare csv "--json"
                    Expect.equal outcome.ExitCode 130 outcome.Error
                    Expect.stringEnds outcome.Error "lipverify: cancelled\n" "error"
                    let report = System.Text.Json.JsonDocument.Parse(outcome.Output).RootElement

                    Expect.isFalse (report.GetProperty("complete").GetBoolean()) "complete"

                    let rows =
                        report.GetProperty("lower").GetArrayLength()
                        + report.GetProperty("upper").GetArrayLength()

                    Expect.isGreaterThanOrEqual rows 2 "rows"
                    Expect.hasLength (System.IO.File.ReadAllLines csv) (rows + 1) "System.IO.File.ReadAllLines csv"))

            testCase "Ctrl-C leaves the finished rows of compare as a table" (fun () ->
                shellOnly ()

                inFolder (fun folder ->
                    let outcome = interruptedCompare (System.IO.Path.Combine(folder, "rows.csv")) ""
                    Expect.equal outcome.ExitCode 130 outcome.Error
                    Expect.stringContains outcome.Output "gradient" "output"
                    Expect.stringContains outcome.Output "incomplete: cancelled before the last row" "output"))
        ]
