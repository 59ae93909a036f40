/// The share of inputs whose class is shown to be kept on a ball in the maximum norm, against its radius.
module LipVerify.Samples.PolynomialBounds.CertificationExperiment

open System
open System.Diagnostics
open System.IO
open LipVerify.Cli
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Bounds.Polynomials
open LipVerify.Solvers
open LipVerify.Samples.PolynomialBounds.Classifier

let private inputs, hidden, classes = 80, 80, 4
let private testSize = 32
let private radii = [ 0.02; 0.05; 0.1; 0.15; 0.2; 0.25; 0.3; 0.35; 0.4 ]

/// What is asked about a trained classifier.
[<NoComparison; NoEquality>]
type private Subject =
    {
        Context: Context
        Classifier: Classifier
        Network: Network
        /// Seconds of the semidefinite programs, by method.
        Spent: ResizeArray<PolynomialMethod * float>
    }

let private networkOf classifier =
    RandomNetwork.network classifier.Hidden classifier.Bias classifier.Output classifier.Offset

/// The other classes, the closest first, with the margin `f_rival − f_label` at the example.
let private rivals subject (example: Example) =
    [ 0 .. classes - 1 ]
    |> List.filter (fun rival -> rival <> example.Label)
    |> List.map (fun rival -> rival, fst (margin subject.Classifier example.Label rival example.Point))
    |> List.sortByDescending snd

/// The largest of some radii, ascending, for which no rival gets a margin of 0; a ball lies in the larger ones.
let private largest subject example radii largestMargin =
    let rivals = rivals subject example

    List.rev radii
    |> List.tryFind (fun radius -> rivals |> List.forall (fun rival -> largestMargin radius rival < 0.0))

let private attacked subject (example: Example) radius rival =
    BoxAscent.maximum (Random 1) 20 subject.Classifier example.Label rival example.Point radius

let private relaxed subject method (example: Example) radius rival =
    let clock = Stopwatch.StartNew()
    let solver = InstalledSolvers.all.Semidefinite

    let bound =
        Radius.create radius
        |> Result.bind (
            MarginRelaxation.bound
                subject.Context
                solver
                method
                Maximum
                subject.Network
                example.Label
                rival
                example.Point
        )
        |> Result.defaultWith failwith

    subject.Spent.Add(method, clock.Elapsed.TotalSeconds)
    bound.Value

/// A Lipschitz constant of the difference of any two outputs, which have the same one both ways.
let private constants subject (constant: Network -> float) =
    let classifier = subject.Classifier

    [
        for label in 0 .. classes - 1 do
            for rival in label + 1 .. classes - 1 do
                let row =
                    Array2D.init 1 hidden (fun _ i -> classifier.Output[rival, i] - classifier.Output[label, i])

                let value =
                    constant (RandomNetwork.network classifier.Hidden classifier.Bias row [| 0.0 |])

                (label, rival), value
                (rival, label), value
    ]
    |> dict

let private lipOpt3 context network =
    KrivineFloor.lipOpt3 context network 0 Everywhere |> Result.defaultWith failwith

let private hr2 context network =
    PolynomialBound.compute context InstalledSolvers.all Hr2 Maximum network 0 Everywhere
    |> Result.map _.Value
    |> Result.defaultWith failwith

let private ways =
    [
        "no attack found"
        "margins by HR-2"
        "margins by Shor"
        "constants by HR-2"
        "constants by LipOpt-3, at most"
    ]

/// How far each way gets for an example, in the order of `ways`.
let private reached subject hr2Constants lipOpt3Constants (example: Example) =
    let fromRelaxations method radii =
        largest subject example radii (fun radius (rival, _) -> relaxed subject method example radius rival)

    let fromConstants (constants: Collections.Generic.IDictionary<int * int, float>) =
        largest subject example radii (fun radius (rival, margin) -> margin + radius * constants[example.Label, rival])

    let unbroken =
        largest subject example radii (fun radius (rival, _) -> attacked subject example radius rival)

    // Nothing is certified beyond an attack, and HR-2 is no looser than Shor: only radii between are asked.
    let atMost limit =
        radii |> List.filter (fun radius -> Some radius <= limit)

    let shor = fromRelaxations Shor (atMost unbroken)

    let hr2 =
        atMost unbroken
        |> List.filter (fun radius -> Some radius > shor)
        |> fromRelaxations Hr2
        |> Option.orElse shor

    eprintfn $"class {example.Label}: {Option.toList unbroken} {Option.toList hr2} {Option.toList shor}"

    [
        unbroken
        hr2
        shor
        fromConstants hr2Constants
        fromConstants lipOpt3Constants
    ]

let private share (found: float option list) radius =
    let kept = found |> List.filter (fun reached -> reached >= Some radius)
    float kept.Length / float found.Length

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
                        Dashed = name = ways.Head
                        Points = radii |> List.map (fun radius -> radius, share found radius)
                    }
            ]
    }

/// Margins of a few examples at one radius, to show how tight the relaxations are.
let private examplesTable subject radius examples =
    Tables.print
        [ "class"; "rival"; "at the input"; "attained"; "HR-2"; "Shor" ]
        [
            for example in examples do
                let rival, margin = List.head (rivals subject example)

                [
                    string example.Label
                    string rival
                    Tables.short margin
                    Tables.short (attacked subject example radius rival)
                    Tables.short (relaxed subject Hr2 example radius rival)
                    Tables.short (relaxed subject Shor example radius rival)
                ]
        ]

let private report subject folder columns =
    let header = "radius" :: List.map fst columns

    let rows number =
        [
            for radius in radii do
                number radius :: [ for _, found in columns -> number (share found radius) ]
        ]

    let plain = header |> List.map (fun name -> name.Replace(",", ""))
    Tables.writeCsv (Path.Combine(folder, "certified-inputs.csv")) plain (rows Tables.full)
    Tables.print header (rows Tables.short)

    for method, seconds in subject.Spent |> Seq.groupBy fst do
        printfn
            $"{method}: {Seq.length seconds} programs, {Tables.short (Seq.averageBy snd seconds)} s on average, {Tables.short (Seq.max (Seq.map snd seconds))} s at most"

    File.WriteAllText(Path.Combine(folder, "certified-inputs.svg"), LineChart.file (chart columns))

/// Trains, measures, prints tables, and writes `certified-inputs.csv` and a figure.
let run context folder =
    let random = Random 7
    let draw = clusters random inputs classes 0.5
    let classifier = train random hidden classes 10 0.01 1e-3 (draw 2000)
    let tests = draw 500

    let isRight example =
        predict classifier example.Point = example.Label

    let right = tests |> Array.filter isRight
    printfn $"accuracy on {tests.Length} fresh points: {Tables.short (float right.Length / float tests.Length)}\n"

    let subject =
        {
            Context = context
            Classifier = classifier
            Network = networkOf classifier
            Spent = ResizeArray()
        }

    let hr2Constants = constants subject (hr2 context)
    let lipOpt3Constants = constants subject (lipOpt3 context)

    let found =
        Array.truncate testSize tests
        |> List.ofArray
        |> List.map (fun example ->
            if isRight example then
                reached subject hr2Constants lipOpt3Constants example
            else
                ways |> List.map (fun _ -> None))

    report subject folder (List.zip ways (List.transpose found))
    printfn ""
    examplesTable subject 0.25 (Array.truncate 5 right)
