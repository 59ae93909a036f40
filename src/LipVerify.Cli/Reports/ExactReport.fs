namespace LipVerify.Cli

open System
open LipVerify.Core

/// Both ends of a constant that branch and bound sought, with what a reader needs to know about them.
[<NoComparison; NoEquality>]
type ExactReport =
    {
        Model: string
        Definition: Definition
        Radius: float
        Found: ExactSearchResult
        /// `f(x0)`.
        Output: float[]
        Engine: string
        Elapsed: TimeSpan
    }

module ExactReport =

    /// Writes the object `lipverify/bound/1` of the contract, with the lower end and the gap.
    let write (writer: Text.Json.Utf8JsonWriter) report =
        let bound, lower = report.Found.Result.Bound, report.Found.Lower

        JsonText.object writer (fun () ->
            writer.WriteString("schema", "lipverify/bound/1")
            writer.WriteString("model", report.Model)
            writer.WriteString("norm", Norm.label Euclidean)
            writer.WriteString("definition", BoundReport.definitionName report.Definition)
            JsonText.number writer "radius" report.Radius
            writer.WriteString("method", "exact")
            JsonText.number writer "value" bound.Value
            writer.WriteString("rigor", Rigor.label bound.Rigor)
            JsonText.number writer "failureProbability" (Rigor.failureProbability bound.Rigor)
            JsonText.number writer "lower" lower.Value
            writer.WriteString("lowerRigor", Rigor.label lower.Rigor)
            JsonText.number writer "gap" report.Found.Gap
            writer.WriteNumber("regions", report.Found.Regions)
            writer.WriteString("explanation", report.Found.Explanation)
            JsonText.array writer "layers" [] ignore
            JsonText.numbers writer "output" report.Output
            writer.WriteString("engine", report.Engine)
            JsonText.number writer "elapsedSeconds" report.Elapsed.TotalSeconds)

    let private gap (value: float) =
        if Double.IsFinite value then
            $"gap {100.0 * value:G3} %%"
        else
            "no slope was found"

    /// The report for a reader.
    let text report =
        let bound, lower = report.Found.Result.Bound, report.Found.Lower

        [
            $"Local Lipschitz constant of {report.Model}, {BoundReport.definitionName report.Definition}, within radius {report.Radius:G6} (2-norm, method exact)"
            $"    ≤ {bound.Value:G10}"
            $"    {BoundReport.promise bound.Rigor}"
            $"    ≥ {lower.Value:G10} ({Rigor.label lower.Rigor}), {gap report.Found.Gap}"
            $"    {report.Found.Explanation}"
            ""
            $"{report.Elapsed.TotalSeconds:F3} s, engine {report.Engine}"
            ""
        ]
        |> String.concat "\n"
