/// The methods `lipsdp-neuron` and `lipsdp-layer` from the command line.
module LipVerify.Tests.CliLipSdpTests

open System.Text.Json
open NUnit.Framework
open LipVerify.Tests.CliRun

/// `bound` of `3 relu(x1) − relu(x2 + 1)`, without an input.
let private arguments folder method =
    CliExactTests.write folder
    |> List.takeWhile (fun argument -> argument <> "--input")
    |> fun words -> words @ [ "--method"; method ]

[<TestCase "lipsdp-neuron">]
[<TestCase "lipsdp-layer">]
let ``bound bounds all pairs of inputs, with neither input nor radius`` (method: string) =
    inFolder (fun folder ->
        let outcome = arguments folder method @ [ "--json"; "--time-limit"; "60" ] |> run
        Assert.That(outcome.ExitCode, Is.Zero, outcome.Error)
        let report = JsonDocument.Parse(outcome.Output).RootElement
        let value = report.GetProperty("value").GetDouble()
        // The gradient is (3, −1) where both are active; the product of norms is √10, and so nothing is left to gain.
        Assert.That(value, Is.EqualTo(sqrt 10.0).Within 1e-6)
        Assert.That(value, Is.GreaterThanOrEqualTo(sqrt 10.0 * (1.0 - 1e-15)))
        Assert.That(report.GetProperty("method").GetString(), Is.EqualTo method)
        Assert.That(report.GetProperty("definition").GetString(), Is.EqualTo "uniform")
        Assert.That(report.GetProperty("radius").ValueKind, Is.EqualTo JsonValueKind.Null)
        Assert.That(report.GetProperty("rigor").GetString(), Is.EqualTo "certified")
        Assert.That(report.GetProperty("explanation").GetString(), Is.Not.Empty))

[<Test>]
let ``bound --method lipsdp-neuron says to a reader that the bound is global`` () =
    inFolder (fun folder ->
        let outcome = arguments folder "lipsdp-neuron" |> run
        Assert.That(outcome.ExitCode, Is.Zero, outcome.Error)
        Assert.That(outcome.Output, Does.Contain "Global Lipschitz constant")
        Assert.That(outcome.Output, Does.Contain "The layers by themselves"))

[<TestCase("--radius", "0.1", "--method lipsdp-layer has no use for --radius")>]
[<TestCase("--definition", "nominal", "bounds the uniform constant")>]
[<TestCase("--certificate", "c.json", "has no use for --certificate")>]
[<TestCase("--enclosure", "crown", "has no use for --enclosure")>]
[<TestCase("--class", "0", "has no use for --class")>]
[<TestCase("--norm", "inf", "--norm inf is there for")>]
let ``bound --method lipsdp-layer refuses options that make no sense for it``
    (option: string)
    (value: string)
    (problem: string)
    =
    inFolder (fun folder ->
        let outcome = arguments folder "lipsdp-layer" @ [ option; value ] |> run
        Assert.That(outcome.ExitCode, Is.EqualTo 2)
        Assert.That(outcome.Error, Does.Contain problem))
