/// What the command line prints: the JSON of the contract, tables, help.
module LipVerify.Tests.CliOutputTests

open System
open System.IO
open System.Text.Json
open NUnit.Framework
open LipVerify.Core.Computation
open LipVerify.Formats
open LipVerify.Tests.CliRun

/// Golden figures change only with the network; the C# façade's tests hold the same ones.
let private stable = 1e-6

let private succeeded outcome =
    Assert.That(outcome.ExitCode, Is.Zero, outcome.Error)
    outcome.Output

/// The one document on standard output.
let private json outcome =
    // Parse fails on anything after the document.
    JsonDocument.Parse(succeeded outcome).RootElement

/// The names in an object, in order, with blanks between them.
let private keys (element: JsonElement) =
    String.Join(" ", [ for property in element.EnumerateObject() -> property.Name ])

let private text (name: string) (element: JsonElement) =
    element.GetProperty(name).GetString() |> string

let private number (name: string) (element: JsonElement) = element.GetProperty(name).GetDouble()

[<Test>]
let ``bound --json has the keys of the contract in their order`` () =
    let report = bound [ "--radius"; "0.1"; "--json" ] |> run |> json

    let expected =
        "schema model norm definition radius method value rigor failureProbability layers output engine elapsedSeconds"

    Assert.That(keys report, Is.EqualTo expected)
    Assert.That(text "schema" report, Is.EqualTo "lipverify/bound/1")
    Assert.That(text "model" report, Is.EqualTo onnx)
    Assert.That(text "norm" report, Is.EqualTo "2")
    Assert.That(text "definition" report, Is.EqualTo "nominal")
    Assert.That(text "method" report, Is.EqualTo "analytic")
    Assert.That(number "radius" report, Is.EqualTo 0.1)
    Assert.That(number "failureProbability" report, Is.Zero)
    Assert.That(report.GetProperty("output").GetArrayLength(), Is.EqualTo 10)
    Assert.That(number "elapsedSeconds" report, Is.Positive)

[<Test>]
let ``The layers of bound --json have the keys of the contract in their order`` () =
    let report = bound [ "--radius"; "0.1"; "--json" ] |> run |> json
    let layers = report.GetProperty("layers").EnumerateArray() |> List.ofSeq
    let expected = "index name kind lipschitz rigor radiusIn radiusOut active size"

    for layer in layers do
        Assert.That(keys layer, Is.EqualTo expected)

    let indices = [ for layer in layers -> string (number "index" layer) ]
    Assert.That(String.Join(" ", indices), Is.EqualTo "0 2 3 5 7 9 11")
    Assert.That(text "kind" layers.Head, Is.EqualTo "conv2d+relu")
    Assert.That(number "radiusIn" layers.Head, Is.EqualTo 0.1)

[<TestCase("--radius 0.1", 20.69699071, "certified")>]
[<TestCase("--radius=0.1 --definition=uniform", 22.28217654, "certified")>]
[<TestCase("-r 1 -m analytic", 36.43959569, "certified")>]
[<TestCase("--method global", 57.10365451, "certified")>]
let ``Bounds keep their golden figures`` (options: string) (golden: float) (rigor: string) =
    let report = bound (List.ofArray (options.Split ' ') @ [ "--json" ]) |> run |> json
    Assert.That(number "value" report, Is.EqualTo(golden).Within(golden * stable))
    Assert.That(text "rigor" report, Is.EqualTo rigor)

[<Test>]
let ``A global bound needs no input and has no radii`` () =
    let report = [ "bound"; onnx; "--method"; "global"; "--json" ] |> run |> json
    Assert.That(report.GetProperty("radius").ValueKind, Is.EqualTo JsonValueKind.Null)
    Assert.That(report.GetProperty("output").ValueKind, Is.EqualTo JsonValueKind.Null)

    for layer in report.GetProperty("layers").EnumerateArray() do
        Assert.That(layer.GetProperty("radiusIn").ValueKind, Is.EqualTo JsonValueKind.Null)

[<Test>]
let ``Options may stand before and after the command and the model`` () =
    let value arguments = run arguments |> json |> number "value"
    let expected = bound [ "--radius"; "0.1"; "--json" ] |> value
    let input = [ "--input"; eight; "--preprocess"; "mnist" ]

    for arguments in
        [
            [ "--json" ] @ input @ [ "bound"; onnx; "--radius"; "0.1" ]
            [ "bound"; "--radius"; "0.1"; "--json" ] @ input @ [ onnx ]
            [ "bound"; "--radius"; "0.1"; onnx ] @ input @ [ "--json" ]
        ] do
        Assert.That(value arguments, Is.EqualTo(expected).Within(expected * 1e-9))

[<Test>]
let ``The state dict gives the bound of the ONNX file`` () =
    let report =
        [
            "bound"
            safetensors
            "--architecture"
            "mnist-net"
            "--input"
            eight
            "--mean"
            "0.1307"
            "--std"
            "0.3081"
            "--radius"
            "0.1"
            "--json"
        ]
        |> run
        |> json

    Assert.That(number "value" report, Is.EqualTo(20.69699071).Within(20.69699071 * stable))

[<Test>]
let ``info --json lists the layers`` () =
    let report = [ "info"; onnx; "--json" ] |> run |> json
    Assert.That(keys report, Is.EqualTo "schema model inputShape outputShape parameters layers")
    Assert.That(number "parameters" report, Is.EqualTo 44426)
    Assert.That(report.GetProperty("layers").GetArrayLength(), Is.EqualTo 12)

