namespace LipVerify.Cli

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Activations
open LipVerify.Core.Networks
open LipVerify.Core.Enclosures

/// Enclosures of a network's values over a ball with what a reader needs to know about them.
[<NoComparison; NoEquality>]
type EncloseReport =
    {
        Model: string
        Radius: float
        Network: Network
        Result: NetworkEnclosure
        /// Why the enclosures are not what was asked for, or could be, where that is so.
        Explanation: string option
        Engine: string
        Elapsed: TimeSpan
    }

/// One line: the inputs of activations, or of max pooling.
[<NoComparison; NoEquality>]
type private EnclosedStage =
    {
        Layer: PlacedLayer
        Kind: string
        /// Stable active, stable inactive and unstable inputs; only a ReLU asks for signs.
        Signs: (int * int * int) option
        Widths: float[]
    }

module EncloseReport =

    /// `behind` are the activations of what an affine layer gives.
    let private stage (layer: PlacedLayer) (behind: EntryActivations option) enclosure =
        let kind = Layer.kind layer.Layer

        let kind, hasSigns =
            match layer.Layer with
            | Affine _ ->
                match behind with
                | Some(activations: EntryActivations) -> $"{kind}+{activations.Name}", activations.IsRelu
                | None -> kind, false
            | Activation activations -> kind, activations.IsRelu
            | MaxPooling _
            | Reshape _
            | Identity -> kind, false

        {
            Layer = layer
            Kind = kind
            Signs =
                if hasSigns then
                    Some(Enclosure.active enclosure, Enclosure.inactive enclosure, Enclosure.unstable enclosure)
                else
                    None
            Widths = Tensor.values (Enclosure.widths enclosure)
        }

    let private stages report =
        let behind = Stage.activationsBehind report.Network

        Network.layers report.Network
        |> List.choose (fun layer ->
            Map.tryFind layer.Index report.Result.Stages
            |> Option.map (stage layer (Map.tryFind layer.Index behind)))

    /// Fails, with the place, where an enclosure leaves the range of double precision.
    let requireFinite report : Result<unit, string> =
        let beyond place =
            Error $"{place}: the enclosure within this radius leaves the range of double precision"

        match
            stages report
            |> List.tryFind (fun stage -> not (Array.forall Double.IsFinite stage.Widths))
        with
        | Some stage -> beyond $"layer {stage.Layer.Index} ({stage.Layer.Name})"
        | None when not (Tensor.isFinite (Enclosure.widths report.Result.Output)) -> beyond "the outputs"
        | None -> Ok()

    let private writeStage (writer: Text.Json.Utf8JsonWriter) stage =
        let count (name: string) (pick: int * int * int -> int) =
            match stage.Signs with
            | Some signs -> writer.WriteNumber(name, pick signs)
            | None -> writer.WriteNull name

        JsonText.object writer (fun () ->
            writer.WriteNumber("index", stage.Layer.Index)
            writer.WriteString("name", stage.Layer.Name)
            writer.WriteString("kind", stage.Kind)
            writer.WriteNumber("size", stage.Widths.Length)
            count "active" (fun (active, _, _) -> active)
            count "inactive" (fun (_, inactive, _) -> inactive)
            count "unstable" (fun (_, _, unstable) -> unstable)
            JsonText.number writer "meanWidth" (Array.average stage.Widths)
            JsonText.number writer "maxWidth" (Array.max stage.Widths))

    /// Writes the object `lipverify/enclose/1`.
    let write (writer: Text.Json.Utf8JsonWriter) report =
        let result = report.Result

        JsonText.object writer (fun () ->
            writer.WriteString("schema", "lipverify/enclose/1")
            writer.WriteString("model", report.Model)
            writer.WriteString("norm", "2")
            JsonText.number writer "radius" report.Radius
            writer.WriteString("enclosure", EnclosureKind.name result.Kind)
            writer.WriteString("rigor", Rigor.label result.Rigor)
            JsonText.number writer "failureProbability" (Rigor.failureProbability result.Rigor)

            report.Explanation
            |> Option.iter (fun text -> writer.WriteString("explanation", text))

            JsonText.array writer "layers" (stages report) (writeStage writer)
            JsonText.numbers writer "outputLower" (Tensor.values result.Output.Lower)
            JsonText.numbers writer "outputUpper" (Tensor.values result.Output.Upper)
            writer.WriteString("engine", report.Engine)
            JsonText.number writer "elapsedSeconds" report.Elapsed.TotalSeconds)

    let private row stage =
        let signs =
            match stage.Signs with
            | Some(active, inactive, unstable) -> [ string active; string inactive; string unstable ]
            | None -> [ "–"; "–"; "–" ]

        [
            string stage.Layer.Index
            stage.Layer.Name
            stage.Kind
            string stage.Widths.Length
            yield! signs
            Figure.upward (Array.average stage.Widths)
            Figure.upward (Array.max stage.Widths)
        ]

    let private outputs (output: Enclosure) =
        let line i lower upper =
            [ string i; Figure.downward lower; Figure.upward upper ]

        TextTable.render
            [
                TextTable.Figures "output"
                TextTable.Figures "lower"
                TextTable.Figures "upper"
            ]
            (List.mapi2 line (List.ofArray (Tensor.values output.Lower)) (List.ofArray (Tensor.values output.Upper)))

    let private promise rigor =
        match rigor with
        | Certified -> "certified: rounding included"
        | Probabilistic p ->
            $"probabilistic: so except with probability {Figure.probability p} over our own random draws"
        | Numerical -> "numerical: so in exact arithmetic; rounding is not enclosed"
        | Estimate -> "estimate: no guarantee"

    /// The report for a reader.
    let text report =
        let table =
            TextTable.render
                [
                    TextTable.Figures "#"
                    TextTable.Words "layer"
                    TextTable.Words "kind"
                    TextTable.Figures "inputs"
                    TextTable.Figures "active"
                    TextTable.Figures "inactive"
                    TextTable.Figures "unstable"
                    TextTable.Figures "mean width"
                    TextTable.Figures "max width"
                ]
                (stages report |> List.map row)

        [
            $"Enclosures of what ReLUs and max pooling take in {report.Model}, within radius {Figure.exact report.Radius} (2-norm, {EnclosureKind.name report.Result.Kind})"
            $"    {promise report.Result.Rigor}"
            yield! report.Explanation |> Option.map (fun text -> $"    {text}") |> Option.toList
            ""
            table
            outputs report.Result.Output
            $"{Figure.decimals 3 report.Elapsed.TotalSeconds} s, engine {report.Engine}"
            ""
        ]
        |> String.concat "\n"
