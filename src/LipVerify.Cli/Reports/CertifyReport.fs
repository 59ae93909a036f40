namespace LipVerify.Cli

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Attacks
open LipVerify.Core.Enclosures
open LipVerify.Core.Radii

/// A certified radius with what a reader needs to know about it.
[<NoComparison; NoEquality>]
type CertifyReport =
    {
        Model: string
        Input: string
        Definition: Definition
        Method: string
        /// What the slopes of the method analytic come from.
        Enclosure: EnclosureKind
        Result: CertifiedRadius
        /// Where enclosures are not those that were asked for.
        Explanation: string option
        /// Whether the time limit ended the search: more time may certify more.
        EndedByLimit: bool
        /// The attacks that were asked for; none where none were.
        Attacks: AttackOutcome list option
        Engine: string
        Elapsed: TimeSpan
    }

module CertifyReport =

    let private optionalLabel (writer: Text.Json.Utf8JsonWriter) label =
        match label with
        | Some(label: int) -> writer.WriteNumber("label", label)
        | None -> writer.WriteNull "label"

    /// Distances by attack, null where one found nothing.
    let private attacks (writer: Text.Json.Utf8JsonWriter) (outcomes: AttackOutcome list) =
        writer.WriteStartObject "attacks"

        for outcome in outcomes do
            outcome.Example
            |> Option.map _.Distance
            |> JsonText.optionalNumber writer (Attack.name outcome.Attack)

        writer.WriteEndObject()

    /// The nearest input that an attack found, if there were attacks and one found any.
    let nearest report =
        report.Attacks
        |> Option.defaultValue []
        |> List.choose _.Example
        |> Attacks.nearest

    /// Writes the fields of the object `lipverify/certify/1` of the contract, without its schema.
    let writeFields (writer: Text.Json.Utf8JsonWriter) report =
        let result = report.Result
        optionalLabel writer result.Label
        JsonText.number writer "certifiedRadius" result.Radius
        writer.WriteString("rigor", Rigor.label result.Rigor)
        JsonText.number writer "failureProbability" (Rigor.failureProbability result.Rigor)
        writer.WriteString("method", report.Method)

        if report.Enclosure <> Ball then
            writer.WriteString("enclosure", EnclosureKind.name report.Enclosure)

        report.Explanation
        |> Option.iter (fun text -> writer.WriteString("explanation", text))

        JsonText.number writer "topTwoGap" result.TopTwoGap
        report.Attacks |> Option.iter (attacks writer)
        JsonText.optionalNumber writer "notCertifiedAt" result.NotShownAt
        writer.WriteString("model", report.Model)
        writer.WriteString("input", report.Input)
        writer.WriteString("norm", "2")
        writer.WriteString("definition", BoundReport.definitionName report.Definition)

        result.Lipschitz
        |> Option.map _.Value
        |> JsonText.optionalNumber writer "lipschitz"

        writer.WriteNumber("evaluations", result.Evaluations)
        writer.WriteBoolean("endedByTimeLimit", report.EndedByLimit)
        writer.WriteString("engine", report.Engine)
        JsonText.number writer "elapsedSeconds" report.Elapsed.TotalSeconds

    /// Writes the object `lipverify/certify/1`.
    let write (writer: Text.Json.Utf8JsonWriter) report =
        JsonText.object writer (fun () ->
            writer.WriteString("schema", "lipverify/certify/1")
            writeFields writer report)

    let private promise rigor =
        match rigor with
        | Certified -> "certified: no input within the radius changes the class, rounding included"
        | Probabilistic p ->
            $"probabilistic: no input within the radius changes the class, except with probability {Figure.probability p} over our own random draws in all bounds of the search"
        | Numerical -> "numerical: so in exact arithmetic; rounding is not enclosed"
        | Estimate -> "estimate: no guarantee"

    let private upperEnd report =
        let result = report.Result

        match result.NotShownAt with
        | Some radius when report.EndedByLimit ->
            $"    not shown at radius {Figure.upwardTo 10 radius} when the time limit ended the search"
        | Some radius -> $"    not shown at radius {Figure.upwardTo 10 radius}"
        | None when result.Evaluations = 0 -> "    the time was over before a larger radius was tried"
        | None when report.EndedByLimit -> "    the time limit ended the search for a larger radius"
        | None -> "    every radius that was tried keeps the class"

    let private findings report =
        let result = report.Result

        match result.Label with
        | None ->
            [
                "    radius 0: the class is undecided"
                "    the two largest outputs tie, or rounding leaves open which one is larger: nothing is certified"
            ]
        | Some label ->
            [
                $"    class {label} within radius {Figure.downwardTo 10 result.Radius}"
                upperEnd report
                $"    {promise result.Rigor}"
                yield! report.Explanation |> Option.map (fun text -> $"    {text}") |> Option.toList
            ]

    let private constant (result: CertifiedRadius) =
        match result.Lipschitz with
        | Some bound -> $", Lipschitz constant ≤ {Figure.upward bound.Value}"
        | None -> ""

    /// What shows a radius.
    let statement method =
        match method with
        | "crown"
        | "local-lipsdp" -> "margins over the ball"
        | _ -> "Proposition 6"

    let private broken report =
        match report.Attacks, nearest report with
        | None, _ -> []
        | Some _, None -> [ "    no attack found an input of another class, which proves nothing" ]
        | Some _, Some example ->
            let gap =
                if report.Result.Radius > 0.0 then
                    $", {Figure.ratioTo 3 example.Distance report.Result.Radius} times the certified radius"
                else
                    ""

            [
                $"    class {example.Label} at distance ≤ {Figure.upwardTo 10 example.Distance} ({Attack.name example.Attack}{gap})"
            ]

    /// The report for a reader.
    let text report =
        let result = report.Result

        [
            $"Certified radius of {report.Model} at {report.Input} (2-norm, method {BoundReport.methodName report.Method report.Enclosure}, {statement report.Method})"
            yield! findings report
            yield! broken report
            ""
            $"gap of the two largest outputs ≥ {Figure.downward result.TopTwoGap}{constant result}"
            $"{Figure.decimals 3 report.Elapsed.TotalSeconds} s, bounds computed: {result.Evaluations}, engine {report.Engine}"
            ""
        ]
        |> String.concat "\n"
