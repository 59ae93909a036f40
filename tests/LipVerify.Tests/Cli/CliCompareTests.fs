/// `lipverify compare`.
module LipVerify.Tests.CliCompareTests

open System
open System.IO
open System.Text.Json
open NUnit.Framework
open LipVerify.Cli
open LipVerify.Core.Numbers
open LipVerify.Core.Networks
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Tests.CliRun

/// `compare` of `3 relu(x1) − relu(x2 + 1)` around 0, within 0.5.
let private arguments folder =
    let bound = CliExactTests.write folder

    let model =
        bound |> List.skip 1 |> List.takeWhile (fun argument -> argument <> "--method")

    "compare" :: model @ [ "--radius"; "0.5" ]

let private compared folder =
    let outcome = arguments folder @ [ "--json" ] |> run
    Assert.That(outcome.ExitCode, Is.Zero, outcome.Error)
    JsonDocument.Parse(outcome.Output).RootElement

let private rows (report: JsonElement) (side: string) =
    [ for row in report.GetProperty(side).EnumerateArray() -> row ]

let private text (name: string) (row: JsonElement) =
    row.GetProperty(name).GetString() |> string

[<Test>]
let ``compare lists every method with its value, or why it has none`` () =
    inFolder (fun folder ->
        let report = compared folder
        Assert.That(text "schema" report, Is.EqualTo "lipverify/compare/1")
        let upper = rows report "upper"
        let names = upper |> List.map (text "method") |> List.distinct

        for name in
            [
                "global"
                "seqlip"
                "seqlip-exact"
                "lipsdp-neuron"
                "lipsdp-layer"
                "analytic"
                "crown-analytic"
                "local-lipsdp"
                "structured"
                "exact"
                "fastlip"
                "recurjac"
                "shor"
                "hr2"
                "lipopt3"
            ] do
            Assert.That(names, Does.Contain name)

        for name in [ "fastlip"; "recurjac" ] do
            let listed =
                upper
                |> List.filter (fun row -> text "method" row = name)
                |> List.map (fun row -> text "definition" row, text "norm" row)

            Assert.That(listed, Is.EquivalentTo(List.allPairs [ "nominal"; "uniform" ] [ "2"; "inf"; "1" ]), name)

        let structured =
            upper
            |> List.filter (fun row -> text "method" row = "structured")
            |> List.map (fun row -> text "scope" row, text "definition" row, text "norm" row)

        Assert.That(
            structured,
            Is.EquivalentTo [ "local", "nominal", "2"; "local", "uniform", "2"; "global", "uniform", "2" ]
        )

        for row in upper do
            let hasValue = row.GetProperty("value").ValueKind = JsonValueKind.Number
            let hasReason = row.GetProperty("reason").ValueKind = JsonValueKind.String
            Assert.That(hasValue, Is.Not.EqualTo hasReason, string row))

[<Test>]
let ``compare sets no upper bound below the slope that is attained`` () =
    inFolder (fun folder ->
        let report = compared folder

        Assert.That(
            rows report "lower"
            |> List.map (fun row -> text "definition" row, text "norm" row),
            Is.EquivalentTo(List.allPairs [ "nominal"; "uniform" ] [ "2"; "inf"; "1" ])
        )

        for lower in rows report "lower" do
            for row in rows report "upper" do
                let isComparable =
                    text "definition" row = text "definition" lower
                    && text "norm" row = text "norm" lower
                    && row.GetProperty("value").ValueKind = JsonValueKind.Number

                if isComparable then
                    let value (row: JsonElement) = row.GetProperty("value").GetDouble()
                    // Both ends of `exact` are plain floating point.
                    Assert.That(value row, Is.GreaterThanOrEqualTo(value lower * (1.0 - 1e-9)), string row)

                    Assert.That(
                        row.GetProperty("ratio").GetDouble(),
                        Is.LessThanOrEqualTo(value row / value lower + 1e-9)
                    ))

