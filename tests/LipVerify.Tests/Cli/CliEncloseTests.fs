/// `enclose` and `--enclosure` from the command line.
module LipVerify.Tests.CliEncloseTests

open System
open System.IO
open System.Text.Json
open NUnit.Framework
open LipVerify.Tests.CliRun

let private digit command arguments =
    run ([ command; onnx; "--input"; eight; "--preprocess"; "mnist" ] @ arguments)

let private json outcome =
    Assert.That(outcome.ExitCode, Is.Zero, outcome.Error)
    JsonDocument.Parse(outcome.Output).RootElement

let private number (name: string) (element: JsonElement) = element.GetProperty(name).GetDouble()

let private text (name: string) (element: JsonElement) =
    element.GetProperty(name).GetString() |> string

let private keys (element: JsonElement) =
    String.Join(" ", [ for property in element.EnumerateObject() -> property.Name ])

let private items (name: string) (element: JsonElement) =
    element.GetProperty(name).EnumerateArray() |> List.ofSeq

let private layer index report =
    items "layers" report
    |> List.find (fun layer -> layer.GetProperty("index").GetInt32() = index)

let private enclose kind radius =
    digit "enclose" [ "--radius"; radius; "--enclosure"; kind; "--json" ] |> json

[<Test>]
let ``enclose --json has its keys in their order`` () =
    let report = enclose "crown" "0.1"

    Assert.That(
        keys report,
        Is.EqualTo
            "schema model norm radius enclosure rigor failureProbability layers outputLower outputUpper engine elapsedSeconds"
    )

    Assert.That(text "schema" report, Is.EqualTo "lipverify/enclose/1")
    Assert.That(text "rigor" report, Is.EqualTo "certified")

    for layer in items "layers" report do
        Assert.That(keys layer, Is.EqualTo "index name kind size active inactive unstable meanWidth maxWidth")

/// Counts change only with the network: no pre-activation of the digit is within rounding of a bound.
[<TestCase("ball", 428, 527, 69, 0.763716)>]
[<TestCase("crown", 444, 555, 25, 0.732101)>]
let ``enclose counts stable and unstable neurons``
    (kind: string)
    (active: int)
    (inactive: int)
    (unstable: int)
    (width: float)
    =
    let report = enclose kind "0.1"
    let second = layer 3 report
    Assert.That(text "kind" second, Is.EqualTo "conv2d+relu")
    Assert.That(number "size" second, Is.EqualTo 1024)
    Assert.That(number "active" second, Is.EqualTo active)
    Assert.That(number "inactive" second, Is.EqualTo inactive)
    Assert.That(number "unstable" second, Is.EqualTo unstable)
    // The golden figure has six digits.
    Assert.That(number "meanWidth" second, Is.EqualTo(width).Within 1e-6)

    // Max pooling asks for no signs.
    let pooling = layer 2 report
    Assert.That(text "kind" pooling, Is.EqualTo "maxpool2d")
    Assert.That(pooling.GetProperty("active").ValueKind, Is.EqualTo JsonValueKind.Null)

[<Test>]
let ``crown is what enclose takes by default, and its bounds hold the output`` () =
    let report = digit "enclose" [ "--radius"; "0.1"; "--json" ] |> json
    Assert.That(text "enclosure" report, Is.EqualTo "crown")

    let nominal = run (bound [ "--radius"; "0.1"; "--json" ]) |> json |> items "output"

    List.iter2
        (fun (output: JsonElement) (lower: JsonElement, upper: JsonElement) ->
            Assert.That(output.GetDouble(), Is.InRange(lower.GetDouble(), upper.GetDouble()))
            Assert.That(upper.GetDouble() - lower.GetDouble(), Is.LessThan 1.0))
        nominal
        (List.zip (items "outputLower" report) (items "outputUpper" report))

[<Test>]
let ``enclose shows a table`` () =
    let outcome = digit "enclose" [ "--radius"; "0.1" ]
    Assert.That(outcome.ExitCode, Is.Zero, outcome.Error)

    for word in [ "crown"; "unstable"; "mean width"; "conv2d+relu"; "maxpool2d"; "certified" ] do
        Assert.That(outcome.Output, Does.Contain word)

