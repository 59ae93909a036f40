/// Whatever solvers answer, and whenever time ends them, polynomial bounds hold.
module LipVerify.Tests.PolynomialSolverTests

open System
open System.Threading
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Bounds.Polynomials
open LipVerify.Propositions.Generators
open LipVerify.Tests.PolynomialCases

let private norms = [ Maximum; Euclidean ]

/// A solver that answers with whatever numbers a seed gives.
let private careless seed : SemidefiniteSolver =
    fun _ program ->
        let draw = Draw seed
        Ok(Array.init program.Constraints.Length (fun _ -> draw.Gaussian() * draw.Power(-3.0, 3.0)))

let private proveAnything methods (case: DenseCase) =
    let linear: LinearSolver =
        fun _ _ program ->
            let draw = Draw case.Seed
            Ok(Array.init program.Costs.Length (fun _ -> draw.Gaussian()))

    let solvers =
        {
            Linear = linear
            Semidefinite = careless case.Seed
        }

    for norm in norms do
        let exact = enumerate norm case

        for method in methods do
            match PolynomialBound.compute context solvers method norm case.Network case.Output Everywhere with
            | Ok bound -> assertAtMost rounding $"{method}" exact bound.Value
            | Error problem -> failtest problem

let private allMethods = [ Shor; Hr2; Lasserre2; LipOpt 3; LipOpt 4 ]

let private assertCoversAfter (limit: TimeSpan) solvers methods (case: DenseCase) =
    for norm in norms do
        let exact = enumerate norm case

        for method in methods do
            let context = context |> Context.within (Some limit)

            match PolynomialBound.compute context solvers method norm case.Network case.Output Everywhere with
            | Ok bound -> assertAtMost rounding $"{method} after {limit}" exact bound.Value
            | Error problem -> failtest problem

[<Tests>]
let tests =
    testList
        "PolynomialSolver"
        [
            testCase "any multipliers and any coefficients prove an upper bound" (fun () ->
                check
                    60
                    (grow (fun draw -> [ draw.Int(1, 4); draw.Int(1, 5); 2 ]))
                    (proveAnything [ Shor; Hr2; Lasserre2; LipOpt 3; LipOpt 4 ])

                check 60 twoHidden (proveAnything [ Shor; Hr2; LipOpt 4 ]))

            testCase "multipliers that are no numbers, or too few, are refused" (fun () ->
                for answer in [ [| nan |]; [||] ] do
                    let solver: SemidefiniteSolver = fun _ _ -> Ok answer

                    let program =
                        {
                            Sides = [| 1 |]
                            Traces = [| 1.0 |]
                            Objective = []
                            Constraints =
                                [|
                                    {
                                        Entries = []
                                        Right = 1.0
                                        AtMost = false
                                    }
                                |]
                        }

                    match SemidefiniteProgram.maximise context solver program with
                    | Ok value -> failtest $"{value} was taken"
                    | Error problem -> Expect.stringContains problem "no usable multipliers" "problem")

            testCase "a solver that is cancelled throws" (fun () ->
                requireSolvers ()
                use source = new CancellationTokenSource()
                source.Cancel()

                let cancelled =
                    { context with
                        Cancellation = source.Token
                    }

                let case = grow (fun _ -> [ 3; 4; 2 ]) 3

                for method in [ Shor; LipOpt 3 ] do
                    Expect.thrown<OperationCanceledException>(fun () ->
                        PolynomialBound.compute
                            cancelled
                            LipVerify.Solvers.InstalledSolvers.all
                            method
                            Maximum
                            case.Network
                            case.Output
                            Everywhere
                        |> ignore)
                    |> ignore)

            testCase "without time a bound of sums of magnitudes stands in, and no solver is asked" (fun () ->
                let solvers =
                    {
                        Linear = fun _ _ _ -> failwith "asked"
                        Semidefinite = fun _ _ -> failwith "asked"
                    }

                check
                    60
                    (grow (fun draw -> [ draw.Int(1, 4); draw.Int(1, 5); 2 ]))
                    (assertCoversAfter TimeSpan.Zero solvers allMethods)

                check 40 twoHidden (assertCoversAfter TimeSpan.Zero solvers [ Shor; Hr2; LipOpt 4 ]))

            testCase "whenever a time limit ends a solver, the bound covers the maximum over all patterns" (fun () ->
                requireSolvers ()

                check 30 (grow (fun draw -> [ draw.Int(1, 4); draw.Int(1, 5); 2 ])) (fun case ->
                    let limit = (Draw(case.Seed + 5)).Pick [ 0.5; 2.0; 10.0; 30.0; 100.0 ]

                    assertCoversAfter
                        (TimeSpan.FromMilliseconds limit)
                        LipVerify.Solvers.InstalledSolvers.all
                        allMethods
                        case))

            testCase "a solver of semidefinite programs is ended by the deadline" (fun () ->
                let waiting: SemidefiniteSolver =
                    fun cancellation _ ->
                        cancellation.WaitHandle.WaitOne() |> ignore
                        cancellation.ThrowIfCancellationRequested()
                        Error "not ended"

                let solvers =
                    {
                        Linear = fun _ _ _ -> failwith "asked"
                        Semidefinite = waiting
                    }

                grow (fun _ -> [ 3; 4; 2 ]) 3
                |> assertCoversAfter (TimeSpan.FromMilliseconds 200.0) solvers [ Shor; Hr2 ])

            testCase "the solver of linear programs is told how long it may take" (fun () ->
                requireSolvers ()
                let given = ref None

                let linear: LinearSolver =
                    fun cancellation limit program ->
                        given.Value <- limit
                        LipVerify.Solvers.Glop.solve cancellation limit program

                let solvers =
                    {
                        Linear = linear
                        Semidefinite = fun _ _ -> failwith "asked"
                    }

                grow (fun _ -> [ 4; 6; 2 ]) 3
                |> assertCoversAfter (TimeSpan.FromHours 1.0) solvers [ LipOpt 3 ]

                Expect.isTrue given.Value.IsSome "is some")
        ]
