namespace LipVerify.Cli

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Attacks

/// How one attack ended.
[<NoComparison; NoEquality>]
type AttackOutcome =
    {
        Attack: Attack
        /// None where nothing was found.
        Example: AdversarialExample option
        Elapsed: TimeSpan
    }

/// The attacks on one input with what a reader needs to know about them.
[<NoComparison; NoEquality>]
type AttackReport =
    {
        Model: string
        /// The class of the nominal input.
        Label: int
        /// Range of the pixels, where there is one.
        Clip: (float * float) option
        Outcomes: AttackOutcome list
        /// Where the nearest input was saved.
        Saved: string option
        Engine: string
        Elapsed: TimeSpan
    }

module AttackReport =

    /// The nearest adversarial input of all attacks.
    let best report =
        report.Outcomes |> List.choose _.Example |> Attacks.nearest

    let private writeExample (writer: Text.Json.Utf8JsonWriter) (example: AdversarialExample option) =
        match example with
        | Some example ->
            writer.WriteNumber("label", example.Label)
            JsonText.number writer "distance" example.Distance
            writer.WriteString("rigor", Rigor.label example.Rigor)
        | None ->
            writer.WriteNull "label"
            writer.WriteNull "distance"
            writer.WriteNull "rigor"

    /// Writes the object `lipverify/attack/1`. Labels, distances and rigor are null where an attack found nothing.
    let write (writer: Text.Json.Utf8JsonWriter) report =
        JsonText.object writer (fun () ->
            writer.WriteString("schema", "lipverify/attack/1")
            writer.WriteString("model", report.Model)
            writer.WriteString("norm", "2")
            writer.WriteNumber("originalLabel", report.Label)

            match report.Clip with
            | Some(low, high) -> JsonText.numbers writer "clip" [ low; high ]
            | None -> writer.WriteNull "clip"

            let best = best report

            match best with
            | Some example -> writer.WriteString("attack", Attack.name example.Attack)
            | None -> writer.WriteNull "attack"

            writeExample writer best

            JsonText.array writer "attacks" report.Outcomes (fun outcome ->
                JsonText.object writer (fun () ->
                    writer.WriteString("attack", Attack.name outcome.Attack)
                    writeExample writer outcome.Example
                    JsonText.number writer "elapsedSeconds" outcome.Elapsed.TotalSeconds))

            match report.Saved with
            | Some path -> writer.WriteString("saved", path)
            | None -> writer.WriteNull "saved"

            writer.WriteString("engine", report.Engine)
            JsonText.number writer "elapsedSeconds" report.Elapsed.TotalSeconds)

    let private row outcome =
        let label, distance =
            match outcome.Example with
            | Some example -> $"{example.OriginalLabel} → {example.Label}", Figure.upward example.Distance
            | None -> "none found", "–"

        [
            Attack.name outcome.Attack
            label
            distance
            Figure.decimals 2 outcome.Elapsed.TotalSeconds
        ]

    let private promise rigor =
        match rigor with
        | Certified -> "certified: the class surely differs there"
        | _ -> $"{Rigor.label rigor}: the class differs as computed; rounding is not enclosed"

    /// The report for a reader.
    let text report =
        let verdict =
            match best report with
            | Some example ->
                $"    least perturbation ≤ {Figure.upwardTo 10 example.Distance} ({Attack.name example.Attack}), {promise example.Rigor}"
            | None -> "    no adversarial input found, which proves nothing"

        let range =
            match report.Clip with
            | Some(low, high) -> $", pixels within {Figure.exact low} and {Figure.exact high}"
            | None -> ""

        [
            yield
                $"Attacks on {report.Model} at an input of class {report.Label} (2-norm of the normalised input{range})"
            yield verdict
            yield ""

            yield
                TextTable.render
                    [
                        TextTable.Words "attack"
                        TextTable.Words "label"
                        TextTable.Figures "distance ≤"
                        TextTable.Figures "seconds"
                    ]
                    (report.Outcomes |> List.map row)

            match report.Saved with
            | Some path -> yield $"saved the nearest input to {path}"
            | None -> ()

            yield $"{Figure.decimals 3 report.Elapsed.TotalSeconds} s, engine {report.Engine}"
            yield ""
        ]
        |> String.concat "\n"
