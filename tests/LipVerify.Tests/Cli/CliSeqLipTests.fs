/// The methods `seqlip`, `seqlip-exact` and `seqlip-greedy` from the command line.
module LipVerify.Tests.CliSeqLipTests

open System.Text.Json
open NUnit.Framework
open LipVerify.Tests.CliRun

/// `bound --method …` of `3 relu(x1) − relu(x2 + 1)`, without input and radius.
let private arguments folder method =
    let bound = CliExactTests.write folder

    (bound |> List.takeWhile (fun argument -> argument <> "--input"))
    @ [ "--method"; method ]

// Both slopes are free: the norm of (3, −1).
let private constant = sqrt 10.0

[<TestCase("seqlip", "certified")>]
[<TestCase("seqlip-exact", "certified")>]
[<TestCase("seqlip-greedy", "estimate")>]
let ``bound --method seqlip… needs no radius and no input`` (method: string) (rigor: string) =
    inFolder (fun folder ->
        let outcome = arguments folder method @ [ "--json" ] |> run
        Assert.That(outcome.ExitCode, Is.Zero, outcome.Error)
        let report = JsonDocument.Parse(outcome.Output).RootElement
        let text (name: string) = report.GetProperty(name).GetString()
        Assert.That(report.GetProperty("value").GetDouble(), Is.EqualTo(constant).Within(1e-8 * constant))
        Assert.That(text "rigor", Is.EqualTo rigor)
        Assert.That(text "method", Is.EqualTo method)
        Assert.That(text "definition", Is.EqualTo "uniform")
        Assert.That(text "explanation", Does.Contain "layer 0")
        Assert.That(report.GetProperty("radius").ValueKind, Is.EqualTo JsonValueKind.Null))

[<Test>]
let ``an estimate by seqlip-greedy is not shown as a bound`` () =
    inFolder (fun folder ->
        let bound = (arguments folder "seqlip" |> run).Output
        let estimate = (arguments folder "seqlip-greedy" |> run).Output
        Assert.That(bound, Does.Contain "≤")
        Assert.That(bound, Does.Not.Contain "≈")
        Assert.That(estimate, Does.Contain "≈")
        Assert.That(estimate, Does.Not.Contain "≤")
        Assert.That(estimate, Does.Contain "no guarantee"))

[<TestCase("seqlip", "--norm", "inf", "--norm")>]
[<TestCase("seqlip", "--class", "0", "--class")>]
[<TestCase("seqlip", "--enclosure", "crown", "--enclosure")>]
[<TestCase("seqlip-greedy", "--rigor", "certified", "estimate")>]
[<TestCase("seqlip", "--certificate", "c.json", "--certificate")>]
let ``options that mean nothing to seqlip… are refused`` method option value (expected: string) =
    inFolder (fun folder ->
        let outcome = arguments folder method @ [ option; value ] |> run
        Assert.That(outcome.ExitCode, Is.EqualTo 2)
        Assert.That(outcome.Error, Does.Contain expected))

[<Test>]
let ``seqlip-exact says which layer has too many ReLUs`` () =
    let outcome = run [ "bound"; "zoo:mnist-net?seed=1"; "--method"; "seqlip-exact" ]

    Assert.That(outcome.ExitCode, Is.EqualTo 2)
    Assert.That(outcome.Error, Does.Contain "ReLUs")
    Assert.That(outcome.Error, Does.Contain "seqlip bounds wider layers")