/// Golden figures change only with the network.
[<TestCase("ball", 20.6969907)>]
[<TestCase("interval", 20.6969907)>]
[<TestCase("crown", 19.3790722)>]
let ``bound --enclosure tightens Algorithm 1`` (kind: string) (golden: float) =
    let report =
        run (bound [ "--radius"; "0.1"; "--enclosure"; kind; "--json" ]) |> json

    Assert.That(number "value" report, Is.EqualTo(golden).Within(golden * 1e-6))

    if kind <> "ball" then
        Assert.That(text "enclosure" report, Is.EqualTo kind)

[<Test>]
let ``bound says which enclosures it used`` () =
    let outcome = run (bound [ "--radius"; "0.1"; "--enclosure"; "crown" ])
    Assert.That(outcome.Output, Does.Contain "analytic with crown enclosures")

/// The sum over the layers in which ReLUs may have either sign.
let private unstable report =
    items "layers" report
    |> List.filter (fun layer -> layer.GetProperty("unstable").ValueKind <> JsonValueKind.Null)
    |> List.sumBy (fun layer -> layer.GetProperty("unstable").GetInt32())

[<Test>]
let ``enclose --enclosure probes: deeper layers and outputs move far less than intervals say, except with a probability``
    ()
    =
    let intervals, probes = enclose "interval" "0.003", enclose "probes" "0.003"
    Assert.That(text "enclosure" probes, Is.EqualTo "probes")
    Assert.That(text "rigor" probes, Is.EqualTo "probabilistic")
    Assert.That(number "failureProbability" probes, Is.GreaterThan(0.0).And.LessThanOrEqualTo 1e-9)
    Assert.That(unstable probes, Is.LessThan(unstable intervals))

    for index, part in [ 3, 0.6; 7, 0.3; 9, 0.2 ] do
        let width report = number "meanWidth" (layer index report)

        Assert.That(width probes, Is.GreaterThan(0.0).And.LessThan(part * width intervals), $"layer {index}")

    let span report =
        List.map2
            (fun (upper: JsonElement) (lower: JsonElement) -> upper.GetDouble() - lower.GetDouble())
            (items "outputUpper" report)
            (items "outputLower" report)
        |> List.average

    Assert.That(span probes, Is.LessThan(0.2 * span intervals))

    let words =
        (digit "enclose" [ "--radius"; "0.003"; "--enclosure"; "probes" ]).Output

    for word in [ "(2-norm, probes)"; "except with probability" ] do
        Assert.That(words, Does.Contain word)

[<Test>]
let ``bound --enclosure probes: smaller than with intervals, and the reaches count in its probability`` () =
    let bound kind =
        run (bound [ "--radius"; "0.003"; "--enclosure"; kind; "--json" ]) |> json

    let intervals, probes = bound "interval", bound "probes"
    Assert.That(text "enclosure" probes, Is.EqualTo "probes")
    Assert.That(number "value" probes, Is.LessThan(0.995 * number "value" intervals))
    Assert.That(text "rigor" intervals, Is.EqualTo "certified")
    Assert.That(text "rigor" probes, Is.EqualTo "probabilistic")
    Assert.That(number "failureProbability" probes, Is.GreaterThan(0.0).And.LessThanOrEqualTo 1e-9)

    for layer in items "layers" probes do
        Assert.That(text "rigor" layer, Is.EqualTo "probabilistic")

[<Test>]
let ``--enclosure probes gives way to intervals where no reaches are proved, and says why`` () =
    let cases =
        [
            [ "--radius"; "0" ], "the ball is a point"
            [ "--radius"; "0.003"; "--time-limit"; "0" ], "the time was over before reaches were proved"
        ]

    for arguments, reason in cases do
        let asked command =
            digit command (arguments @ [ "--enclosure"; "probes"; "--json" ]) |> json

        let bound, enclosed = asked "bound", asked "enclose"
        Assert.That(text "explanation" bound, Does.Contain $"the enclosures are intervals: {reason}")
        Assert.That(text "explanation" enclosed, Does.Contain $"the enclosures are intervals: {reason}")
        Assert.That(text "enclosure" enclosed, Is.EqualTo "interval")

        Assert.That(
            (digit "enclose" (arguments @ [ "--enclosure"; "probes" ])).Output,
            Does.Contain $"the enclosures are intervals: {reason}"
        )

