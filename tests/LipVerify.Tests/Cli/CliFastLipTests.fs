/// The methods `fastlip` and `recurjac` from the command line.
module LipVerify.Tests.CliFastLipTests

open System.Text.Json
open NUnit.Framework
open LipVerify.Tests.CliRun

/// `bound --method METHOD` of `3 relu(x1) − relu(x2 + 1)` around 0.
let private arguments method folder =
    CliExactTests.write folder
    |> List.map (fun argument -> if argument = "exact" then method else argument)

[<Test>]
let ``bound --method fastlip and recurjac measure the entries of the Jacobian in each norm``
    ([<Values("fastlip", "recurjac")>] method: string)
    ([<Values("inf", "2", "1")>] norm: string)
    =
    // The largest entries are (3, 1) in size.
    let expected = Map [ "inf", 4.0; "2", sqrt 10.0; "1", 3.0 ] |> Map.find norm

    inFolder (fun folder ->
        let outcome =
            arguments method folder
            @ [ "--radius"; "0.5"; "--definition"; "uniform"; "--norm"; norm; "--json" ]
            |> run

        Assert.That(outcome.ExitCode, Is.Zero, outcome.Error)
        let report = JsonDocument.Parse(outcome.Output).RootElement
        let value = report.GetProperty("value").GetDouble()
        // The spectral certificate is loose by 1e-9 at most.
        Assert.That(value, Is.GreaterThanOrEqualTo expected)
        Assert.That(report.GetProperty("method").GetString(), Is.EqualTo method)
        Assert.That(value, Is.LessThanOrEqualTo(expected * (1.0 + 1e-8)))
        Assert.That(report.GetProperty("norm").GetString(), Is.EqualTo norm)
        Assert.That(report.GetProperty("rigor").GetString(), Is.EqualTo "certified"))

[<TestCase "fastlip">]
[<TestCase "recurjac">]
let ``bound --method fastlip and recurjac without a radius say what is missing`` (method: string) =
    inFolder (fun folder ->
        let outcome = arguments method folder |> run
        Assert.That(outcome.ExitCode, Is.EqualTo 2)
        Assert.That(outcome.Error, Does.Contain "--radius is missing"))

[<Test>]
let ``bound --method recurjac and fastlip end by --time-limit and say so`` () =
    inFolder (fun folder ->
        let run method =
            arguments method folder
            @ [ "--radius"; "0.5"; "--norm"; "inf"; "--time-limit"; "0"; "--json" ]
            |> run

        for method in [ "recurjac"; "fastlip" ] do
            let outcome = run method
            Assert.That(outcome.ExitCode, Is.Zero, outcome.Error)
            let report = JsonDocument.Parse(outcome.Output).RootElement
            Assert.That(report.GetProperty("explanation").GetString(), Does.Contain "the time limit ended it")
            Assert.That(report.GetProperty("rigor").GetString(), Is.EqualTo "certified")
            Assert.That(report.GetProperty("value").GetDouble(), Is.GreaterThanOrEqualTo 3.0))