[<Test>]
let ``compare writes one line and one dot a method`` () =
    inFolder (fun folder ->
        let csv = Path.Combine(folder, "methods.csv")
        let plot = Path.Combine(folder, "methods.svg")
        let outcome = arguments folder @ [ "--csv"; csv; "--plot"; plot ] |> run
        Assert.That(outcome.ExitCode, Is.Zero, outcome.Error)
        let lines = File.ReadAllLines csv
        Assert.That(lines[0], Is.EqualTo "method,bound,scope,definition,norm,value,rigor,seconds,ratio,reason")

        Assert.That(
            lines
            |> Array.exists (fun line ->
                line.StartsWith("local-lipsdp,upper,local,uniform,2,", StringComparison.Ordinal))
        )

        Assert.That(outcome.Output, Does.Contain "local-lipsdp")

        let dots =
            System.Xml.Linq.XDocument.Load(plot).Descendants()
            |> Seq.choose (fun mark ->
                match mark.Attribute(System.Xml.Linq.XName.Get "class") with
                | null -> None
                | _ -> Some mark.Name.LocalName)
            |> List.ofSeq

        let rigors =
            lines
            |> Array.skip 1
            |> Array.map (fun line -> line.Split(',')[6])
            |> Array.filter (fun rigor -> rigor <> "")

        Assert.That(dots, Has.Length.EqualTo rigors.Length)

        // A circle is certified, and nothing else is.
        let isCircle name = name = "circle"
        let isCertified rigor = rigor = "certified"

        Assert.That(List.filter isCircle dots, Has.Length.EqualTo (Array.filter isCertified rigors).Length)

        let picture = File.ReadAllText plot

        for side, rigor in [ "upper", "certified"; "upper", "numerical"; "lower", "certified" ] do
            Assert.That(picture, Does.Contain $"{side} bound, {rigor}")

        Assert.That(picture, Does.Not.Contain folder, "a picture shows the names of files, not where they lie"))

[<Test>]
let ``compare takes ratios to the best that any row attained, the lower ends of exact included`` () =
    inFolder (fun folder ->
        let report = compared folder
        let upper = rows report "upper"
        let number (name: string) (row: JsonElement) = row.GetProperty(name).GetDouble()

        let exact = upper |> List.filter (fun row -> text "method" row = "exact")

        Assert.That(
            exact |> List.map (fun row -> text "definition" row, text "norm" row),
            Is.EquivalentTo(List.allPairs [ "nominal"; "uniform" ] [ "2"; "inf" ])
        )

        for row in exact do
            Assert.That(
                number "lower" row,
                Is.GreaterThan(0.0).And.LessThanOrEqualTo(number "value" row * (1.0 + 1e-9))
            )

            Assert.That(text "lowerRigor" row, Is.Not.Empty)

        // A slope against the input is one between two inputs as well.
        let attained norm definition =
            let counts row =
                text "norm" row = norm
                && (text "definition" row = "nominal" || text "definition" row = definition)

            (rows report "lower" |> List.filter counts |> List.map (number "value"))
            @ (exact |> List.filter counts |> List.map (number "lower"))
            |> List.max

        for row in upper do
            if row.GetProperty("value").ValueKind = JsonValueKind.Number then
                let best = attained (text "norm" row) (text "definition" row)
                Assert.That(number "ratio" row, Is.EqualTo(number "value" row / best).Within 1e-12, string row))

[<Test>]
let ``a lower end of the uniform constant says nothing of the nominal one`` () =
    let row definition value lower =
        {
            Method = "exact"
            Definition = definition
            Norm = Euclidean
            Scope = "local"
            Outcome = Ok(Bound.certified value)
            LowerEnd = Some(Bound.certified lower)
            EndedByLimit = false
            Seconds = 0.0
            Ratio = None
        }

    let rated =
        CompareReport.withRatios
            {
                Model = "m"
                Radius = 1.0
                Lower = []
                Upper = [ row Nominal 4.0 2.0; row Uniform 6.0 5.0 ]
                IsComplete = true
                Engine = "e"
            }

    Assert.That(rated.Upper[0].Ratio, Is.EqualTo(Some 2.0))
    // 6/5 lies above the double next to it, and ratios are rounded upward.
    Assert.That(rated.Upper[1].Ratio, Is.EqualTo(Some(Math.BitIncrement(6.0 / 5.0))))

    let nominalOnly =
        CompareReport.withRatios
            { rated with
                Upper = [ row Nominal 4.0 3.0; row Uniform 6.0 1.0 ]
            }

    Assert.That(nominalOnly.Upper[1].Ratio, Is.EqualTo(Some 2.0))