[<Test>]
let ``where reaches leave the range of doubles, --enclosure probes is interval`` () =
    let probes = run (bound [ "--radius"; "1e305"; "--enclosure"; "probes" ])
    Assert.That(probes.Output, Does.Contain "the enclosures are intervals: no reaches were found that could be proved")
    Assert.That(probes.Output, Does.Contain "The layers by Algorithm 1:")

    let figure (outcome: Outcome) =
        lines outcome.Output |> List.find _.Contains("≤ ")

    Assert.That(figure probes, Is.EqualTo(figure (run (bound [ "--radius"; "1e305"; "--enclosure"; "interval" ]))))

[<Test>]
let ``enclose --time-limit ends linear functions, and says so`` () =
    let report =
        digit "enclose" [ "--radius"; "0.1"; "--time-limit"; "0"; "--json" ] |> json

    Assert.That(text "explanation" report, Does.Contain "the time limit ended it")
    let unlimited = enclose "crown" "0.1"
    Assert.That(unstable report, Is.GreaterThan(unstable unlimited))
    Assert.That(keys unlimited, Does.Not.Contain "explanation")

[<TestCase "bound">]
[<TestCase "enclose">]
[<TestCase "certify">]
let ``--enclosure probes and --rigor certified exclude each other`` (command: string) =
    let radius = if command = "certify" then [] else [ "--radius"; "0.003" ]

    let outcome =
        digit command (radius @ [ "--enclosure"; "probes"; "--rigor"; "certified" ])

    Assert.That(outcome.ExitCode, Is.EqualTo 2)

    Assert.That(
        outcome.Error.TrimEnd(),
        Is.EqualTo "lipverify: --rigor certified is out of reach: --enclosure probes rests on random draws"
    )

[<Test>]
let ``certify --method crown goes further than Proposition 6, without a constant`` () =
    let report = digit "certify" [ "--method"; "crown"; "--json" ] |> json
    // The largest is 0.471784; the search ends a thousandth from it.
    Assert.That(number "certifiedRadius" report, Is.InRange(0.471784 * (1.0 - 1e-3), 0.471785))
    Assert.That(number "notCertifiedAt" report, Is.GreaterThan(number "certifiedRadius" report))
    Assert.That(text "rigor" report, Is.EqualTo "certified")
    Assert.That(report.GetProperty("lipschitz").ValueKind, Is.EqualTo JsonValueKind.Null)

    let words = (digit "certify" [ "--method"; "crown" ]).Output
    Assert.That(words, Does.Contain "margins over the ball")
    Assert.That(words, Does.Not.Contain "Proposition 6")

[<Test>]
let ``certify --enclosure crown certifies more than the paper's enclosures`` () =
    let report = digit "certify" [ "--enclosure"; "crown"; "--json" ] |> json
    Assert.That(number "certifiedRadius" report, Is.EqualTo(0.27494204).Within 1e-6)
    Assert.That(text "enclosure" report, Is.EqualTo "crown")

[<Test>]
let ``curve --enclosure keeps its rows apart from those of other enclosures`` () =
    let csv = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName() + ".csv")

    let curve arguments =
        digit "curve" ([ "--radii"; "0.05,0.1"; "--methods"; "analytic"; "--csv"; csv ] @ arguments)

    try
        let first = curve [ "--enclosure"; "crown" ]
        Assert.That(first.ExitCode, Is.Zero, first.Error)
        Assert.That(first.Output, Does.Contain "analytic with crown enclosures")
        let last = File.ReadAllLines(csv) |> Array.last
        Assert.That(float (last.Split(',')[2]), Is.EqualTo(19.3790722).Within 1e-5)
        let other = curve []
        Assert.That(other.ExitCode, Is.EqualTo 2)
        Assert.That(other.Error, Does.Contain "enclosure")
    finally
        for path in [ csv; csv + ".state" ] do
            File.Delete path