/// The demo with its curve in a folder that is deleted afterwards.
let private demo arguments (check: string -> Outcome -> unit) =
    let folder = Directory.CreateTempSubdirectory "lipverify-demo-test-"

    try
        check folder.FullName (run ([ "demo"; "--folder"; folder.FullName ] @ arguments))
    finally
        folder.Delete true

[<Test>]
let ``demo --json holds the bounds of its table, certified radii and the curve`` () =
    demo [ "--json" ] (fun folder outcome ->
        let report = json outcome
        let bounds = report.GetProperty("bounds").EnumerateArray() |> List.ofSeq
        Assert.That(text "schema" report, Is.EqualTo "lipverify/demo/1")
        Assert.That(text "method" bounds.Head, Is.EqualTo "global")
        Assert.That(bounds.Tail |> List.map (number "value"), Is.Ordered)

        let radii =
            [
                for item in report.GetProperty("certifiedRadii").EnumerateArray() -> number "certifiedRadius" item
            ]

        Assert.That(radii[0], Is.EqualTo(0.10354971).Within 1e-6)
        Assert.That(radii[1], Is.EqualTo(0.23383641).Within 1e-6)

        for kind, name in [ "csv", "curve.csv"; "plot", "curve.svg"; "html", "curve.html" ] do
            let path = report.GetProperty("curve").GetProperty("files") |> text kind
            Assert.That(path, Is.EqualTo(Path.Combine(folder, name)))
            Assert.That(File.Exists path)

        // A second demo overwrites nothing.
        let again = run [ "demo"; "--folder"; folder ]
        Assert.That(again.ExitCode, Is.EqualTo 2)
        Assert.That(again.Error, Does.Contain "overwrites nothing"))

[<Test>]
let ``Tables are aligned, without blanks at the ends of lines`` () =
    let haveNoBlanks outcome =
        for line in (succeeded outcome).Split '\n' do
            Assert.That(line, Is.EqualTo(line.TrimEnd()))

    for arguments in
        [
            [ "info"; onnx ]
            bound [ "--radius"; "0.1" ]
            [
                "certify"
                onnx
                "--method"
                "global"
                "--input"
                Path.Combine(samples, "digits")
            ]
        ] do
        run arguments |> haveNoBlanks

    demo [] (fun _ outcome -> haveNoBlanks outcome)

    let table = [ "info"; onnx ] |> run |> succeeded |> lines
    let isRule (line: string) = line.StartsWith '─'
    let ends = table.Tail |> List.filter (isRule >> not) |> List.map _.Length
    Assert.That(ends, Is.All.EqualTo ends.Head, "the last column is flush right")

[<Test>]
let ``--output writes the document to a fresh file and over an old one`` () =
    let path = Path.Combine(Path.GetTempPath(), $"lipverify-{Guid.NewGuid():N}.json")

    try
        for radius in [ "0.1"; "1" ] do
            let outcome = bound [ "--radius"; radius; "--json"; "--output"; path ] |> run
            Assert.That(succeeded outcome, Is.Empty)
            let report = JsonDocument.Parse(File.ReadAllText path).RootElement
            Assert.That(number "radius" report, Is.EqualTo(float radius))
    finally
        File.Delete path

/// One weight whose ten nearest digits, 2.042082128, lie below it.
let private oneWeight folder =
    let path name = Path.Combine(folder, name)
    let weight = Tensor.ofArray [ 1; 1 ] [| 2.0420821284858923 |]

    File.WriteAllBytes(
        path "w.safetensors",
        Safetensors.write [] [ "fc.weight", weight; "fc.bias", Tensor.vector [| 0.0 |] ]
    )

    File.WriteAllText(
        path "w.json",
        """{ "input": [1], "layers": [ { "type": "linear", "name": "fc", "in": 1, "out": 1 } ] }"""
    )

    [ path "w.safetensors"; "--architecture"; path "w.json" ]

[<TestCase "analytic">]
[<TestCase "fastlip">]
[<TestCase "recurjac">]
[<TestCase "local-lipsdp">]
[<TestCase "structured">]
let ``A bound is printed upward, in the layers too, and the radius as it was given`` (method: string) =
    CliRun.inFolder (fun folder ->
        let outcome =
            [ "bound" ]
            @ oneWeight folder
            @ [ "--input"; "zeros"; "--radius"; "0.1"; "--method"; method ]
            |> run

        let text = succeeded outcome
        Assert.That(text, Does.Contain "within radius 0.1 ")
        Assert.That(text, Does.Contain "≤ 2.042082129\n")
        Assert.That(text, Does.Not.Contain "2.04208 ")

        if method = "analytic" then
            let layer = lines text |> List.find (fun line -> line.Contains "dense")
            // The radius of its outputs is a bound.
            Assert.That(layer, Does.Match "2\\.04209 +certified +0\\.1 +0\\.204209 "))

[<TestCase("--help", "EXAMPLES")>]
[<TestCase("--help", "3 an internal error, 130 ended by Ctrl-C")>]
[<TestCase("curve --help", "3 an internal error, 130 ended by Ctrl-C")>]
[<TestCase("info --help", "lipverify info ")>]
[<TestCase("bound --help", "--radius")>]
[<TestCase("bound --help", "lipverify bound ")>]
[<TestCase("demo --help", "lipverify demo")>]
[<TestCase("--version", "lipverify ")>]
let ``Help and version exit with 0`` (arguments: string) (part: string) =
    let outcome = run (List.ofArray (arguments.Split ' '))
    Assert.That(succeeded outcome, Does.Contain part)
    Assert.That(outcome.Error, Is.Empty)
