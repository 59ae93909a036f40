namespace LipVerify.Cli

open System
open LipVerify.Core

/// A bound on one output with what a reader needs to know about it.
[<NoComparison; NoEquality>]
type PolynomialReport =
    {
        Model: string
        Norm: Norm
        /// The output that is bounded, from 0.
        Class: int
        Radius: float option
        Method: string
        Bound: Bound
        /// `f(x0)`, where an input was given.
        Output: float[] option
        Engine: string
        Elapsed: TimeSpan
    }

module PolynomialReport =

    let private explanation =
        "multipliers by a solver that is not trusted: the bound is what they prove"

    /// Writes the object `lipverify/bound/1` of the contract, without layers and with the output that is bounded.
    let write (writer: Text.Json.Utf8JsonWriter) report =
        JsonText.object writer (fun () ->
            writer.WriteString("schema", "lipverify/bound/1")
            writer.WriteString("model", report.Model)
            writer.WriteString("norm", Norm.label report.Norm)
            writer.WriteNumber("class", report.Class)
            writer.WriteString("definition", BoundReport.definitionName Uniform)
            JsonText.optionalNumber writer "radius" report.Radius
            writer.WriteString("method", report.Method)
            JsonText.number writer "value" report.Bound.Value
            writer.WriteString("rigor", Rigor.label report.Bound.Rigor)
            JsonText.number writer "failureProbability" (Rigor.failureProbability report.Bound.Rigor)
            writer.WriteString("explanation", explanation)
            JsonText.array writer "layers" [] ignore

            match report.Output with
            | Some output -> JsonText.numbers writer "output" output
            | None -> writer.WriteNull "output"

            writer.WriteString("engine", report.Engine)
            JsonText.number writer "elapsedSeconds" report.Elapsed.TotalSeconds)

    /// The report for a reader.
    let text report =
        let subject =
            match report.Radius with
            | Some radius ->
                $"Local Lipschitz constant of output {report.Class} of {report.Model}, uniform, within radius {radius:G6}"
            | None -> $"Global Lipschitz constant of output {report.Class} of {report.Model}"

        [
            $"{subject} ({Norm.label report.Norm}-norm, method {report.Method})"
            $"    ≤ {report.Bound.Value:G10}"
            $"    {BoundReport.promise report.Bound.Rigor}"
            $"    {explanation}"
            ""
            $"{report.Elapsed.TotalSeconds:F3} s, engine {report.Engine}"
            ""
        ]
        |> String.concat "\n"
