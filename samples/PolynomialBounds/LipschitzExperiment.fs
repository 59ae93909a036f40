/// Upper and lower bounds on the global Lipschitz constant, in the maximum norm, of random networks (80, 80).
module LipVerify.Samples.PolynomialBounds.LipschitzExperiment

open System.Diagnostics
open System.IO
open LipVerify.Cli
open LipVerify.Core.Numbers
open LipVerify.Core.Bounds.Polynomials
open LipVerify.Solvers

/// Inputs and hidden units.
let size = 80

/// Connections of a hidden unit, and how many networks are drawn.
let plan = [ 3, 3; 5, 3; 6, 3; 10, 3; 20, 3; 40, 3; 80, 10 ]

/// A figure and the seconds that it took.
type private Timed = { Value: float; Seconds: float }

type private Row =
    {
        Connections: int
        Seed: int
        Attained: Timed
        Hr2: Timed
        Shor: Timed
        /// None where its linear program is too large.
        LipOpt3: Timed option
        /// What LipOpt-3 is at least.
        Floor: float
    }

let private timed compute =
    let clock = Stopwatch.StartNew()
    let value = compute ()

    {
        Value = value
        Seconds = clock.Elapsed.TotalSeconds
    }

let private measure context connections seed =
    let weights, bias, output = RandomNetwork.sparse size connections seed
    let network = RandomNetwork.network weights bias output [| 0.0 |]
    let products = Array2D.mapi (fun i _ w -> w * output[0, i]) weights

    let bound method =
        PolynomialBound.compute context InstalledSolvers.all method Maximum network 0 Everywhere
        |> Result.map _.Value

    let row =
        {
            Connections = connections
            Seed = seed
            Attained = timed (fun () -> VertexSearch.maximum seed 200 products)
            Hr2 = timed (fun () -> bound Hr2 |> Result.defaultWith failwith)
            Shor = timed (fun () -> bound Shor |> Result.defaultWith failwith)
            LipOpt3 =
                let answer = timed (fun () -> bound (LipOpt 3) |> Result.defaultValue nan)

                if System.Double.IsNaN answer.Value then
                    None
                else
                    Some answer
            Floor = KrivineFloor.lipOpt3 context network 0 Everywhere |> Result.defaultWith failwith
        }

    eprintfn
        $"{connections} connections, seed {seed}: {Figure.downward row.Attained.Value} ≤ HR-2 {Figure.upward row.Hr2.Value}"

    row

let private header =
    [
        "connections"
        "seed"
        "attained"
        "HR-2"
        "Shor"
        "LipOpt-3"
        "LipOpt-3 at least"
        "seconds attained"
        "seconds HR-2"
        "seconds Shor"
        "seconds LipOpt-3"
    ]

let private cells number row =
    let optional figure =
        row.LipOpt3 |> Option.map (figure >> number) |> Option.defaultValue ""

    [
        string row.Connections
        string row.Seed
        number row.Attained.Value
        number row.Hr2.Value
        number row.Shor.Value
        optional _.Value
        number row.Floor
        number row.Attained.Seconds
        number row.Hr2.Seconds
        number row.Shor.Seconds
        optional _.Seconds
    ]

/// Which of the two is tighter, as far as the figures show.
let private verdict row =
    match row.LipOpt3 with
    | Some lipOpt when row.Hr2.Value < lipOpt.Value -> "HR-2"
    | Some _ -> "LipOpt-3"
    | None when row.Hr2.Value < row.Floor -> "HR-2"
    | None -> "open"

let private dense rows =
    rows
    |> List.filter (fun row -> row.Connections = size)
    |> List.map (fun row ->
        [
            string row.Seed
            Tables.short row.Attained.Value
            Tables.short row.Hr2.Value
            Tables.short row.Shor.Value
            $"≥ {Tables.short row.Floor}"
            Tables.short (row.Floor / row.Hr2.Value)
            verdict row
        ])

let private mean figure rows =
    let figures = rows |> List.choose figure

    if figures.Length = rows.Length then
        Some(List.average figures)
    else
        None

let private groups rows =
    rows
    |> List.groupBy _.Connections
    |> List.map (fun (connections, rows) -> float connections, rows)

let private curve name dashed figure rows : LineChart.Curve =
    {
        Name = name
        Dashed = dashed
        Points =
            groups rows
            |> List.choose (fun (x, rows) -> mean figure rows |> Option.map (fun y -> x, y))
    }

let private values rows : LineChart.Chart =
    {
        Title = $"Bounds of random networks ({size}, {size}), maximum norm"
        Across = "connections of a hidden unit", Logarithmic
        Up = "Lipschitz constant (mean)", Logarithmic
        Curves =
            [
                curve "Shor" false (fun row -> Some row.Shor.Value) rows
                curve "HR-2" false (fun row -> Some row.Hr2.Value) rows
                curve "LipOpt-3" false (fun row -> row.LipOpt3 |> Option.map _.Value) rows
                curve "LipOpt-3 is at least" true (fun row -> Some row.Floor) rows
                curve "attained" true (fun row -> Some row.Attained.Value) rows
            ]
    }

let private times rows : LineChart.Chart =
    {
        Title = $"Running times for random networks ({size}, {size})"
        Across = "connections of a hidden unit", Logarithmic
        Up = "seconds (mean)", Logarithmic
        Curves =
            [
                curve "Shor" false (fun row -> Some row.Shor.Seconds) rows
                curve "HR-2" false (fun row -> Some row.Hr2.Seconds) rows
                curve "LipOpt-3" false (fun row -> row.LipOpt3 |> Option.map _.Seconds) rows
                curve "attained (ascent)" true (fun row -> Some row.Attained.Seconds) rows
            ]
    }

/// Measures, prints tables, and writes `polynomial-bounds.csv` and two figures.
let run context folder =
    let rows =
        [
            for connections, seeds in plan do
                for seed in 1..seeds -> measure context connections seed
        ]

    Tables.writeCsv (Path.Combine(folder, "polynomial-bounds.csv")) header (rows |> List.map (cells Tables.full))

    Tables.print
        [
            "connections"
            "attained"
            "HR-2"
            "Shor"
            "LipOpt-3"
            "LipOpt-3 ≥"
            "s HR-2"
            "s Shor"
            "s LipOpt-3"
        ]
        [
            for x, rows in groups rows do
                let show figure =
                    mean figure rows |> Option.map Tables.short |> Option.defaultValue "too large"

                [
                    Tables.short x
                    show (fun row -> Some row.Attained.Value)
                    show (fun row -> Some row.Hr2.Value)
                    show (fun row -> Some row.Shor.Value)
                    show (fun row -> row.LipOpt3 |> Option.map _.Value)
                    show (fun row -> Some row.Floor)
                    show (fun row -> Some row.Hr2.Seconds)
                    show (fun row -> Some row.Shor.Seconds)
                    show (fun row -> row.LipOpt3 |> Option.map _.Seconds)
                ]
        ]

    Tables.print
        [
            "seed"
            "attained"
            "HR-2"
            "Shor"
            "LipOpt-3"
            "LipOpt-3 / HR-2 ≥"
            "tighter"
        ]
        (dense rows)

    File.WriteAllText(Path.Combine(folder, "polynomial-bounds.svg"), LineChart.file (values rows))
    File.WriteAllText(Path.Combine(folder, "polynomial-times.svg"), LineChart.file (times rows))
