namespace LipVerify.Cli

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Enclosures

/// One input among several: its certified radius, or why there is none.
[<NoComparison; NoEquality>]
type BatchEntry =
    {
        Name: string
        Outcome: Result<CertifyReport, string>
    }

/// Certified radii of several inputs.
[<NoComparison; NoEquality>]
type BatchReport =
    {
        Model: string
        Method: string
        /// What the slopes of the method analytic come from.
        Enclosure: EnclosureKind
        Definition: Definition
        /// Of each input by itself.
        FailureProbability: float
        Entries: BatchEntry list
    }

module BatchReport =

    let private reports batch =
        batch.Entries |> List.choose (fun entry -> Result.toOption entry.Outcome)

    let private radii batch =
        reports batch |> List.map (fun report -> report.Result.Radius)

    /// The median of the certified radii, 0 for those of undecided class; none where no input was certified.
    let median batch =
        match radii batch |> List.sort with
        | [] -> None
        | radii ->
            let middle = radii.Length / 2

            if radii.Length % 2 = 1 then
                Some radii[middle]
            else
                Some((radii[middle - 1] + radii[middle]) / 2.0)

    /// 1, 2, 5 in the decades from below the least positive radius to above the largest: where fractions are told.
    let private grid (radii: float list) =
        match radii |> List.filter (fun radius -> radius > 0.0) with
        | [] -> []
        | positive ->
            let least, most = List.min positive, List.max positive

            let steps =
                [
                    for decade in int (floor (log10 least)) .. int (floor (log10 most)) + 1 do
                        for digit in [ 1; 2; 5 ] -> float $"{digit}e{decade}"
                ]

            let below = steps |> List.filter (fun radius -> radius <= least)
            let above = steps |> List.filter (fun radius -> radius > most)

            steps
            |> List.filter (fun radius -> radius >= List.max below && radius <= List.min above)

    /// Radii, and the fraction of the inputs for which at least this much is certified.
    let fractions batch =
        let radii = radii batch

        grid radii
        |> List.map (fun at ->
            let certified = radii |> List.filter (fun radius -> radius >= at)
            at, float certified.Length / float radii.Length)

    let private writeEntry (writer: Text.Json.Utf8JsonWriter) entry =
        JsonText.object writer (fun () ->
            match entry.Outcome with
            | Ok report -> CertifyReport.writeFields writer report
            | Error problem ->
                writer.WriteString("input", entry.Name)
                writer.WriteString("problem", problem))

    /// Writes the object `lipverify/certify-batch/1`.
    let write (writer: Text.Json.Utf8JsonWriter) batch =
        let certified = reports batch

        JsonText.object writer (fun () ->
            writer.WriteString("schema", "lipverify/certify-batch/1")
            writer.WriteString("model", batch.Model)
            writer.WriteString("method", batch.Method)

            if batch.Enclosure <> Ball then
                writer.WriteString("enclosure", EnclosureKind.name batch.Enclosure)

            writer.WriteString("norm", "2")
            writer.WriteString("definition", BoundReport.definitionName batch.Definition)
            JsonText.number writer "failureProbabilityOfEach" batch.FailureProbability
            JsonText.array writer "inputs" batch.Entries (writeEntry writer)
            writer.WriteStartObject "summary"
            writer.WriteNumber("inputs", batch.Entries.Length)
            writer.WriteNumber("failed", batch.Entries.Length - certified.Length)
            JsonText.optionalNumber writer "medianRadius" (median batch)

            JsonText.array writer "certifiedFractions" (fractions batch) (fun (radius, fraction) ->
                JsonText.object writer (fun () ->
                    JsonText.number writer "radius" radius
                    JsonText.number writer "fraction" fraction))

            writer.WriteEndObject())

    let private csvRow entry =
        match entry.Outcome with
        | Error problem -> [ entry.Name; ""; ""; ""; ""; ""; ""; ""; ""; problem ]
        | Ok report ->
            let result = report.Result

            [
                entry.Name
                result.Label |> Option.map string |> Option.defaultValue ""
                Figure.exact result.Radius
                result.NotShownAt |> Option.map Figure.exact |> Option.defaultValue ""
                Rigor.label result.Rigor
                Figure.exact (Rigor.failureProbability result.Rigor)
                Figure.exact result.TopTwoGap
                CertifyReport.nearest report
                |> Option.map (_.Distance >> Figure.exact)
                |> Option.defaultValue ""
                Figure.decimals 3 report.Elapsed.TotalSeconds
                ""
            ]

    /// One line an input.
    let csv batch =
        let header =
            [
                "input"
                "label"
                "certifiedRadius"
                "notCertifiedAt"
                "rigor"
                "failureProbability"
                "topTwoGap"
                "attackedAt"
                "seconds"
                "problem"
            ]

        header :: List.map csvRow batch.Entries
        |> List.map CsvText.line
        |> String.concat ""

    let private row entry =
        match entry.Outcome with
        | Error problem -> [ entry.Name; "–"; "–"; "–"; problem; "–"; "–" ]
        | Ok report ->
            [
                entry.Name
                (match report.Result.Label with
                 | Some label -> string label
                 | None -> "undecided")
                Figure.downward report.Result.Radius
                CertifyReport.nearest report
                |> Option.map (_.Distance >> Figure.upward)
                |> Option.defaultValue "–"
                Rigor.label report.Result.Rigor
                Figure.downward report.Result.TopTwoGap
                Figure.decimals 3 report.Elapsed.TotalSeconds
            ]

    let private table batch =
        TextTable.render
            [
                TextTable.Words "input"
                TextTable.Figures "class"
                TextTable.Figures "certified radius"
                TextTable.Figures "attacked at ≤"
                TextTable.Words "rigor"
                TextTable.Figures "gap ≥"
                TextTable.Figures "seconds"
            ]
            (List.map row batch.Entries)

    let private summary batch =
        let count = (reports batch).Length

        [
            match median batch with
            | Some radius -> $"Median certified radius of {count} inputs: {Figure.downward radius}"
            | None -> "No input was certified."

            match fractions batch with
            | [] -> ()
            | fractions ->
                "Certified within at least a radius:"

                TextTable.render
                    [ TextTable.Figures "radius"; TextTable.Figures "inputs" ]
                    (fractions
                     |> List.map (fun (radius, fraction) ->
                         [ Figure.exact radius; Figure.decimals 1 (100.0 * fraction) + " %" ]))

            if count < batch.Entries.Length then
                $"{batch.Entries.Length - count} of {batch.Entries.Length} inputs failed; the table says why. They are not among those counted."

            if reports batch |> List.exists (fun report -> report.Result.Rigor <> Certified) then
                $"The failure probability {Figure.exact batch.FailureProbability} is that of each input by itself."
        ]

    /// The report for a reader.
    let text batch =
        [
            $"Certified radii of {batch.Model} (2-norm, method {BoundReport.methodName batch.Method batch.Enclosure}, {CertifyReport.statement batch.Method})"
            table batch
            yield! summary batch
            ""
        ]
        |> String.concat "\n"
