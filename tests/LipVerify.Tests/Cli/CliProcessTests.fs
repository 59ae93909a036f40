/// The built program as a shell meets it: exit codes, streams that close, Ctrl-C.
module LipVerify.Tests.CliProcessTests

open System
open System.Diagnostics
open NUnit.Framework
open LipVerify.Tests.CliRun

let private shellOnly () =
    if OperatingSystem.IsWindows() then
        Assert.Ignore "needs a POSIX shell"

[<Test>]
let ``A result goes to standard output, and nothing else`` () =
    shellOnly ()
    let outcome = shell $"lipverify info '{onnx}' --json"
    Assert.That(outcome.ExitCode, Is.Zero)
    Assert.That(outcome.Error, Is.Empty)
    Assert.That(outcome.Output, Does.StartWith("{").And.EndsWith("}\n"))

[<Test>]
let ``A mistake gives exit code 2 and one line`` () =
    shellOnly ()
    let outcome = shell "lipverify info missing.onnx"
    Assert.That(outcome.ExitCode, Is.EqualTo 2)
    Assert.That(outcome.Output, Is.Empty)
    Assert.That(outcome.Error, Is.EqualTo "lipverify: missing.onnx: there is no such file\n")

[<TestCase("info zoo:mnist-net", Description = "a table")>]
[<TestCase("--help", Description = "help")>]
let ``A reader who leaves early is no error`` (arguments: string) =
    shellOnly ()
    let outcome = shell $"lipverify {arguments} | head -n 1"
    Assert.That(outcome.Error, Is.Empty)
    Assert.That(lines outcome.Output, Has.Exactly(1).Items)

[<TestCase "lipverify info zoo:mnist-net >&-">]
[<TestCase "lipverify --help >&-">]
let ``A closed standard output is one line`` (script: string) =
    shellOnly ()
    let outcome = shell script
    Assert.That(outcome.ExitCode, Is.EqualTo 2)
    Assert.That(lines outcome.Error, Has.Exactly(1).Items)
    Assert.That(outcome.Error, Does.StartWith "lipverify: standard output: ")

[<Test>]
let ``A closed standard error changes no exit code`` () =
    shellOnly ()
    Assert.That((shell "lipverify info zoo:nope 2>&-").ExitCode, Is.EqualTo 2)

// `sh` ignores the signal in what it starts with `&`, so the program takes the place of this shell.
let private interrupted (seconds: string) arguments =
    shell $"(sleep {seconds}; kill -INT $$) >/dev/null 2>&1 & exec dotnet \"$LIPVERIFY\" {arguments}"

[<TestCase("0.7", "while weights are drawn")>]
[<TestCase("6", "while it computes")>]
let ``Ctrl-C ends long work soon, with exit code 130 and one line`` (seconds: string) (_when: string) =
    shellOnly ()
    let clock = Stopwatch.StartNew()

    let outcome =
        interrupted seconds "bound zoo:vgg16 --input random --radius 0.001 --json"

    let waited = clock.Elapsed.TotalSeconds - float seconds
    Assert.That(outcome.ExitCode, Is.EqualTo 130)
    Assert.That(outcome.Error, Is.EqualTo "lipverify: cancelled\n")
    Assert.That(outcome.Output, Is.Empty)
    // One second of grace; the rest is for busy machines.
    Assert.That(waited, Is.LessThan 4.0)

/// `compare` on the sample network, whose rows last for minutes together, once the file of its rows holds some.
let private interruptedCompare csv arguments =
    let inputs = $"'{onnx}' --input '{eight}' --preprocess mnist --radius 0.1"

    shell (
        $"(while [ \"$(cat '{csv}' 2>/dev/null | wc -l)\" -lt 3 ]; do sleep 0.1; done; kill -INT $$) >/dev/null 2>&1 & "
        + $"exec dotnet \"$LIPVERIFY\" compare {inputs} --time-limit 30 --csv '{csv}' {arguments}"
    )

[<Test>]
let ``Ctrl-C leaves the finished rows of compare, in JSON and in its file`` () =
    shellOnly ()

    inFolder (fun folder ->
        let csv = System.IO.Path.Combine(folder, "rows.csv")
        let outcome = interruptedCompare csv "--json"
        Assert.That(outcome.ExitCode, Is.EqualTo 130, outcome.Error)
        Assert.That(outcome.Error, Does.EndWith "lipverify: cancelled\n")
        let report = System.Text.Json.JsonDocument.Parse(outcome.Output).RootElement
        Assert.That(report.GetProperty("complete").GetBoolean(), Is.False)

        let rows =
            report.GetProperty("lower").GetArrayLength()
            + report.GetProperty("upper").GetArrayLength()

        Assert.That(rows, Is.GreaterThanOrEqualTo 2)
        Assert.That(System.IO.File.ReadAllLines csv, Has.Length.EqualTo(rows + 1)))

[<Test>]
let ``Ctrl-C leaves the finished rows of compare as a table`` () =
    shellOnly ()

    inFolder (fun folder ->
        let outcome = interruptedCompare (System.IO.Path.Combine(folder, "rows.csv")) ""
        Assert.That(outcome.ExitCode, Is.EqualTo 130, outcome.Error)
        Assert.That(outcome.Output, Does.Contain "gradient")
        Assert.That(outcome.Output, Does.Contain "incomplete: cancelled before the last row"))
