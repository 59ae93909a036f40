/// The method `structured` from the command line.
module LipVerify.Tests.CliStructuredTests

open System
open System.IO
open System.Text.Json
open NUnit.Framework
open LipVerify.Core.Computation
open LipVerify.Formats
open LipVerify.Propositions.Generators
open LipVerify.Tests.CliRun

/// Dense layers of these widths with ReLUs between them, drawn from a normal distribution, and an input, as arguments of a command.
let private dense folder (widths: int list) =
    let path name = Path.Combine(folder, name)
    let draw = Draw 1
    let pairs = List.pairwise widths |> List.indexed

    let tensors =
        [
            for k, (inputs, outputs) in pairs do
                $"fc{k}.weight", Tensor.ofArray [ outputs; inputs ] (draw.Gaussians(inputs * outputs))
                $"fc{k}.bias", Tensor.vector (draw.Gaussians outputs)
        ]

    let layers =
        pairs
        |> List.map (fun (k, (inputs, outputs)) ->
            $$"""{ "type": "linear", "name": "fc{{k}}", "in": {{inputs}}, "out": {{outputs}} }""")
        |> String.concat """, { "type": "relu" }, """

    File.WriteAllBytes(path "dense.safetensors", Safetensors.write [] tensors)
    File.WriteAllText(path "dense.json", $$"""{ "input": [{{widths.Head}}], "layers": [ {{layers}} ] }""")
    [ path "dense.safetensors"; "--architecture"; path "dense.json" ]

let private around = [ "--input"; "random?seed=1" ]

let private json outcome =
    Assert.That(outcome.ExitCode, Is.Zero, outcome.Error)
    JsonDocument.Parse(outcome.Output).RootElement

let private number (name: string) (element: JsonElement) = element.GetProperty(name).GetDouble()

let private text (name: string) (element: JsonElement) =
    element.GetProperty(name).GetString() |> string

let private boundBy method arguments =
    [ "bound" ] @ arguments @ [ "--method"; method; "--json" ] |> run |> json

[<TestCase "nominal">]
[<TestCase "uniform">]
let ``bound --method structured lies far below analytic, says what it promises and explains itself``
    (definition: string)
    =
    inFolder (fun folder ->
        let at =
            dense folder [ 10; 30; 30; 3 ]
            @ around
            @ [ "--radius"; "0.1"; "--definition"; definition ]

        let analytic, structured = boundBy "analytic" at, boundBy "structured" at
        Assert.That(number "value" structured, Is.GreaterThan(0.0).And.LessThan(0.7 * number "value" analytic))
        Assert.That(text "definition" structured, Is.EqualTo definition)
        Assert.That(text "method" structured, Is.EqualTo "structured")
        Assert.That(text "rigor" structured, Is.EqualTo "probabilistic")
        Assert.That(number "failureProbability" structured, Is.GreaterThan(0.0).And.LessThanOrEqualTo 1e-9)
        Assert.That(text "explanation" structured, Does.Contain "slopes of which are not known")

        // The layers are those of Algorithm 1; where norms were sought from other random starts, up to rounding.
        let layers (report: JsonElement) =
            [ for layer in report.GetProperty("layers").EnumerateArray() -> layer ]

        for own, other in List.zip (layers structured) (layers analytic) do
            Assert.That(text "name" own, Is.EqualTo(text "name" other))
            let expected = number "lipschitz" other
            Assert.That(number "lipschitz" own, Is.EqualTo(expected).Within(1e-9 * expected)))

[<Test>]
let ``bound --method structured without a radius bounds the network over all inputs`` () =
    inFolder (fun folder ->
        let model = dense folder [ 10; 400; 2 ]
        let product, structured = boundBy "global" model, boundBy "structured" model
        Assert.That(number "value" structured, Is.LessThan(0.8 * number "value" product))
        Assert.That(text "definition" structured, Is.EqualTo "uniform")
        Assert.That(structured.GetProperty("radius").ValueKind, Is.EqualTo JsonValueKind.Null)
        Assert.That(structured.GetProperty("output").ValueKind, Is.EqualTo JsonValueKind.Null)

        let local =
            boundBy "structured" (model @ around @ [ "--radius"; "0.01"; "--definition"; "uniform" ])

        // Over a small ball fewer slopes are open. Both are loose by 0.4 % at most where their searches end at the same weights.
        Assert.That(number "value" local, Is.LessThanOrEqualTo(1.01 * number "value" structured)))

