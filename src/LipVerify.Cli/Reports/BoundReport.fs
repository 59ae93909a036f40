namespace LipVerify.Cli

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Enclosures
open LipVerify.Core.Bounds.Analytic
open LipVerify.Core.Methods

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
        | Crown
        | Probes -> $"{method} with {EnclosureKind.name enclosure} enclosures"

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

    /// The ball that was asked for is no bound; those behind the first layer are.
    let private radius asked value =
        match value with
        | None -> "–"
        | Some value when asked = Some value -> Figure.exact value
        | Some value -> Figure.upward value

    let private layerRow asked (layer: LayerBound) =
        [
            string layer.Index
            layer.Name
            layer.Kind
            Figure.upward layer.Lipschitz.Value
            Rigor.label layer.Lipschitz.Rigor
            radius asked layer.RadiusIn
            radius None layer.RadiusOut
            $"{layer.Active}/{layer.Size}"
        ]

    /// The layers as a table.
    let layerTable report =
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
            (report.Result.Layers |> List.map (layerRow report.Radius))

    /// What a rigor promises, for a reader.
    let promise rigor =
        match rigor with
        | Certified -> "certified: an upper bound, rounding included"
        | Probabilistic p ->
            $"probabilistic: an upper bound, except with probability {Figure.probability p} over our own random draws"
        | Numerical -> "numerical: an upper bound in exact arithmetic; rounding is not enclosed"
        | Estimate -> "estimate: no guarantee"

    let private gap (upper: Bound) lower =
        if lower.Bound.Value > 0.0 then
            $"gap {Figure.percentAboveTo 3 upper.Value lower.Bound.Value} %%"
        elif upper.Value = 0.0 then
            "gap 0 %"
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
                $"Local Lipschitz constant of {model}, {definitionName report.Definition}, within radius {Figure.exact radius}"
            | None -> $"Global Lipschitz constant of {model}"

        // An estimate is no bound.
        let relation = if bound.Rigor = Estimate then "≈" else "≤"

        [
            $"{subject} ({Norm.label report.Norm}-norm, method {methodName report.Method report.Enclosure})"
            $"    {relation} {Figure.upwardTo 10 bound.Value}"
            $"    {promise bound.Rigor}"

            match report.Lower with
            | Some lower ->
                $"    ≥ {Figure.downwardTo 10 lower.Bound.Value} ({Rigor.label lower.Bound.Rigor}), {gap bound lower}"
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
                layerTable report

            $"{Figure.decimals 3 report.Elapsed.TotalSeconds} s, engine {report.Engine}"
            ""
        ]
        |> String.concat "\n"
