namespace LipVerify.Cli

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Enclosures
open LipVerify.Core.Methods

/// Upper and lower bounds against the radius, with what a reader needs to know about them.
[<NoComparison; NoEquality>]
type CurveReport =
    {
        Model: string
        Input: string
        Title: string option
        Definition: Definition
        /// What the slopes of the method analytic come from.
        Enclosure: EnclosureKind
        /// Of each point by itself.
        FailureProbability: float
        Plan: CurvePlan
        /// In the order of the plan.
        Rows: CurveRow list
        /// The files that were written, by what they hold: csv, plot, html.
        Files: (string * string) list
    }

module CurveReport =

    let private rowsOf report method =
        report.Rows |> List.filter (fun row -> row.Point.Method = method)

    let private series report method : CurveLayout.Series =
        {
            Name = CurveMethod.name method
            Side = CurveMethod.side method
            Points = rowsOf report method |> List.map (fun row -> row.Point.Radius, row.Value)
        }

    /// The curves as a plot shows them.
    let picture report : CurveLayout.Picture =
        {
            Title = report.Title
            LogRadii = report.Plan.LogRadii
            Series = report.Plan.Methods |> List.map (series report)
        }

    let private isProbabilistic report =
        report.Rows
        |> List.exists (fun row -> row.Rigor = Rigor.label (Probabilistic 0.0))

    let private promises report =
        [
            "Upper bounds are guaranteed, rounding included; lower bounds are slopes that are attained in the ball, rounding included where their rigor is certified."

            if isProbabilistic report then
                $"Those that are probabilistic hold except with a probability of at most {Figure.exact report.FailureProbability}, each point by itself."
        ]

    let private enclosures report =
        match report.Enclosure with
        | Ball -> ""
        | kind -> $", {BoundReport.methodName BoundMethods.analytic.Name kind}"

    let private subject report model input =
        $"Local Lipschitz constant of {model} at {input}, {BoundReport.definitionName report.Definition}, 2-norm{enclosures report}"

    /// The curves as a web page.
    let page report : CurvePage.Page =
        let picture = picture report

        {
            Heading = report.Title |> Option.defaultValue "Lipschitz bounds against the radius"
            Remarks =
                subject report (SvgText.fileName report.Model) (SvgText.fileName report.Input)
                :: promises report
            // The heading of the page says it already.
            Picture = { picture with Title = None }
            Rows =
                List.zip (List.chunkBySize report.Plan.Methods.Length report.Rows) report.Plan.Radii
                |> List.map (fun (rows, radius) ->
                    radius, List.map2 (fun series (row: CurveRow) -> series, row.Value, row.Rigor) picture.Series rows)
        }

    /// Writes the object `lipverify/curve/1`.
    let write (writer: Text.Json.Utf8JsonWriter) report =
        JsonText.object writer (fun () ->
            writer.WriteString("schema", "lipverify/curve/1")
            writer.WriteString("model", report.Model)
            writer.WriteString("input", report.Input)
            writer.WriteString("norm", "2")
            writer.WriteString("definition", BoundReport.definitionName report.Definition)

            if report.Enclosure <> Ball then
                writer.WriteString("enclosure", EnclosureKind.name report.Enclosure)

            JsonText.number writer "failureProbabilityOfEach" report.FailureProbability

            JsonText.array writer "points" report.Rows (fun row ->
                JsonText.object writer (fun () ->
                    JsonText.number writer "radius" row.Point.Radius
                    writer.WriteString("method", CurveMethod.name row.Point.Method)
                    JsonText.number writer "value" row.Value
                    writer.WriteString("rigor", row.Rigor)
                    JsonText.number writer "seconds" row.Seconds))

            writer.WriteStartObject "files"

            for kind, path in report.Files do
                writer.WriteString(kind, path)

            writer.WriteEndObject())

    let private column method =
        TextTable.Figures $"{CurveMethod.name method} {Side.sign (CurveMethod.side method)}"

    /// The values as a table.
    let table report =
        TextTable.render
            (TextTable.Figures "radius" :: List.map column report.Plan.Methods)
            (List.chunkBySize report.Plan.Methods.Length report.Rows
             |> List.map (fun rows ->
                 Figure.exact rows.Head.Point.Radius
                 :: (rows
                     |> List.map (fun row -> Side.figure 6 (CurveMethod.side row.Point.Method) row.Value))))

    /// The report for a reader.
    let text report =
        [
            subject report report.Model report.Input
            table report
            yield! promises report
            for kind, path in report.Files do
                $"{kind}: {path}"
            ""
        ]
        |> String.concat "\n"
