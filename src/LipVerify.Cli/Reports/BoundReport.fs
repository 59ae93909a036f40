namespace LipVerify.Cli

open System
open LipVerify.Core

/// What a search attained below the bound that it proved.
[<NoComparison; NoEquality>]
type LowerEnd =
    {
        Bound: Bound
        /// `upper/lower − 1`; 0 where both are 0.
        Gap: float
        /// Regions that were bounded; 0 where the search could not begin.
        Regions: int
    }

/// A computed bound with what a reader needs to know about it.
[<NoComparison; NoEquality>]
type BoundReport =
    {
        Model: string
        Norm: Norm
        /// The output that is bounded, counted from 0, where it is one alone.
        Class: int option
        Definition: Definition
        Radius: float option
        Method: string
        /// What the slopes of the method analytic come from.
        Enclosure: EnclosureKind
        Result: NetworkBound
        /// What was bounded how, where the layers do not tell.
        Explanation: string option
        /// The other end, where the method has one.
        Lower: LowerEnd option
        /// `f(x0)`, where an input was given.
        Output: float[] option
        Engine: string
        Elapsed: TimeSpan
    }

module BoundReport =

    /// The word for a definition.
    let definitionName definition =
        match definition with
        | Nominal -> "nominal"
        | Uniform -> "uniform"

    /// A method with its enclosures, where they are not its own.
    let methodName method enclosure =
        match enclosure with
        | Ball -> method
        | Interval
        | Crown -> $"{method} with {EnclosureKind.name enclosure} enclosures"

    let private writeLayer (writer: Text.Json.Utf8JsonWriter) (layer: LayerBound) =
        JsonText.object writer (fun () ->
            writer.WriteNumber("index", layer.Index)
            writer.WriteString("name", layer.Name)
            writer.WriteString("kind", layer.Kind)
            JsonText.number writer "lipschitz" layer.Lipschitz.Value
            writer.WriteString("rigor", Rigor.label layer.Lipschitz.Rigor)
            JsonText.optionalNumber writer "radiusIn" layer.RadiusIn
            JsonText.optionalNumber writer "radiusOut" layer.RadiusOut
            writer.WriteNumber("active", layer.Active)
            writer.WriteNumber("size", layer.Size))

    let private writeLower (writer: Text.Json.Utf8JsonWriter) lower =
        JsonText.number writer "lower" lower.Bound.Value
        writer.WriteString("lowerRigor", Rigor.label lower.Bound.Rigor)
        JsonText.number writer "gap" lower.Gap
        writer.WriteNumber("regions", lower.Regions)

    /// Writes the object `lipverify/bound/1` of the contract.
    let write (writer: Text.Json.Utf8JsonWriter) report =
        let bound = report.Result.Bound

        JsonText.object writer (fun () ->
            writer.WriteString("schema", "lipverify/bound/1")
            writer.WriteString("model", report.Model)
            writer.WriteString("norm", Norm.label report.Norm)

            report.Class |> Option.iter (fun output -> writer.WriteNumber("class", output))

            writer.WriteString("definition", definitionName report.Definition)
            JsonText.optionalNumber writer "radius" report.Radius
            writer.WriteString("method", report.Method)

            if report.Enclosure <> Ball then
                writer.WriteString("enclosure", EnclosureKind.name report.Enclosure)

            JsonText.number writer "value" bound.Value
            writer.WriteString("rigor", Rigor.label bound.Rigor)
            JsonText.number writer "failureProbability" (Rigor.failureProbability bound.Rigor)

            report.Lower |> Option.iter (writeLower writer)

            report.Explanation
            |> Option.iter (fun text -> writer.WriteString("explanation", text))

            JsonText.array writer "layers" report.Result.Layers (writeLayer writer)

            match report.Output with
            | Some output -> JsonText.numbers writer "output" output
            | None -> writer.WriteNull "output"

            writer.WriteString("engine", report.Engine)
            JsonText.number writer "elapsedSeconds" report.Elapsed.TotalSeconds)

    let private figure (value: float) = value.ToString("G6")

    let private optionalFigure value =
        value |> Option.map figure |> Option.defaultValue "–"

    let private layerRow (layer: LayerBound) =
        [
            string layer.Index
            layer.Name
            layer.Kind
            figure layer.Lipschitz.Value
            Rigor.label layer.Lipschitz.Rigor
            optionalFigure layer.RadiusIn
            optionalFigure layer.RadiusOut
            $"{layer.Active}/{layer.Size}"
        ]

    /// The layers as a table.
    let layerTable (result: NetworkBound) =
        TextTable.render
            [
                TextTable.Figures "#"
                TextTable.Words "layer"
                TextTable.Words "kind"
                TextTable.Figures "Lipschitz ≤"
                TextTable.Words "rigor"
                TextTable.Figures "radius in"
                TextTable.Figures "radius out"
                TextTable.Figures "active"
            ]
            (result.Layers |> List.map layerRow)

    /// What a rigor promises, for a reader.
    let promise rigor =
        match rigor with
        | Certified -> "certified: an upper bound, rounding included"
        | Probabilistic p -> $"probabilistic: an upper bound, except with probability {p:G2} over our own random draws"
        | Numerical -> "numerical: an upper bound in exact arithmetic; rounding is not enclosed"
        | Estimate -> "estimate: no guarantee"

    let private gap lower =
        if Double.IsFinite lower.Gap then
            $"gap {100.0 * lower.Gap:G3} %%"
        else
            "no slope was found"

    /// The report for a reader.
    let text report =
        let bound = report.Result.Bound

        let model =
            match report.Class with
            | Some output -> $"output {output} of {report.Model}"
            | None -> report.Model

        let subject =
            match report.Radius with
            | Some radius ->
                $"Local Lipschitz constant of {model}, {definitionName report.Definition}, within radius {figure radius}"
            | None -> $"Global Lipschitz constant of {model}"

        // An estimate is no bound.
        let relation = if bound.Rigor = Estimate then "≈" else "≤"

        [
            $"{subject} ({Norm.label report.Norm}-norm, method {methodName report.Method report.Enclosure})"
            $"    {relation} {bound.Value:G10}"
            $"    {promise bound.Rigor}"

            match report.Lower with
            | Some lower -> $"    ≥ {lower.Bound.Value:G10} ({Rigor.label lower.Bound.Rigor}), {gap lower}"
            | None -> ()

            match report.Explanation with
            | Some text ->
                $"    {text}"

                if not report.Result.Layers.IsEmpty then
                    ""

                    if report.Radius.IsSome then
                        "    The layers by Algorithm 1:"
                    else
                        "    The layers by themselves:"
            | None -> ()

            ""
            if not report.Result.Layers.IsEmpty then
                layerTable report.Result

            $"{report.Elapsed.TotalSeconds:F3} s, engine {report.Engine}"
            ""
        ]
        |> String.concat "\n"
