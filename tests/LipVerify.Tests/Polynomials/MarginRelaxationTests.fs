/// Relaxed margins over balls against sampled ones and closed forms.
module LipVerify.Tests.MarginRelaxationTests

open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Core.Numbers
open LipVerify.Core.Networks
open LipVerify.Core.Bounds.Polynomials
open LipVerify.Propositions.Generators
open LipVerify.Solvers
open LipVerify.Tests.PolynomialCases

let private norms = [ Maximum; Euclidean ]

let private grown =
    grow (fun draw -> [ draw.Int(1, 5); draw.Int(1, 7); draw.Int(2, 3) ])

let private radiusOf (draw: Draw) =
    draw.Pick [ 0.0; draw.Power(-3.0, 0.0); draw.Power(-1.0, 1.0); draw.Power(2.0, 6.0) ]

let private outputs case =
    let rows, _, _ = List.last case.Layers
    rows

let private rival case = (case.Output + 1) % outputs case

let private problemOf norm case radius =
    match DenseChain.ofNetwork context case.Network, Radius.create radius with
    | Ok chain, Ok radius ->
        MarginProblem.create norm chain case.Output (rival case) case.Input radius
        |> Result.defaultWith failwith
    | _ -> failwith "no chain"

let private boundBy solver method norm case radius =
    let radius = Radius.create radius |> Result.defaultWith failwith

    match MarginRelaxation.bound context solver method norm case.Network case.Output (rival case) case.Input radius with
    | Ok bound ->
        Expect.equal bound.Rigor Numerical "rigor"
        bound.Value
    | Error problem ->
        failtest problem
        nan

let private relaxed method norm case radius =
    boundBy InstalledSolvers.all.Semidefinite method norm case radius

/// `f_rival − f_label` at a point.
let private margin case (x: float[]) =
    let last = case.Layers.Length - 1

    let values =
        (x, List.indexed case.Layers)
        ||> List.fold (fun x (k, (rows, weights, bias)) ->
            let columns = x.Length

            let y =
                Array.init rows (fun i ->
                    bias[i]
                    + Seq.sum (seq { for j in 0 .. columns - 1 -> weights[i * columns + j] * x[j] }))

            if k < last then Array.map (max 0.0) y else y)

    values[rival case] - values[case.Output]

/// What the numbers of a margin are made of, in size: errors are counted in it.
let private size case radius =
    let x = case.Input |> Array.map (fun x -> abs x + radius)

    (x, case.Layers)
    ||> List.fold (fun x (rows, weights, bias) ->
        Array.init rows (fun i ->
            abs bias[i]
            + Seq.sum (seq { for j in 0 .. x.Length - 1 -> abs weights[i * x.Length + j] * x[j] })))
    |> fun values -> values[rival case] + values[case.Output]

let private below slack case radius what (a: float) (b: float) =
    if not (a <= b + slack * size case radius) then
        failtest $"{what}: {a:R} > {b:R}"

/// What interior point methods leave.
let private solverGap = 1e-5

/// The centre, points in the directions of the vertices of a cube, and random points.
let private points norm (draw: Draw) (center: float[]) radius =
    let at (direction: float[]) =
        let length =
            match norm with
            | Maximum -> direction |> Array.fold (fun largest x -> max largest (abs x)) 0.0
            | Euclidean -> sqrt (direction |> Array.sumBy (fun x -> x * x))
            | Taxicab -> direction |> Array.sumBy abs

        let step = radius * (1.0 - 1e-9)
        Array.map2 (fun x d -> if length = 0.0 then x else x + step * d / length) center direction

    [
        center
        for pattern in 0 .. (1 <<< center.Length) - 1 do
            at (Array.init center.Length (fun j -> float (2 * ((pattern >>> j) &&& 1) - 1)))
        for _ in 1..100 do
            let shrunk = if draw.Chance 0.5 then 1.0 else draw.Real(0.0, 1.0)
            let point = at (draw.Gaussians center.Length)
            Array.map2 (fun c x -> c + shrunk * (x - c)) center point
    ]

/// The row of the output's matrix that belongs to the margin.
let private difference case =
    let rows, weights, _ = List.last case.Layers
    let columns = weights.Length / rows

    let row k =
        weights[k * columns .. (k + 1) * columns - 1]

    Array.map2 (-) (row (rival case)) (row case.Output)

