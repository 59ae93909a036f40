/// Upper bounds on how far an output can exceed another over a ball, by semidefinite relaxation (Raghunathan, Steinhardt & Liang
/// 2018; HR-2: Chen, Lasserre, Magron & Pauwels 2020). Where all are below 0 the class is kept on the ball.
module LipVerify.Core.Bounds.Polynomials.MarginRelaxation

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Bounds.Polynomials.FirstOrderMatrix

/// `value·(offset + row·ξ)·m` for the quantity `m` of a row of the matrix; coordinates `ξ` begin at row 1.
let private affine value (unit: OpenUnit) m =
    [
        entry 0 0 m (value * unit.Offset)

        for j in 0 .. unit.Row.Length - 1 do
            if unit.Row[j] <> 0.0 then
                entry 0 (1 + j) m (value * unit.Row[j])
    ]

/// `s ≥ 0`, `s ≥ p`, `s² = s p` and `s² ≤ High·s`.
let private rectified m (unit: OpenUnit) =
    [
        atMost 0.0 [ entry 0 0 m -1.0 ]
        atMost 0.0 (entry 0 0 m -1.0 :: affine 1.0 unit 0)
        equals 0.0 (entry 0 m m 1.0 :: affine -1.0 unit m)
        atMost 0.0 [ entry 0 m m 1.0; entry 0 0 m -unit.High ]
    ]

/// `(High − Low)·s ≤ High·(p − Low)`: the line above the graph of a ReLU.
let private envelope m (unit: OpenUnit) =
    let raised =
        { unit with
            Offset = unit.Offset - unit.Low
        }

    entry 0 0 m (unit.High - unit.Low) :: affine -unit.High raised 0 |> atMost 0.0

/// `s(1 ± ξ_j) ≥ 0` and `(High − s)(1 ± ξ_j) ≥ 0`.
let private products m (unit: OpenUnit) j =
    [
        for sign in [ 1.0; -1.0 ] do
            atMost 0.0 [ entry 0 0 m -1.0; entry 0 (1 + j) m -sign ]

            atMost
                0.0
                [
                    entry 0 0 0 -unit.High
                    entry 0 0 (1 + j) (-sign * unit.High)
                    entry 0 0 m 1.0
                    entry 0 (1 + j) m sign
                ]
    ]

/// The pairs of a ReLU and an input: all of them, or the two strongest of each.
let private pairs (units: (int * OpenUnit) list) =
    [
        for m, unit in units do
            for j in 0 .. unit.Row.Length - 1 do
                if unit.Row[j] <> 0.0 then
                    (m, 1 + j), abs (unit.Weight * unit.Row[j])
    ]
    |> strongest MomentRelaxation.mostPairs 2

let private secondOrder units =
    let byRow = dict units

    [
        for m, unit in units do
            envelope m unit

        for m, row in pairs units do
            yield! products m byRow[m] (row - 1)
    ]

/// The relaxation, whose objective was divided by `factor`.
let private program isPaired factor (problem: MarginProblem) =
    let inputs = problem.Slope.Length
    let units = problem.Units |> List.mapi (fun i unit -> 1 + inputs + i, unit)

    {
        Sides = [| 1 + inputs + units.Length |]
        Traces =
            [|
                1.0
                + (match problem.Norm with
                   | Maximum -> float inputs
                   | Euclidean
                   | Taxicab -> 1.0)
                + float units.Length
            |]
        Objective =
            [
                for j in 0 .. inputs - 1 do
                    if problem.Slope[j] <> 0.0 then
                        entry 0 0 (1 + j) (problem.Slope[j] / factor)
                for m, unit in units do
                    entry 0 0 m (unit.Weight / factor)
            ]
        Constraints =
            [|
                normalised
                yield! unitBall problem.Norm [ 1..inputs ]
                for m, unit in units do
                    yield! rectified m unit
                if isPaired then
                    yield! secondOrder units
            |]
    }

let private factorOf (problem: MarginProblem) =
    (Array.fold (fun largest slope -> max largest (abs slope)) 0.0 problem.Slope, problem.Units)
    ||> List.fold (fun largest unit -> max largest (abs unit.Weight))
    |> fun largest -> Math.ScaleB(1.0, Math.ILogB largest)

let private maximise context solver isPaired (problem: MarginProblem) =
    if problem.Units.IsEmpty then
        Ok(Norm.dual problem.Norm problem.Slope)
    else
        let factor = factorOf problem

        program isPaired factor problem
        |> SemidefiniteProgram.maximise context solver
        |> Result.map (fun maximum -> factor * maximum)

/// An upper bound on the largest `f_rival(x) − f_label(x)`, `‖x − center‖ ≤ radius`, for a network with one hidden layer, by `Shor` or
/// `Hr2`, or one line that says why there is none. It holds in exact arithmetic (`Numerical`), whatever the solver returned.
let bound context (solver: SemidefiniteSolver) method norm network label rival center radius =
    let isPaired =
        match method with
        | Shor -> Ok false
        | Hr2 -> Ok true
        | _ -> Error "margins are relaxed by shor and hr2 only"

    isPaired
    |> Result.bind (fun isPaired ->
        DenseChain.ofNetwork context network
        |> Result.bind (fun chain -> MarginProblem.create norm chain label rival center radius)
        |> Result.bind (fun problem ->
            maximise context solver isPaired problem
            |> Result.map (fun maximum ->
                let value = problem.Constant + maximum + problem.Rounding

                {
                    // Where numbers overflow there is no bound.
                    Value =
                        if Double.IsNaN value then
                            Double.PositiveInfinity
                        else
                            value
                    Rigor = Numerical
                })))
