/// The share of inputs whose class is shown to be kept on a ball in the maximum norm, against its radius.
module LipVerify.Samples.PolynomialBounds.CertificationExperiment

open System
open System.Diagnostics
open System.IO
open LipVerify.Cli
open LipVerify.Core
open LipVerify.Solvers
open LipVerify.Samples.PolynomialBounds.Classifier

let private inputs, hidden, classes = 80, 80, 4
let private testSize = 24
let private radii = [ 0.05; 0.1; 0.15; 0.2; 0.25; 0.3; 0.35; 0.4; 0.45; 0.5 ]

/// A way to show that a class is kept: the largest of `radii` at which it succeeds for an example; none where it fails at all.
[<NoComparison; NoEquality>]
type private Way =
    {
        Name: string
        Radius: Example -> float option
    }

let private networkOf classifier =
    RandomNetwork.network classifier.Hidden classifier.Bias classifier.Output classifier.Offset

let private rivals label =
    [ 0 .. classes - 1 ] |> List.filter (fun rival -> rival <> label)

/// The rivals of an example, the closest first, with the margin `f_rival − f_label` there.
let private margins classifier (example: Example) =
    rivals example.Label
    |> List.map (fun rival -> rival, fst (margin classifier example.Label rival example.Point))
    |> List.sortByDescending snd

/// The largest radius that passes, by halving: a ball lies in the larger ones.
let private largest passes =
    let radii = Array.ofList radii

    let rec search low high =
        if high - low <= 1 then
            low
        else
            let middle = (low + high) / 2

            if passes radii[middle] then
                search middle high
            else
                search low middle

    match search -1 radii.Length with
    | -1 -> None
    | index -> Some radii[index]

/// `f_rival(x0) − f_label(x0) + ε·L < 0` with a Lipschitz constant `L` of the difference for each pair of classes.
let private lipschitz name classifier (constant: Network -> float) =
    let constants =
        dict
            [
                for label in 0 .. classes - 1 do
                    for rival in label + 1 .. classes - 1 do
                        let row =
                            Array2D.init 1 hidden (fun _ i -> classifier.Output[rival, i] - classifier.Output[label, i])

                        let difference =
                            RandomNetwork.network classifier.Hidden classifier.Bias row [| 0.0 |]

                        (label, rival), constant difference
            ]

    {
        Name = name
        Radius =
            fun example ->
                let found = margins classifier example

                largest (fun radius ->
                    found
                    |> List.forall (fun (rival, margin) ->
                        margin + radius * constants[min example.Label rival, max example.Label rival] < 0.0))
    }

/// A relaxation of the margins, and how many programs it solved in how many seconds.
let private relaxation context name method classifier (spent: ResizeArray<float>) =
    let network = networkOf classifier

    let bound (example: Example) radius (rival, _) =
        let clock = Stopwatch.StartNew()

        let bound =
            Radius.create radius
            |> Result.bind (
                MarginRelaxation.bound
                    context
                    InstalledSolvers.all.Semidefinite
                    method
                    Maximum
                    network
                    example.Label
                    rival
                    example.Point
            )
            |> Result.defaultWith failwith

        spent.Add clock.Elapsed.TotalSeconds
        bound.Value

    {
        Name = name
        Radius =
            fun example ->
                let found = margins classifier example
                largest (fun radius -> found |> List.forall (fun rival -> bound example radius rival < 0.0))
    }

/// Where no attack is found: nothing can be certified beyond.
let private unbroken classifier =
    {
        Name = "no attack found"
        Radius =
            fun example ->
                let random = Random 1

                largest (fun radius ->
                    rivals example.Label
                    |> List.forall (fun rival ->
                        BoxAscent.maximum random 20 classifier example.Label rival example.Point radius < 0.0))
    }

let private share (found: float option list) radius =
    let kept =
        found
        |> List.filter (function
            | Some reached -> reached >= radius
            | None -> false)

    float kept.Length / float found.Length

let private lipOpt3 context network =
    KrivineFloor.lipOpt3 context network 0 Everywhere |> Result.defaultWith failwith

let private hr2 context network =
    PolynomialBound.compute context InstalledSolvers.all Hr2 Maximum network 0 Everywhere
    |> Result.defaultWith failwith
    |> _.Value

let private chart (columns: (string * float option list) list) : LineChart.Chart =
    {
        Title = $"Certified inputs of a classifier ({inputs}, {hidden})"
        Across = "radius ε in the maximum norm", Linear
        Up = "share of test inputs", Linear
        Curves =
            [
                for name, found in columns do
                    {
                        Name = name
                        Dashed = name.Contains "attack"
                        Points = radii |> List.map (fun radius -> radius, share found radius)
                    }
            ]
    }

/// Trains, measures, prints a table, and writes `certified-inputs.csv` and a figure.
let run context folder =
    let random = Random 7
    let draw = clusters random inputs classes 0.5
    let classifier = train random hidden classes 10 0.01 1e-3 (draw 2000)
    let tests = draw 500

    let right =
        tests
        |> Array.filter (fun example -> predict classifier example.Point = example.Label)

    printfn $"accuracy on {tests.Length} fresh points: {Tables.short (float right.Length / float tests.Length)}"
    let examples = List.ofArray (Array.truncate testSize tests)
    let shorSeconds, hr2Seconds = ResizeArray(), ResizeArray()

    let ways =
        [
            unbroken classifier
            relaxation context "HR-2 of margins" Hr2 classifier hr2Seconds
            relaxation context "Shor of margins" Shor classifier shorSeconds
            lipschitz "constants by HR-2" classifier (hr2 context)
            lipschitz "constants by LipOpt-3, at most" classifier (lipOpt3 context)
        ]

    let columns =
        ways
        |> List.map (fun way ->
            let found =
                examples
                |> List.map (fun example ->
                    if predict classifier example.Point = example.Label then
                        way.Radius example
                    else
                        None)

            eprintfn $"{way.Name}: done"
            way.Name, found)

    let header = "radius" :: List.map fst columns

    let rows number =
        [
            for radius in radii do
                number radius :: [ for _, found in columns -> number (share found radius) ]
        ]

    Tables.writeCsv
        (Path.Combine(folder, "certified-inputs.csv"))
        (header |> List.map (fun name -> name.Replace(",", "")))
        (rows Tables.full)

    Tables.print header (rows Tables.short)

    for name, seconds in [ "HR-2", hr2Seconds; "Shor", shorSeconds ] do
        printfn
            $"{name}: {seconds.Count} programs, {Tables.short (Seq.average seconds)} s on average, {Tables.short (Seq.max seconds)} s at most"

    File.WriteAllText(Path.Combine(folder, "certified-inputs.svg"), LineChart.file (chart columns))
