/// The method `exact` from the command line.
module LipVerify.Tests.CliExactTests

open System
open System.IO
open System.Text
open System.Text.Json
open NUnit.Framework
open LipVerify.Tests.CliRun

/// A network 2-2-1 as state dict and architecture: `3 relu(x1) − relu(x2 + 1)`.
let internal write folder =
    let tensors =
        [
            "fc1.weight", [ 2; 2 ], [ 1.0; 0.0; 0.0; 1.0 ]
            "fc1.bias", [ 2 ], [ 0.0; 1.0 ]
            "fc2.weight", [ 1; 2 ], [ 3.0; -1.0 ]
            "fc2.bias", [ 1 ], [ 0.0 ]
        ]

    let entries =
        (0, tensors)
        ||> List.mapFold (fun start (name, shape: int list, values) ->
            let finish = start + 8 * List.length values
            let extents = shape |> List.map string |> String.concat ","
            $"\"{name}\":{{\"dtype\":\"F64\",\"shape\":[{extents}],\"data_offsets\":[{start},{finish}]}}", finish)
        |> fst

    let header = Encoding.UTF8.GetBytes("{" + String.concat "," entries + "}")

    let data =
        tensors
        |> List.collect (fun (_, _, values) -> values)
        |> List.map (fun (value: float) -> BitConverter.GetBytes value)
        |> Array.concat

    let model = Path.Combine(folder, "small.safetensors")
    File.WriteAllBytes(model, Array.concat [ BitConverter.GetBytes(int64 header.Length); header; data ])
    let architecture = Path.Combine(folder, "small.json")

    File.WriteAllText(
        architecture,
        """{ "input": [2], "layers": [ { "type": "linear", "name": "fc1", "in": 2, "out": 2 }, { "type": "relu" },
             { "type": "linear", "name": "fc2", "in": 2, "out": 1 } ] }"""
    )

    [
        "bound"
        model
        "--architecture"
        architecture
        "--input"
        "zeros"
        "--method"
        "exact"
    ]

[<Test>]
let ``bound --method exact reports both ends and the gap between them`` () =
    inFolder (fun folder ->
        let outcome =
            write folder @ [ "--radius"; "0.5"; "--definition"; "uniform"; "--json" ] |> run

        Assert.That(outcome.ExitCode, Is.Zero, outcome.Error)
        let report = JsonDocument.Parse(outcome.Output).RootElement
        let number (name: string) = report.GetProperty(name).GetDouble()
        // Where x1 > 0 the gradient is (3, −1); x2 + 1 stays positive.
        Assert.That(number "lower", Is.EqualTo(sqrt 10.0).Within 0.01)
        Assert.That(number "value", Is.EqualTo(sqrt 10.0).Within 0.01)
        Assert.That(number "value", Is.GreaterThanOrEqualTo(number "lower"))
        Assert.That(number "gap", Is.LessThanOrEqualTo 1e-3))

[<Test>]
let ``bound --method exact takes the maximum norm, where the rows of the Jacobian are summed`` () =
    inFolder (fun folder ->
        for definition in [ "uniform"; "nominal" ] do
            let outcome =
                write folder
                @ [ "--radius"; "0.5"; "--definition"; definition; "--norm"; "inf"; "--json" ]
                |> run

            Assert.That(outcome.ExitCode, Is.Zero, outcome.Error)
            let report = JsonDocument.Parse(outcome.Output).RootElement
            let number (name: string) = report.GetProperty(name).GetDouble()
            Assert.That(report.GetProperty("norm").GetString(), Is.EqualTo "inf")
            // Where x1 > 0 the gradient is (3, −1), and the input lies on the kink.
            Assert.That(number "lower", Is.EqualTo(4.0).Within 0.01)
            Assert.That(number "value", Is.EqualTo(4.0).Within 0.01)
            Assert.That(number "gap", Is.LessThanOrEqualTo 1e-3))

[<Test>]
let ``bound --method exact says both ends to a reader`` () =
    inFolder (fun folder ->
        let outcome = write folder @ [ "--radius"; "0.5"; "--time-limit"; "60" ] |> run
        Assert.That(outcome.ExitCode, Is.Zero, outcome.Error)
        Assert.That(outcome.Output, Does.Contain "≤ 3.16")
        Assert.That(outcome.Output, Does.Contain "≥ 3.16")
        Assert.That(outcome.Output, Does.Contain "gap"))

[<TestCase("--certificate", "c.json", "has no use for --certificate")>]
[<TestCase("--enclosure", "crown", "has no use for --enclosure")>]
[<TestCase("--class", "0", "has no use for --class")>]
[<TestCase("--rigor", "certified", "--rigor certified is out of reach")>]
let ``bound --method exact refuses options that make no sense for it``
    (option: string)
    (value: string)
    (problem: string)
    =
    inFolder (fun folder ->
        let outcome = write folder @ [ "--radius"; "0.5"; option; value ] |> run
        Assert.That(outcome.ExitCode, Is.EqualTo 2)
        Assert.That(outcome.Error, Does.Contain problem))

[<Test>]
let ``bound --method exact needs a radius`` () =
    inFolder (fun folder ->
        let outcome = run (write folder)
        Assert.That(outcome.ExitCode, Is.EqualTo 2)
        Assert.That(outcome.Error, Does.Contain "--radius is missing"))