[<Test>]
let ``a time limit of 0 leaves the method structured with what Algorithm 1, or the product of layers, has by then`` () =
    inFolder (fun folder ->
        let model = dense folder [ 10; 30; 30; 3 ]
        let limit = [ "--time-limit"; "0" ]

        for at in [ around @ [ "--radius"; "0.1" ]; [] ] do
            let ended = boundBy "structured" (model @ at @ limit)
            Assert.That(text "explanation" ended, Does.Contain "the time limit ended it")
            let enough = boundBy "structured" (model @ at)
            Assert.That(number "value" ended, Is.GreaterThanOrEqualTo(number "value" enough))
            Assert.That(Double.IsFinite(number "value" ended)))

/// Command lines that the method refuses, with parts of the line that says why.
let private refused: (string * string list) list =
    [
        "bound M --input X --radius 0.1 --method structured --rigor certified",
        [ "--rigor certified is out of reach"; "random draws" ]
        "bound M --method structured --rigor certified", [ "--rigor certified is out of reach" ]
        "certify M --input X --method structured --rigor certified", [ "--rigor certified is out of reach" ]
        "curve M --input X --radii 0.1 --methods analytic,structured --rigor certified",
        [ "--rigor certified is out of reach of --methods structured" ]
        "bound M --input X --radius 0.1 --method structured --norm inf", [ "--norm inf is there for the methods" ]
        "bound M --input X --radius 0.1 --method structured --enclosure crown", [ "no use for --enclosure" ]
        "bound M --input X --method structured", [ "no use for --input without --radius" ]
        "bound M --method structured --definition nominal", [ "structured without --radius"; "leave --definition out" ]
        "certify M --input X --method structured --enclosure crown", [ "--enclosure" ]
    ]

[<Test>]
let ``what the method structured cannot do is refused with one line that says why`` () =
    inFolder (fun folder ->
        let model = dense folder [ 4; 4; 2 ]

        for line, parts in refused do
            let outcome =
                line.Split ' '
                |> List.ofArray
                |> List.collect (fun word ->
                    match word with
                    | "M" -> model
                    | "X" -> [ "random?seed=1" ]
                    | "C" -> [ Path.Combine(folder, "c.json") ]
                    | _ -> [ word ])
                |> run

            Assert.That(outcome.ExitCode, Is.EqualTo 2, line)
            Assert.That(outcome.Error.TrimEnd().Split '\n', Has.Exactly(1).Items, outcome.Error)

            for part in parts do
                Assert.That(outcome.Error, Does.Contain part, line))

[<Test>]
let ``compare --rigor certified says of structured that it is out of reach`` () =
    inFolder (fun folder ->
        let report =
            [ "compare" ]
            @ dense folder [ 2; 2; 1 ]
            @ around
            @ [ "--radius"; "0.1"; "--rigor"; "certified"; "--json" ]
            |> run
            |> json

        let rows =
            [
                for row in report.GetProperty("upper").EnumerateArray() do
                    if text "method" row = "structured" then
                        row
            ]

        Assert.That(rows, Has.Exactly(3).Items)

        for row in rows do
            Assert.That(text "reason" row, Does.Contain "--rigor certified is out of reach"))

