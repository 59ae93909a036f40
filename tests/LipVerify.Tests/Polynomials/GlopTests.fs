/// The solver of linear programs by programs whose answers are known.
module LipVerify.Tests.GlopTests

open System
open System.Threading
open Expecto
open LipVerify.Propositions.Generators
open LipVerify.Core.Bounds.Polynomials
open LipVerify.Solvers

/// Minimise `x + 2y` with `x + y = right`.
let private line right =
    {
        Costs = [| 1.0; 2.0 |]
        Right = [| right |]
        Columns = [| [| 0, 1.0 |]; [| 0, 1.0 |] |]
    }

/// A program with as many positive entries a column as `entries` says, which has feasible points.
let private drawn rows columns entries seed =
    let draw = Draw seed

    let matrix =
        Array.init columns (fun _ ->
            Array.init entries (fun _ -> draw.Int(0, rows - 1))
            |> Array.distinct
            |> Array.map (fun row -> row, draw.Real(0.1, 1.0)))

    let right = Array.zeroCreate rows

    matrix
    |> Array.iter (Array.iter (fun (row, value) -> right[row] <- right[row] + value))

    {
        Costs = Array.init columns (fun _ -> draw.Real(0.0, 1.0))
        Right = right
        Columns = matrix
    }

let private cost program solution =
    Array.map2 (*) program.Costs solution |> Array.sum

[<Tests>]
let tests =
    testList
        "Glop"
        [
            testCase "the least of a linear program is found" (fun () ->
                match Glop.solve CancellationToken.None None (line 3.0) with
                | Ok [| x; y |] ->
                    Expect.floatClose Accuracy.high x 3.0 "x"
                    Expect.floatClose Accuracy.high y 0.0 "y"
                | answer -> failtest $"%A{answer}")

            testCase "a program that has no solution, or numbers that are none, is refused" (fun () ->
                for right in [ -1.0; nan; infinity ] do
                    match Glop.solve CancellationToken.None None (line right) with
                    | Ok solution -> failtest $"%A{solution}"
                    | Error problem -> Expect.stringContains problem "GLOP" "problem")

            testCase "after a limit it gives a number a column" (fun () ->
                let program = drawn 200 400 8 1

                for limit in [ TimeSpan.Zero; TimeSpan.FromMilliseconds 3.0; TimeSpan.FromHours 1.0 ] do
                    match Glop.solve CancellationToken.None (Some limit) program with
                    | Ok solution -> Expect.hasLength solution 400 "solution"
                    | Error problem -> failtest problem)

            testCase "the solution of a drawn program costs no more than the point it was drawn around" (fun () ->
                let program = drawn 200 400 8 1

                match Glop.solve CancellationToken.None None program with
                | Ok solution ->
                    Expect.isTrue (cost program solution <= Array.sum program.Costs * (1.0 + 1e-9)) "cost"
                    Expect.isTrue (solution |> Array.forall (fun x -> x >= -1e-9)) "not negative"
                | Error problem -> failtest problem)

            testCase "it ends when it is cancelled, while the program is stated or solved" (fun () ->
                for milliseconds in [ 10.0; 1000.0 ] do
                    use source = new CancellationTokenSource(TimeSpan.FromMilliseconds milliseconds)

                    Expect.throwsT<OperationCanceledException>
                        (fun () -> Glop.solve source.Token None (drawn 1500 4000 30 2) |> ignore)
                        "cancelled")
        ]
