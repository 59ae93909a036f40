/// `lipverify demo`: the main job on the bundled network.
module LipVerify.Cli.DemoCommand

open System
open System.IO
open Argu
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Bounds
open LipVerify.Core.Enclosures
open LipVerify.Core.Bounds.Analytic
open LipVerify.Core.Methods
open LipVerify.Solvers
open LipVerify.Formats

let private radii = [ 0.001; 0.003; 0.01; 0.03; 0.1; 0.3; 1.0; 3.0 ]

/// The radius whose layers are shown.
let private detailRadius = 0.1

/// Radii of the curve: enough to see its shape, few enough for a demonstration.
let private curveRadii = "0.001:10:13:log"

/// What the demonstration computed.
[<NoComparison; NoEquality>]
type private Findings =
    {
        Global: BoundReport
        Local: (Radius * BoundReport) list
        Certified: CertifyReport list
        Curve: CurveReport
    }

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
        Figure.exact radius.Value
        Figure.upward bound.Value
        Rigor.label bound.Rigor
        Figure.decimals 1 (globalBound.Value / bound.Value) + "×"
        (if Propositions.keepsClass output radius bound then
             "yes"
         else
             "not shown")
        Figure.decimals 3 report.Elapsed.TotalSeconds
    ]

let private certifiedLine (report: CertifyReport) =
    $"    {report.Method, -9} {Figure.downward report.Result.Radius}"

let private text folder output (findings: Findings) =
    let detail =
        findings.Local
        |> List.find (fun (radius, _) -> radius.Value = detailRadius)
        |> snd

    let globalBound = findings.Global.Result.Bound

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
            (findings.Local |> List.map (row globalBound output))

    [
        $"A network that reads handwritten digits ({folder}), at the digit 8.png."
        "How far can its output move, per unit that the input moves (2-norm)?"
        ""
        $"Anywhere (global):  ≤ {Figure.upward globalBound.Value}, {Rigor.label globalBound.Rigor}"
        "Within a radius of the digit (analytic, Algorithm 1 of Avant & Morgansen):"
        table
        "\"class certified\": Proposition 6 shows that no input within the radius changes the digit that is read."
        "The largest radius for which it does, by method:"
        yield! findings.Certified |> List.map certifiedLine
        ""
        $"Where the bound at radius {Figure.exact detailRadius} comes from: the product of the layers' constants over the inputs that can reach them."
        BoundReport.layerTable detail
        "Upper and lower bounds against the radius:"
        CurveReport.table findings.Curve
        for kind, path in findings.Curve.Files do
            $"    {kind, -4}  {path}"
        ""
        "Your own network:  ./lipverify certify MODEL --input X      (./lipverify --help)"
        ""
    ]
    |> String.concat "\n"

let private json (findings: Findings) =
    JsonText.document (fun writer ->
        JsonText.object writer (fun () ->
            writer.WriteString("schema", "lipverify/demo/1")

            JsonText.array writer "bounds" (findings.Global :: List.map snd findings.Local) (BoundReport.write writer)
            JsonText.array writer "certifiedRadii" findings.Certified (CertifyReport.write writer)
            writer.WritePropertyName "curve"
            CurveReport.write writer findings.Curve))

let private inFolder (folder: string) name = Path.Combine(folder, name)

let private destinations folder : CurveCommand.Destinations =
    {
        Csv = Some(inFolder folder "curve.csv")
        Plot = Some(inFolder folder "curve.svg")
        Html = Some(inFolder folder "curve.html")
        Restart = false
    }

/// The folder for the curve: a new one, or that of the user, as long as nothing in it would be overwritten.
let private prepareFolder (named: string option) =
    try
        match named with
        | None -> Ok (Directory.CreateTempSubdirectory "lipverify-demo-").FullName
        | Some folder ->
            let taken =
                [ "curve.csv"; "curve.csv.state"; "curve.svg"; "curve.html" ]
                |> List.map (inFolder folder)
                |> List.tryFind File.Exists

            match taken with
            | Some path ->
                Error(Usage $"--folder: {path} exists already, and the demo overwrites nothing; name another folder")
            | None -> Ok (Directory.CreateDirectory folder).FullName
    with
    | :? IOException
    | :? UnauthorizedAccessException
    | :? ArgumentException as failure -> Error(Usage $"--folder: {failure.Message}")

let private plan: CurvePlan =
    match CurvePlan.radii curveRadii with
    | Error problem -> invalidOp problem
    | Ok(radii, logarithmic) ->
        {
            Radii = radii
            LogRadii = logarithmic
            Methods = CurveMethod.usual
            Samples = 500
            Starts = Some 8
        }

let private curve (settings: Settings) context name network input folder =
    let request: CurveCommand.Request =
        {
            Settings = settings
            Model = name
            Input = "8.png"
            Title = None
            Plan = plan
            Destinations = destinations folder
        }

    CurveCommand.produce request context network input

let private certified settings context name network input =
    [ "global"; "analytic" ]
    |> List.choose RadiusMethods.tryFind
    |> List.map (fun method ->
        CertifyJob.certify (CertifyJob.create settings context name method network) "8.png" input)
    |> List.choose Result.toOption

let private demonstrate (settings: Settings) samples folder (context: Context) =
    let model = Path.Combine(samples, "mnist-net.onnx")

    let settings =
        { settings with
            Architecture = None
            Input = Some(Path.Combine(samples, "digits", "8.png"))
            Preprocessing = LipVerify.Formats.Preprocessing.mnist
        }

    let name = "samples/mnist/mnist-net.onnx"

    result {
        do! OutputFiles.check settings model []
        let! loaded = Session.loadModel settings model
        let network = loaded.Network
        let! input = Session.loadNominal settings context network

        let bound method radius =
            BoundCommand.compute
                name
                method
                {
                    Context = context
                    Network = network
                    Norm = Euclidean
                    Definition = settings.Definition
                    Enclosure = Ball
                    NeedsWitness = false
                    Solvers = InstalledSolvers.all
                }
                {
                    Input = Some input
                    Radius = radius
                    Class = None
                }

        let! globalBound = bound BoundMethods.globalProduct None

        let! locals =
            radii
            |> List.choose (Radius.create >> Result.toOption)
            |> traverse (fun radius ->
                bound BoundMethods.analytic (Some radius)
                |> Result.map (fun report -> radius, report))

        let! folder = prepareFolder folder
        let! curve = curve settings context name network input folder

        let findings =
            {
                Global = globalBound
                Local = List.ofArray locals
                Certified = certified settings context name network input
                Curve = curve
            }

        return!
            (if settings.Json then
                 json findings
             else
                 text "samples/mnist" (EnclosedTensor.evaluate context network input) findings)
            |> Session.deliver settings loaded.Notices
    }

/// Runs the command.
let run (settings: Settings) (arguments: ParseResults<DemoArguments>) : Result<unit, CommandError> =
    match samples () with
    | Some samples -> Session.run settings (demonstrate settings samples (arguments.TryGetResult DemoArguments.Folder))
    | None -> Error(Usage "samples/mnist is missing: run the demo from the repository")