[<Tests>]
let tests =
    testList
        "MarginRelaxation"
        [
            testCase "no point of a ball has a margin above the relaxed one" (fun () ->
                requireSolvers ()

                check 60 grown (fun case ->
                    let draw = Draw case.Seed

                    for norm in norms do
                        let radius = radiusOf draw
                        let largest = points norm draw case.Input radius |> Seq.map (margin case) |> Seq.max

                        for method in [ Shor; Hr2 ] do
                            below rounding case radius $"sampled ≤ {method}" largest (relaxed method norm case radius)))

            testCase "HR-2 is no looser than Shor, and Shor no looser than intervals" (fun () ->
                requireSolvers ()

                check 60 grown (fun case ->
                    for norm in norms do
                        let radius = radiusOf (Draw case.Seed)
                        let problem = problemOf norm case radius

                        let intervals =
                            problem.Constant
                            + Norm.dual norm problem.Slope
                            + List.sumBy (fun unit -> max 0.0 (unit.Weight * unit.High)) problem.Units

                        let shor = relaxed Shor norm case radius
                        below solverGap case radius "HR-2 ≤ Shor" (relaxed Hr2 norm case radius) shor
                        below solverGap case radius "Shor ≤ intervals" shor intervals))

            testCase "HR-2 is no looser than the lines above and below each ReLU" (fun () ->
                requireSolvers ()

                // With one input: the margin with each ReLU on the line above it, or at 0 where less is better, at both ends.
                check 40 (grow (fun draw -> [ 1; draw.Int(1, 4); 2 ])) (fun case ->
                    let radius = Draw(case.Seed).Power(-1.0, 1.0)
                    let problem = problemOf Maximum case radius

                    let upper =
                        [ -1.0; 1.0 ]
                        |> List.map (fun xi ->
                            problem.Units
                            |> List.sumBy (fun unit ->
                                let p = unit.Offset + unit.Row[0] * xi

                                if unit.Weight > 0.0 then
                                    unit.Weight * unit.High * (p - unit.Low) / (unit.High - unit.Low)
                                else
                                    0.0)
                            |> (+) (problem.Constant + problem.Slope[0] * xi))
                        |> List.max

                    below solverGap case radius "HR-2 ≤ lines" (relaxed Hr2 Maximum case radius) upper))

            testCase "where no ReLU is open the margin is exact" (fun () ->
                let mutable checkedCases = 0

                check 100 grown (fun case ->
                    let _, weights, bias = case.Layers.Head
                    let columns = case.Inputs

                    let preActivations =
                        Array.init bias.Length (fun i ->
                            let row = weights[i * columns .. (i + 1) * columns - 1]
                            let value = bias[i] + Array.fold2 (fun sum w x -> sum + w * x) 0.0 row case.Input
                            value, Array.sumBy abs row)

                    let reach =
                        preActivations
                        |> Seq.filter (fun (_, size) -> size > 0.0)
                        |> Seq.map (fun (value, size) -> abs value / size)
                        |> Seq.fold min 1.0

                    if reach > 1e-6 then
                        checkedCases <- checkedCases + 1
                        let radius = 0.5 * reach

                        let slopes =
                            preActivations |> Array.map (fun (value, _) -> if value > 0.0 then 1.0 else 0.0)

                        let c = difference case

                        let gradient =
                            Array.init columns (fun j ->
                                Seq.sum (
                                    seq { for i in 0 .. c.Length - 1 -> c[i] * slopes[i] * weights[i * columns + j] }
                                ))

                        for norm in norms do
                            let exact = margin case case.Input + radius * dualNorm norm gradient
                            let solver: SemidefiniteSolver = fun _ _ -> Error "nothing is left to solve"

                            for method in [ Shor; Hr2 ] do
                                let bound = boundBy solver method norm case radius
                                below rounding case radius "exact ≤ bound" exact bound
                                below rounding case radius "bound ≤ exact" bound exact)

                Expect.isGreaterThan checkedCases 50 "checked cases")

            statement "any multipliers prove an upper bound on margins" 60 grown (fun case ->
                let draw = Draw case.Seed

                let careless: SemidefiniteSolver =
                    fun _ program ->
                        Ok(Array.init program.Constraints.Length (fun _ -> draw.Gaussian() * draw.Power(-3.0, 3.0)))

                for norm in norms do
                    let radius = radiusOf draw
                    let largest = points norm draw case.Input radius |> Seq.map (margin case) |> Seq.max

                    for method in [ Shor; Hr2 ] do
                        below
                            rounding
                            case
                            radius
                            $"sampled ≤ {method}"
                            largest
                            (boundBy careless method norm case radius))

            testCase
                "margins of two hidden layers, of outputs that are not there and by other methods are declined"
                (fun () ->
                    let radius = Radius.create 0.1 |> Result.defaultWith failwith
                    let solver: SemidefiniteSolver = fun _ _ -> Error "not asked"

                    let declinedIn norm method case label rival =
                        match
                            MarginRelaxation.bound
                                context
                                solver
                                method
                                norm
                                case.Network
                                label
                                rival
                                case.Input
                                radius
                        with
                        | Ok bound -> $"a bound: {bound.Value}"
                        | Error problem -> problem

                    let declined = declinedIn Maximum

                    Expect.stringContains
                        (declinedIn Taxicab Shor (grown 3) 0 1)
                        "maximum norm only"
                        "declinedIn Taxicab Shor (grown 3) 0 1"

                    Expect.stringContains
                        (declined Shor (twoHidden 3) 0 1)
                        "one hidden layer"
                        "declined Shor (twoHidden 3) 0 1"

                    Expect.stringContains (declined Shor (grown 3) 0 7) "no outputs" "declined Shor (grown 3) 0 7"

                    Expect.stringContains
                        (declined (LipOpt 3) (grown 3) 0 1)
                        "shor and hr2"
                        "declined (LipOpt 3) (grown 3) 0 1")

            testCase "a pre-activation below the least number is not taken for one that is off" (fun () ->
                requireSolvers ()

                // 10³⁰⁰·relu(10⁻²⁰⁰·x) − 10⁻⁶⁰ at x = 10⁻¹⁵⁰ is 10⁻⁵⁰ less 10⁻⁶⁰.
                let case =
                    dense [| 1e-150 |] [ [ [| 1e-200 |], 0.0 ]; [ [| 0.0 |], 1e-60; [| 1e300 |], 0.0 ] ]

                for norm in norms do
                    for method in [ Shor; Hr2 ] do
                        Expect.isGreaterThan
                            (relaxed method norm case 1e-152)
                            0.99e-50
                            "relaxed method norm case 1e-152")
        ]
