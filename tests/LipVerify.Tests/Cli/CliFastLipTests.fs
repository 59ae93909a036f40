/// The method `fastlip` from the command line.
module LipVerify.Tests.CliFastLipTests

open System.Text.Json
open NUnit.Framework
open LipVerify.Tests.CliRun

/// `bound --method fastlip` of `3 relu(x1) − relu(x2 + 1)` around 0.
let private arguments folder =
    CliExactTests.write folder
    |> List.map (fun argument -> if argument = "exact" then "fastlip" else argument)

[<TestCase("inf", 4.0)>]
[<TestCase("2", 3.1622776601683795)>]
let ``bound --method fastlip measures the entries of the Jacobian in either norm`` (norm: string) (expected: float) =
    inFolder (fun folder ->
        let outcome =
            arguments folder
            @ [ "--radius"; "0.5"; "--definition"; "uniform"; "--norm"; norm; "--json" ]
            |> run

        Assert.That(outcome.ExitCode, Is.Zero, outcome.Error)
        let report = JsonDocument.Parse(outcome.Output).RootElement
        let value = report.GetProperty("value").GetDouble()
        // The largest entries are (3, 1) in size; the spectral certificate is loose by 1e-9 at most.
        Assert.That(value, Is.GreaterThanOrEqualTo expected)
        Assert.That(value, Is.LessThanOrEqualTo(expected * (1.0 + 1e-8)))
        Assert.That(report.GetProperty("norm").GetString(), Is.EqualTo norm)
        Assert.That(report.GetProperty("rigor").GetString(), Is.EqualTo "certified"))

[<Test>]
let ``bound --method fastlip without a radius says what is missing`` () =
    inFolder (fun folder ->
        let outcome = arguments folder |> run
        Assert.That(outcome.ExitCode, Is.EqualTo 2)
        Assert.That(outcome.Error, Does.Contain "--radius is missing"))
