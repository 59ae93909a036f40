/// `lipverify info`: the layers of a network.
module LipVerify.Cli.InfoCommand

open Argu
open LipVerify.Core.Computation
open LipVerify.Core.Networks

let private json (model: string) (network: Network) =
    JsonText.document (fun writer ->
        JsonText.object writer (fun () ->
            writer.WriteString("schema", "lipverify/info/1")
            writer.WriteString("model", model)
            JsonText.array writer "inputShape" network.InputShape writer.WriteNumberValue
            JsonText.array writer "outputShape" network.OutputShape writer.WriteNumberValue
            writer.WriteNumber("parameters", Network.parameterCount network)

            JsonText.array writer "layers" (Network.layers network) (fun layer ->
                JsonText.object writer (fun () ->
                    writer.WriteNumber("index", layer.Index)
                    writer.WriteString("name", layer.Name)
                    writer.WriteString("kind", Layer.kind layer.Layer)
                    JsonText.array writer "input" layer.Input writer.WriteNumberValue
                    JsonText.array writer "output" layer.Output writer.WriteNumberValue
                    writer.WriteNumber("parameters", Layer.parameterCount layer.Layer)))))

let private text (model: string) (network: Network) =
    let row (layer: PlacedLayer) =
        [
            string layer.Index
            layer.Name
            Layer.kind layer.Layer
            Shape.text layer.Input
            Shape.text layer.Output
            string (Layer.parameterCount layer.Layer)
        ]

    let table =
        TextTable.render
            [
                TextTable.Figures "#"
                TextTable.Words "layer"
                TextTable.Words "kind"
                TextTable.Words "input"
                TextTable.Words "output"
                TextTable.Figures "parameters"
            ]
            (Network.layers network |> List.map row)

    $"{model}: {Shape.text network.InputShape} → {Shape.text network.OutputShape}, {Network.parameterCount network} parameters\n{table}"

/// Runs the command.
let run (settings: Settings) (arguments: ParseResults<InfoArguments>) : Result<unit, CommandError> =
    let model = arguments.GetResult InfoArguments.Model

    OutputFiles.check settings model []
    |> Result.bind (fun () -> Session.loadModel settings model)
    |> Result.bind (fun loaded ->
        (if settings.Json then
             json model loaded.Network
         else
             text model loaded.Network)
        |> Session.deliver settings loaded.Notices)
