/// The method `local-lipsdp` from the command line.
module LipVerify.Tests.CliLocalLipSdpTests

open System
open System.Text.Json
open NUnit.Framework
open LipVerify.Tests.CliRun

let private json outcome =
    Assert.That(outcome.ExitCode, Is.Zero, outcome.Error)
    JsonDocument.Parse(outcome.Output).RootElement

let private value method radius =
    let report =
        bound [ "--radius"; radius; "--method"; method; "--json" ] |> run |> json

    report.GetProperty("value").GetDouble(), report

[<Test>]
let ``bound --method local-lipsdp lies far below analytic, is certified and explains itself`` () =
    let analytic, _ = value "analytic" "0.05"
    let tight, report = value "local-lipsdp" "0.05"
    // Products of layer norms lose a factor of several on the first layers alone.
    Assert.That(tight, Is.LessThan(analytic / 2.0))
    Assert.That(report.GetProperty("method").GetString(), Is.EqualTo "local-lipsdp")
    Assert.That(report.GetProperty("rigor").GetString(), Is.EqualTo "certified")
    Assert.That(report.GetProperty("explanation").GetString(), Does.Contain "multipliers")

[<Test>]
let ``a time limit of 0 leaves Algorithm 1 with sums of magnitudes for norms`` () =
    let analytic, _ = value "analytic" "0.05"

    let report =
        bound
            [
                "--radius"
                "0.05"
                "--method"
                "local-lipsdp"
                "--time-limit"
                "0"
                "--json"
            ]
        |> run
        |> json

    Assert.That(report.GetProperty("explanation").GetString(), Does.Contain "the time was over")
    Assert.That(report.GetProperty("rigor").GetString(), Is.EqualTo "certified")
    Assert.That(report.GetProperty("value").GetDouble(), Is.GreaterThanOrEqualTo analytic)
    Assert.That(Double.IsFinite(report.GetProperty("value").GetDouble()))

[<Test>]
let ``certify --method local-lipsdp certifies at least what crown does`` () =
    let radius method more =
        let report =
            run (
                [
                    "certify"
                    onnx
                    "--input"
                    eight
                    "--preprocess"
                    "mnist"
                    "--method"
                    method
                    "--json"
                ]
                @ more
            )
            |> json

        report.GetProperty("certifiedRadius").GetDouble()

    Assert.That(radius "local-lipsdp" [ "--time-limit"; "5" ], Is.GreaterThanOrEqualTo(radius "crown" []))

[<Test>]
let ``curve computes local-lipsdp where it is asked for`` () =
    let outcome =
        run
            [
                "curve"
                onnx
                "--input"
                eight
                "--preprocess"
                "mnist"
                "--radii"
                "0.01,0.02"
                "--methods"
                "analytic,local-lipsdp"
                "--json"
            ]

    let methods =
        [
            for point in (json outcome).GetProperty("points").EnumerateArray() ->
                point.GetProperty("method").GetString()
        ]

    Assert.That(methods, Is.EquivalentTo [ "analytic"; "analytic"; "local-lipsdp"; "local-lipsdp" ])

[<TestCase("--enclosure", "crown", "has no use for --enclosure")>]
[<TestCase("--time-limit", "-1", "--time-limit must be a number of seconds")>]
let ``bound --method local-lipsdp refuses options that make no sense for it``
    (option: string)
    (value: string)
    (problem: string)
    =
    let outcome =
        bound [ "--radius"; "0.1"; "--method"; "local-lipsdp"; option; value ] |> run

    Assert.That(outcome.ExitCode, Is.EqualTo 2)
    Assert.That(outcome.Error, Does.Contain problem)

[<TestCase("global", false)>]
[<TestCase("analytic", true)>]
[<TestCase("seqlip", false)>]
[<TestCase("lipsdp-layer", false)>]
[<TestCase("exact", true)>]
let ``every method takes --time-limit, and says that it ended it`` (method: string, isLocal: bool) =
    let ball = if isLocal then [ "--radius"; "0.1" ] else []

    let outcome =
        bound (ball @ [ "--method"; method; "--time-limit"; "0"; "--json" ]) |> run

    Assert.That(outcome.ExitCode, Is.Zero, outcome.Error)
    let report = json outcome
    Assert.That(report.GetProperty("explanation").GetString(), Does.Contain "the time limit ended it")
    // Attained there.
    Assert.That(report.GetProperty("value").GetDouble(), Is.GreaterThan 2.1)