[<Test>]
let ``curve computes structured where it is asked for, and its time limit is part of the state`` () =
    inFolder (fun folder ->
        let csv = Path.Combine(folder, "curve.csv")

        let curve limit =
            [ "curve" ]
            @ dense folder [ 10; 30; 30; 3 ]
            @ around
            @ [
                "--radii"
                "0.01,0.1"
                "--methods"
                "analytic,structured,gradient"
                "--time-limit"
                limit
                "--csv"
                csv
                "--json"
            ]
            |> run

        let points =
            [
                for point in (json (curve "30")).GetProperty("points").EnumerateArray() -> point
            ]

        let values method =
            points
            |> List.filter (fun point -> text "method" point = method)
            |> List.map (number "value")

        for structured, analytic in List.zip (values "structured") (values "analytic") do
            Assert.That(structured, Is.LessThan analytic)

        for structured, attained in List.zip (values "structured") (values "gradient") do
            Assert.That(structured, Is.GreaterThanOrEqualTo attained)

        let other = curve "31"
        Assert.That(other.ExitCode, Is.EqualTo 2)
        Assert.That(other.Error, Does.Contain "time limit"))

[<TestCase "nominal">]
[<TestCase "uniform">]
let ``certify --method structured certifies more than analytic, and no attack succeeds within`` (definition: string) =
    inFolder (fun folder ->
        let certify method =
            [ "certify" ]
            @ dense folder [ 10; 30; 30; 3 ]
            @ around
            @ [ "--method"; method; "--definition"; definition; "--attacks"; "--json" ]
            |> run
            |> json

        let analytic, structured = certify "analytic", certify "structured"
        let radius = number "certifiedRadius" structured
        Assert.That(number "label" structured, Is.EqualTo(number "label" analytic))
        Assert.That(radius, Is.GreaterThan(1.2 * number "certifiedRadius" analytic))
        Assert.That(radius, Is.LessThan(number "pgd" (structured.GetProperty "attacks")))
        Assert.That(text "rigor" structured, Is.EqualTo "probabilistic")
        Assert.That(number "failureProbability" structured, Is.LessThanOrEqualTo 1e-9)
        // Margins are behind the radius, and no constant.
        Assert.That((structured.GetProperty "lipschitz").ValueKind, Is.EqualTo JsonValueKind.Null))

[<Test>]
let ``certify --enclosure probes certifies no less than with intervals, and says where these had to serve`` () =
    inFolder (fun folder ->
        let model = dense folder [ 10; 30; 30; 3 ] @ around

        let certify kind more =
            [ "certify" ] @ model @ [ "--enclosure"; kind ] @ more |> run

        let asked kind more = certify kind ("--json" :: more) |> json
        let intervals, probes = asked "interval" [], asked "probes" []
        Assert.That(text "enclosure" probes, Is.EqualTo "probes")
        Assert.That(number "failureProbability" probes, Is.GreaterThan(0.0).And.LessThanOrEqualTo 1e-9)
        Assert.That(probes.TryGetProperty "explanation" |> fst, Is.False)
        // The search ends a thousandth from the largest radius.
        Assert.That(
            number "certifiedRadius" probes,
            Is.GreaterThanOrEqualTo(0.998 * number "certifiedRadius" intervals)
        )

        let ended = asked "probes" [ "--time-limit"; "0" ]

        let reason =
            "at 1 of 1 radii that were tried the enclosures are intervals: the time was over before reaches were proved"

        Assert.That(text "explanation" ended, Is.EqualTo reason)
        Assert.That((certify "probes" [ "--time-limit"; "0" ]).Output, Does.Contain reason))

[<Test>]
let ``local-lipsdp hands over to structured where multipliers do not take the network, unless draws are forbidden`` () =
    inFolder (fun folder ->
        // Some 2500 slopes are open.
        let at = dense folder [ 8; 6000; 2 ] @ around @ [ "--radius"; "0.5" ]
        let analytic, handed = boundBy "analytic" at, boundBy "local-lipsdp" at
        Assert.That(number "value" handed, Is.LessThan(0.5 * number "value" analytic))
        Assert.That(text "explanation" handed, Does.Contain "handed over to the method structured")
        Assert.That(text "rigor" handed, Is.EqualTo "probabilistic")
        Assert.That(number "failureProbability" handed, Is.LessThanOrEqualTo 1e-9)

        let kept = boundBy "local-lipsdp" (at @ [ "--rigor"; "certified" ])
        Assert.That(text "explanation" kept, Does.Not.Contain "structured")
        Assert.That(text "rigor" kept, Is.EqualTo "certified")
        Assert.That(number "value" kept, Is.GreaterThan(number "value" handed)))
