namespace LipVerify.Cli

open System
open System.Text.Json
open LipVerify.Core.Numbers

/// One method of a comparison.
[<NoComparison; NoEquality>]
type ComparedRow =
    {
        Method: string
        Definition: Definition
        Norm: Norm
        Scope: string
        /// The bound, or why there is none.
        Outcome: Result<Bound, string>
        /// What a method that bounds from both sides attained.
        LowerEnd: Bound option
        /// Whether the time limit ended the row: what was left of it is bounded coarsely.
        EndedByLimit: bool
        Seconds: float
        /// The bound over the best that any row attained of the same norm and definition, where that is positive.
        Ratio: float option
    }

/// Upper bounds beside each other, and beside what is attained.
[<NoComparison; NoEquality>]
type CompareReport =
    {
        Model: string
        Radius: float
        /// Slopes that are attained, by norm and definition.
        Lower: ComparedRow list
        Upper: ComparedRow list
        /// False where Ctrl-C left rows out.
        IsComplete: bool
        Engine: string
    }

module CompareReport =

    /// An upper bound over what is attained, rounded upward; exact where a double is. The error of the quotient is known where
    /// it cannot underflow.
    let private ratio (upper: float) (attained: float) =
        let quotient = upper / attained

        if upper > 1e-280 && Math.FusedMultiplyAdd(quotient, attained, -upper) >= 0.0 then
            quotient
        else
            Math.BitIncrement quotient

    /// The largest that is attained of a constant. What bounds the nominal constant from below bounds the uniform one too, but not the other
    /// way round.
    let private attained (report: CompareReport) norm definition =
        let values (rows: ComparedRow list) value =
            rows
            |> List.filter (fun row -> row.Norm = norm && (row.Definition = Nominal || row.Definition = definition))
            |> List.choose value

        values report.Lower (_.Outcome >> Result.toOption)
        @ values report.Upper _.LowerEnd
        |> List.fold (fun (best: Bound) (next: Bound) -> if next.Value > best.Value then next else best) Bound.zero

    /// The report with the ratios of its upper bounds to what all its rows attained, and without bounds that this contradicts.
    let withRatios (report: CompareReport) =
        let rate row =
            let best = attained report row.Norm row.Definition

            match row.Outcome with
            | Error _ -> row
            | Ok bound ->
                try
                    let best = Ends.below row.Method bound best

                    { row with
                        Ratio =
                            if best.Value > 0.0 && Double.IsFinite bound.Value then
                                Some(ratio bound.Value best.Value)
                            else
                                None
                    }
                with :? ContradictionException as failure ->
                    { row with
                        Outcome = Error $"internal error, please report it: {failure.Message}"
                        LowerEnd = None
                        Ratio = None
                    }

        { report with
            Upper = List.map rate report.Upper
        }

    /// What a row with a bound says beside it.
    let private remark row =
        if row.EndedByLimit then
            Some "the time limit ended it"
        else
            None

    let private writeRow (writer: Utf8JsonWriter) row =
        JsonText.object writer (fun () ->
            writer.WriteString("method", row.Method)
            writer.WriteString("definition", BoundReport.definitionName row.Definition)
            writer.WriteString("norm", Norm.label row.Norm)
            writer.WriteString("scope", row.Scope)

            match row.Outcome with
            | Ok bound ->
                JsonText.number writer "value" bound.Value
                writer.WriteString("rigor", Rigor.label bound.Rigor)
                JsonText.number writer "failureProbability" (Rigor.failureProbability bound.Rigor)

                match remark row with
                | Some remark -> writer.WriteString("reason", remark)
                | None -> writer.WriteNull "reason"
            | Error reason ->
                writer.WriteNull "value"
                writer.WriteNull "rigor"
                writer.WriteNull "failureProbability"
                writer.WriteString("reason", reason)

            row.LowerEnd
            |> Option.iter (fun lower ->
                JsonText.number writer "lower" lower.Value
                writer.WriteString("lowerRigor", Rigor.label lower.Rigor))

            JsonText.number writer "seconds" row.Seconds
            JsonText.optionalNumber writer "ratio" row.Ratio)

    /// Writes the object `lipverify/compare/1`.
    let write (writer: Utf8JsonWriter) report =
        JsonText.object writer (fun () ->
            writer.WriteString("schema", "lipverify/compare/1")
            writer.WriteString("model", report.Model)
            JsonText.number writer "radius" report.Radius
            JsonText.array writer "lower" report.Lower (writeRow writer)
            JsonText.array writer "upper" report.Upper (writeRow writer)
            writer.WriteBoolean("complete", report.IsComplete)
            writer.WriteString("engine", report.Engine))

    let private seconds = Figure.decimals 3

    let private csvRow bound row =
        let value, rigor, reason =
            match row.Outcome with
            | Ok bound -> Figure.exact bound.Value, Rigor.label bound.Rigor, remark row |> Option.defaultValue ""
            | Error reason -> "", "", reason

        CsvText.line
            [
                row.Method
                bound
                row.Scope
                BoundReport.definitionName row.Definition
                Norm.label row.Norm
                value
                rigor
                seconds row.Seconds
                row.Ratio |> Option.map Figure.exact |> Option.defaultValue ""
                reason
            ]

    /// The rows as comma-separated values, lower bounds first.
    let csv report =
        [
            CsvText.line
                [
                    "method"
                    "bound"
                    "scope"
                    "definition"
                    "norm"
                    "value"
                    "rigor"
                    "seconds"
                    "ratio"
                    "reason"
                ]
            yield! report.Lower |> List.map (csvRow "lower")
            yield! report.Upper |> List.map (csvRow "upper")
        ]
        |> String.concat ""

    let private tableRow side row =
        let value, rigor =
            match row.Outcome with
            | Ok bound ->
                let limit = if row.EndedByLimit then " (time limit)" else ""
                $"{Side.sign side} {Side.figure 6 side bound.Value}", Rigor.label bound.Rigor + limit
            | Error reason -> "–", reason

        [
            row.Method
            row.Scope
            BoundReport.definitionName row.Definition
            Norm.label row.Norm
            value
            row.Ratio |> Option.map (Figure.upwardTo 4) |> Option.defaultValue "–"
            seconds row.Seconds
            rigor
        ]

    let private dot side row : DotPlot.Dot option =
        match row.Outcome with
        | Ok bound ->
            Some
                {
                    Label =
                        if row.Scope = "global" then
                            $"{row.Method} (global)"
                        else
                            row.Method
                    Side = side
                    Bound = bound
                }
        | Error _ -> None

    /// The bounds that there are as dots, by norm and definition, each with what is attained, as an SVG file.
    let plot report =
        let of' definition norm rows =
            rows |> List.filter (fun row -> row.Definition = definition && row.Norm = norm)

        [
            for norm in Norm.all do
                for definition in [ Nominal; Uniform ] do
                    let dots =
                        (report.Lower |> of' definition norm |> List.choose (dot Lower))
                        @ (report.Upper |> of' definition norm |> List.choose (dot Upper))

                    if not dots.IsEmpty then
                        {
                            DotPlot.Heading = $"{BoundReport.definitionName definition}, {Norm.label norm}-norm"
                            DotPlot.Dots = dots
                        }
        ]
        |> DotPlot.file $"{SvgText.fileName report.Model} within radius {Figure.exact report.Radius}"

    /// The report for a reader.
    let text report =
        [
            $"Lipschitz constants of {report.Model} within radius {Figure.exact report.Radius}"
            ""
            TextTable.render
                [
                    TextTable.Words "method"
                    TextTable.Words "scope"
                    TextTable.Words "definition"
                    TextTable.Words "norm"
                    TextTable.Figures "bound"
                    TextTable.Figures "ratio"
                    TextTable.Figures "seconds"
                    TextTable.Words "rigor"
                ]
                ((report.Lower |> List.map (tableRow Lower))
                 @ (report.Upper |> List.map (tableRow Upper)))
            "ratio: to the best that any method attained of the definition in the norm"
            if not report.IsComplete then
                "incomplete: cancelled before the last row"
            $"engine {report.Engine}"
            ""
        ]
        |> String.concat "\n"
