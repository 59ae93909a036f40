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