[<Test>]
let ``compare says that it is complete`` () =
    inFolder (fun folder ->
        let report = compared folder
        Assert.That(report.GetProperty("complete").GetBoolean()))

[<Test>]
let ``compare ends every row by its limit`` () =
    inFolder (fun folder ->
        let outcome = arguments folder @ [ "--json"; "--time-limit"; "0" ] |> run
        Assert.That(outcome.ExitCode, Is.Zero, outcome.Error)
        let report = JsonDocument.Parse(outcome.Output).RootElement

        for row in rows report "lower" do
            Assert.That(row.GetProperty("value").GetDouble(), Is.Zero)

        // The slope 3 is attained along the first coordinate, whatever the norm.
        for row in rows report "upper" do
            if row.GetProperty("value").ValueKind = JsonValueKind.Number then
                Assert.That(text "reason" row, Is.EqualTo "the time limit ended it")

                Assert.That(
                    row.GetProperty("value").GetDouble(),
                    Is.GreaterThanOrEqualTo(3.0 * (1.0 - 1e-9)),
                    string row
                ))

[<Test>]
let ``compare marks the rows that its limit ended, for readers and in the CSV file`` () =
    inFolder (fun folder ->
        let csv = Path.Combine(folder, "rows.csv")
        let outcome = arguments folder @ [ "--csv"; csv; "--time-limit"; "0" ] |> run
        Assert.That(outcome.ExitCode, Is.Zero, outcome.Error)
        Assert.That(outcome.Output, Does.Contain "certified (time limit)")

        let analytic = File.ReadAllLines csv |> Array.filter _.StartsWith("analytic,upper")

        Assert.That(analytic, Has.All.EndsWith ",the time limit ended it")
        Assert.That(analytic, Is.Not.Empty))

[<Test>]
let ``compare refuses a norm of its own`` () =
    inFolder (fun folder ->
        let outcome = arguments folder @ [ "--norm"; "inf" ] |> run
        Assert.That(outcome.ExitCode, Is.EqualTo 2)
        Assert.That(outcome.Error, Does.Contain "--norm"))

[<Test>]
let ``compare sets the exact constant in both norms`` () =
    inFolder (fun folder ->
        let exact =
            rows (compared folder) "upper"
            |> List.filter (fun row -> text "method" row = "exact")

        let value norm =
            (exact |> List.find (fun row -> text "norm" row = norm)).GetProperty("value").GetDouble()

        // The gradient (3, −1) where x1 > 0.
        Assert.That(value "2", Is.EqualTo(sqrt 10.0).Within 0.01)
        Assert.That(value "inf", Is.EqualTo(4.0).Within 0.01))

[<Test>]
let ``compare declines exact at once at networks that are not branched`` () =
    check 60 network (fun case ->
        let isChain =
            Network.layers case.Network
            |> List.forall (fun placed ->
                match placed.Layer with
                | MaxPooling _ -> false
                | _ -> true)

        if not isChain then
            // Bounds report what they do; a check does not.
            let context =
                { context with
                    Report = fun line -> Assert.Fail $"a bound was begun: {line}"
                }

            for row in ComparedMethods.all |> List.filter (fun row -> row.Name = "exact") do
                match row.Run context case.Network case.Input case.Radius with
                | Ok found -> Assert.Fail $"{found.Result.Bound} at {case.Text}"
                | Error reason -> Assert.That(reason, Does.StartWith "not branched: "))
