/// `lipverify compare`.
module LipVerify.Tests.CliCompareTests

open System
open System.IO
open System.Text.Json
open Expecto
open LipVerify.Propositions.Expectations
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
    Expect.equal outcome.ExitCode 0 outcome.Error
    JsonDocument.Parse(outcome.Output).RootElement

let private rows (report: JsonElement) (side: string) =
    [ for row in report.GetProperty(side).EnumerateArray() -> row ]

let private text (name: string) (row: JsonElement) =
    row.GetProperty(name).GetString() |> string

[<Tests>]
let tests =
    testSequenced
    <| testList
        "CliCompare"
        [
            testCase "compare lists every method with its value, or why it has none" (fun () ->
                inFolder (fun folder ->
                    let report = compared folder
                    Expect.equal (text "schema" report) "lipverify/compare/1" "schema"
                    let upper = rows report "upper"
                    let names = upper |> List.map (text "method") |> List.distinct

                    for name in
                        [
                            "global"
                            "seqlip"
                            "seqlip-exact"
                            "lipsdp-neuron"
                            "lipsdp-layer"
                            "eclipse-fast"
                            "eclipse"
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
                        Expect.contains names name "names"

                    for name in [ "fastlip"; "recurjac" ] do
                        let listed =
                            upper
                            |> List.filter (fun row -> text "method" row = name)
                            |> List.map (fun row -> text "definition" row, text "norm" row)

                        Expect.sameElements listed (List.allPairs [ "nominal"; "uniform" ] [ "2"; "inf"; "1" ]) name

                    let structured =
                        upper
                        |> List.filter (fun row -> text "method" row = "structured")
                        |> List.map (fun row -> text "scope" row, text "definition" row, text "norm" row)

                    Expect.sameElements
                        structured
                        [ "local", "nominal", "2"; "local", "uniform", "2"; "global", "uniform", "2" ]
                        "structured"

                    for row in upper do
                        let hasValue = row.GetProperty("value").ValueKind = JsonValueKind.Number
                        let hasReason = row.GetProperty("reason").ValueKind = JsonValueKind.String
                        Expect.notEqual hasValue hasReason (string row)))

            testCase "compare sets no upper bound below the slope that is attained" (fun () ->
                inFolder (fun folder ->
                    let report = compared folder

                    Expect.sameElements
                        (rows report "lower"
                         |> List.map (fun row -> text "definition" row, text "norm" row))
                        (List.allPairs [ "nominal"; "uniform" ] [ "2"; "inf"; "1" ])
                        ""

                    for lower in rows report "lower" do
                        for row in rows report "upper" do
                            let isComparable =
                                text "definition" row = text "definition" lower
                                && text "norm" row = text "norm" lower
                                && row.GetProperty("value").ValueKind = JsonValueKind.Number

                            if isComparable then
                                let value (row: JsonElement) = row.GetProperty("value").GetDouble()
                                // Both ends of `exact` are plain floating point.
                                Expect.isGreaterThanOrEqual (value row) (value lower * (1.0 - 1e-9)) (string row)

                                Expect.isLessThanOrEqual
                                    (row.GetProperty("ratio").GetDouble())
                                    (value row / value lower + 1e-9)
                                    "ratio"))

            testCase "compare writes one line and one dot a method" (fun () ->
                inFolder (fun folder ->
                    let csv = Path.Combine(folder, "methods.csv")
                    let plot = Path.Combine(folder, "methods.svg")
                    let outcome = arguments folder @ [ "--csv"; csv; "--plot"; plot ] |> run
                    Expect.equal outcome.ExitCode 0 outcome.Error
                    let lines = File.ReadAllLines csv

                    Expect.equal
                        lines[0]
                        "method,bound,scope,definition,norm,value,rigor,seconds,ratio,reason"
                        "lines[0]"

                    Expect.isTrue
                        (lines
                         |> Array.exists (fun line ->
                             line.StartsWith("local-lipsdp,upper,local,uniform,2,", StringComparison.Ordinal)))
                        ""

                    Expect.stringContains outcome.Output "local-lipsdp" "output"

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

                    Expect.hasLength dots rigors.Length "dots"

                    // A circle is certified, and nothing else is.
                    let isCircle name = name = "circle"
                    let isCertified rigor = rigor = "certified"

                    Expect.hasLength
                        (List.filter isCircle dots)
                        (Array.filter isCertified rigors).Length
                        "List.filter isCircle dots"

                    let picture = File.ReadAllText plot

                    for side, rigor in [ "upper", "certified"; "upper", "numerical"; "lower", "certified" ] do
                        Expect.stringContains picture $"{side} bound, {rigor}" "picture"

                    Expect.stringLacks picture folder "a picture shows the names of files, not where they lie"))

            testCase
                "compare takes ratios to the best that any row attained, the lower ends of exact included"
                (fun () ->
                    inFolder (fun folder ->
                        let report = compared folder
                        let upper = rows report "upper"
                        let number (name: string) (row: JsonElement) = row.GetProperty(name).GetDouble()

                        let exact = upper |> List.filter (fun row -> text "method" row = "exact")

                        Expect.sameElements
                            (exact |> List.map (fun row -> text "definition" row, text "norm" row))
                            (List.allPairs [ "nominal"; "uniform" ] [ "2"; "inf" ])
                            "exact |> List.map (fun row -> text \"definition\" row, text \"norm\" row)"

                        for row in exact do
                            Expect.isGreaterThan (number "lower" row) 0.0 "lower bound"

                            Expect.isLessThanOrEqual
                                (number "lower" row)
                                (number "value" row * (1.0 + 1e-9))
                                "lower bound and bound"

                            Expect.isNonEmpty (text "lowerRigor" row) "lowerRigor"

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
                                Expect.isWithin 1e-12 (number "ratio" row) (number "value" row / best) (string row)))

            testCase "a lower end of the uniform constant says nothing of the nominal one" (fun () ->
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

                Expect.equal rated.Upper[0].Ratio (Some 2.0) "ratio"
                // 6/5 lies above the double next to it, and ratios are rounded upward.
                Expect.equal rated.Upper[1].Ratio (Some(Math.BitIncrement(6.0 / 5.0))) "ratio"

                let nominalOnly =
                    CompareReport.withRatios
                        { rated with
                            Upper = [ row Nominal 4.0 3.0; row Uniform 6.0 1.0 ]
                        }

                Expect.equal nominalOnly.Upper[1].Ratio (Some 2.0) "ratio")

            testCase "compare says that it is complete" (fun () ->
                inFolder (fun folder ->
                    let report = compared folder

                    Expect.isTrue (report.GetProperty("complete").GetBoolean()) "complete"))

            testCase "compare ends every row by its limit" (fun () ->
                inFolder (fun folder ->
                    let outcome = arguments folder @ [ "--json"; "--time-limit"; "0" ] |> run
                    Expect.equal outcome.ExitCode 0 outcome.Error
                    let report = JsonDocument.Parse(outcome.Output).RootElement

                    for row in rows report "lower" do
                        Expect.equal (row.GetProperty("value").GetDouble()) 0 "value"

                    // The slope 3 is attained along the first coordinate, whatever the norm.
                    for row in rows report "upper" do
                        if row.GetProperty("value").ValueKind = JsonValueKind.Number then
                            Expect.equal (text "reason" row) "the time limit ended it" "reason"

                            Expect.isGreaterThanOrEqual
                                (row.GetProperty("value").GetDouble())
                                (3.0 * (1.0 - 1e-9))
                                (string row)))

            testCase "compare marks the rows that its limit ended, for readers and in the CSV file" (fun () ->
                inFolder (fun folder ->
                    let csv = Path.Combine(folder, "rows.csv")
                    let outcome = arguments folder @ [ "--csv"; csv; "--time-limit"; "0" ] |> run
                    Expect.equal outcome.ExitCode 0 outcome.Error
                    Expect.stringContains outcome.Output "certified (time limit)" "output"

                    let analytic = File.ReadAllLines csv |> Array.filter _.StartsWith("analytic,upper")

                    Expect.all analytic (fun line -> line.EndsWith ",the time limit ended it") "the time limit"
                    Expect.isNonEmpty analytic "analytic"))

            testCase "compare refuses a norm of its own" (fun () ->
                inFolder (fun folder ->
                    let outcome = arguments folder @ [ "--norm"; "inf" ] |> run
                    Expect.equal outcome.ExitCode 2 "exit code"
                    Expect.stringContains outcome.Error "--norm" "error"))

            testCase "compare sets the exact constant in both norms" (fun () ->
                inFolder (fun folder ->
                    let exact =
                        rows (compared folder) "upper"
                        |> List.filter (fun row -> text "method" row = "exact")

                    let value norm =
                        (exact |> List.find (fun row -> text "norm" row = norm)).GetProperty("value").GetDouble()

                    // The gradient (3, −1) where x1 > 0.
                    Expect.isWithin 0.01 (value "2") (sqrt 10.0) "value \"2\""
                    Expect.isWithin 0.01 (value "inf") (4.0) "value \"inf\""))

            statement "compare declines exact at once at networks that are not branched" 60 network (fun case ->
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
                            Report = fun line -> failtest $"a bound was begun: {line}"
                        }

                    for row in ComparedMethods.all |> List.filter (fun row -> row.Name = "exact") do
                        match row.Run context case.Network case.Input case.Radius with
                        | Ok found -> failtest $"{found.Result.Bound} at {case.Text}"
                        | Error reason -> Expect.stringStarts reason "not branched: " "reason")
        ]
