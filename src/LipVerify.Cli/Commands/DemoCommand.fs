/// `lipverify demo`: the main job on the bundled network.
module LipVerify.Cli.DemoCommand

open System
open System.IO
open LipVerify.Core

let private radii = [ 0.001; 0.003; 0.01; 0.03; 0.1; 0.3; 1.0; 3.0 ]

/// The radius whose layers are shown.
let private detailRadius = 0.1

/// The folder `samples/mnist`, found above the program or the working directory.
let private samples () =
    let rec above (folder: DirectoryInfo | null) =
        match folder with
        | null -> None
        | folder ->
            let candidate = Path.Combine(folder.FullName, "samples", "mnist")

            if File.Exists(Path.Combine(candidate, "mnist-net.onnx")) then
                Some candidate
            else
                above folder.Parent

    [ AppContext.BaseDirectory; Environment.CurrentDirectory ]
    |> List.tryPick (DirectoryInfo >> above)

let private row (globalBound: Bound) output (radius: Radius, report: BoundReport) =
    let bound = report.Result.Bound

    [
        radius.Value.ToString "G4"
        bound.Value.ToString "G6"
        Rigor.label bound.Rigor
        (globalBound.Value / bound.Value).ToString "F1" + "×"
        (if Propositions.keepsClass output radius bound then
             "yes"
         else
             "not shown")
        report.Elapsed.TotalSeconds.ToString "F3"
    ]

let private text folder (globalReport: BoundReport) output (reports: (Radius * BoundReport) list) =
    let detail =
        reports |> List.find (fun (radius, _) -> radius.Value = detailRadius) |> snd

    let globalBound = globalReport.Result.Bound

    let table =
        TextTable.render
            [
                TextTable.Figures "radius"
                TextTable.Figures "local Lipschitz ≤"
                TextTable.Words "rigor"
                TextTable.Figures "below global"
                TextTable.Words "class certified"
                TextTable.Figures "seconds"
            ]
            (reports |> List.map (row globalBound output))

    [
        $"A network that reads handwritten digits ({folder}), at the digit 8.png."
        "How far can its output move, per unit that the input moves (2-norm)?"
        ""
        $"Anywhere (global):  ≤ {globalBound.Value:G6}, {Rigor.label globalBound.Rigor}"
        "Within a radius of the digit (analytic, Algorithm 1 of Avant & Morgansen):"
        table
        "\"class certified\": Proposition 6 shows that no input within the radius changes the digit that is read."
        ""
        $"Where the bound at radius {detailRadius:G4} comes from: the product of the layers' constants over the inputs that can reach them."
        BoundReport.layerTable detail.Result
        "Your own network:  ./lipverify bound MODEL --input X --radius 0.1      (./lipverify bound --help)"
        ""
    ]
    |> String.concat "\n"

let private json (globalReport: BoundReport) (reports: (Radius * BoundReport) list) =
    JsonText.document (fun writer ->
        JsonText.object writer (fun () ->
            writer.WriteString("schema", "lipverify/demo/1")

            JsonText.array writer "bounds" (globalReport :: List.map snd reports) (BoundReport.write writer)))

let private demonstrate (settings: Settings) folder (context: Context) =
    let model = Path.Combine(folder, "mnist-net.onnx")

    let settings =
        { settings with
            Architecture = None
            Input = Some(Path.Combine(folder, "digits", "8.png"))
            Preprocessing = LipVerify.Formats.Preprocessing.mnist
        }

    Session.loadModel settings model
    |> Result.bind (fun network ->
        Session.loadInput settings network
        |> Result.bind (fun input ->
            let output = EnclosedTensor.evaluate context network input
            let name = "samples/mnist/mnist-net.onnx"

            let globalReport =
                BoundCommand.compute context name "global" settings.Definition network None None

            let reports =
                [
                    for radius in radii |> List.map Radius.create |> List.choose Result.toOption do
                        radius,
                        BoundCommand.compute
                            context
                            name
                            "analytic"
                            settings.Definition
                            network
                            (Some input)
                            (Some radius)
                ]

            (if settings.Json then
                 json globalReport reports
             else
                 text "samples/mnist" globalReport output reports)
            |> Session.deliver settings))

/// Runs the command.
let run (settings: Settings) : Result<unit, CommandError> =
    match samples () with
    | Some folder -> Session.run settings (demonstrate settings folder)
    | None -> Error(Usage "samples/mnist is missing: run the demo from the repository")
