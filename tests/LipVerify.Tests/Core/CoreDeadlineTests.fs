/// Deadlines of contexts.
module LipVerify.Tests.CoreDeadlineTests

open System
open System.Threading
open Expecto
open LipVerify.Propositions.Expectations
open LipVerify.Core.Computation
open LipVerify.Propositions.Generators

let private hour = TimeSpan.FromHours 1.0

/// Ends only by cancellation.
let private forever (context: Context) =
    while true do
        Context.check context
        Thread.Sleep 1

[<Tests>]
let tests =
    testList
        "CoreDeadline"
        [
            testCase "a deadline is over once its time is, and never where there is none" (fun () ->
                Expect.isFalse (Deadline.isOver Deadline.never) "Deadline.isOver Deadline.never"
                Expect.isFalse (Deadline.isOver (Deadline.after hour)) "Deadline.isOver (Deadline.after hour)"

                Expect.isTrue
                    (Deadline.isOver (Deadline.after TimeSpan.Zero))
                    "Deadline.isOver (Deadline.after TimeSpan.Zero)"

                Expect.isTrue
                    (Deadline.isOver (Deadline.after (TimeSpan.FromSeconds -1.0)))
                    "Deadline.isOver (Deadline.after (TimeSpan.FromSeconds -1.0))"

                Expect.isFalse
                    (Deadline.after TimeSpan.MaxValue |> Deadline.isOver)
                    "Deadline.after TimeSpan.MaxValue |> Deadline.isOver")

            testCase "what is left of the time is none where there is no limit, and 0 once it is over" (fun () ->
                Expect.isTrue (Deadline.left Deadline.never).IsNone "is none"

                Expect.equal
                    (Deadline.left (Deadline.after TimeSpan.Zero))
                    (Some TimeSpan.Zero)
                    "Deadline.left (Deadline.after TimeSpan.Zero)"

                match Deadline.left (Deadline.after hour) with
                | Some left -> Expect.isInRange left (0.5 * hour, hour) "the time left"
                | None -> failtest "no limit")

            testCase "a context keeps the earlier of two deadlines" (fun () ->
                let over = context |> Context.within (Some TimeSpan.Zero)

                Expect.isTrue
                    (over |> Context.within (Some hour) |> Context.isOver)
                    "over |> Context.within (Some hour) |> Context.isOver"

                Expect.isTrue
                    (over |> Context.within None |> Context.isOver)
                    "over |> Context.within None |> Context.isOver"

                Expect.isTrue
                    (context
                     |> Context.within (Some hour)
                     |> Context.within (Some TimeSpan.Zero)
                     |> Context.isOver)
                    ""

                Expect.isFalse
                    (context |> Context.within None |> Context.isOver)
                    "context |> Context.within None |> Context.isOver")

            testCase "an attempt gives what the work gives where there is time, and nothing where it is over" (fun () ->
                Expect.equal (Context.attempt context (fun _ -> 3)) (Some 3) "Context.attempt context (fun _ -> 3)"

                Expect.equal
                    (Context.attempt (context |> Context.within (Some hour)) (fun _ -> 3))
                    (Some 3)
                    "Context.attempt (context |> Context.within (Some hour)) (fun _ -> 3)"

                let over = context |> Context.within (Some TimeSpan.Zero)
                Expect.isTrue (Context.attempt over (fun _ -> failtest "begun")).IsNone "is none")

            testCase "an attempt is ended by its deadline, also one inside another" (fun () ->
                let soon = context |> Context.within (Some(TimeSpan.FromMilliseconds 20.0))
                Expect.isTrue (Context.attempt soon forever).IsNone "is none"

                let later = context |> Context.within (Some hour)

                let outer =
                    Context.attempt later (fun inner ->
                        let soon = inner |> Context.within (Some(TimeSpan.FromMilliseconds 20.0))
                        Context.attempt soon forever)

                Expect.equal outer (Some(None: unit option)) "outer")

            testCase "an attempt passes cancellation on" (fun () ->
                use source = new CancellationTokenSource()

                let cancelled =
                    { context with
                        Cancellation = source.Token
                    }
                    |> Context.within (Some hour)

                Expect.thrown<OperationCanceledException>(fun () ->
                    Context.attempt cancelled (fun context ->
                        source.Cancel()
                        forever context)
                    |> ignore)
                |> ignore)

            testCase "an attempt ends a factorisation between its columns, and products before they begin" (fun () ->
                use source = new CancellationTokenSource()
                let ended = engine.EndedBy source.Token
                Expect.same ended.Origin engine "origin"
                Expect.same (ended.EndedBy CancellationToken.None).Origin engine "origin"

                let matrix () =
                    LipVerify.Compute.HostStorage [| 2.0; 0.0; 0.0; 2.0 |]

                Expect.isTrue (ended.TryCholesky(2, matrix ())) "ended.TryCholesky(2, matrix ())"
                source.Cancel()

                Expect.thrown<OperationCanceledException>(fun () -> ended.TryCholesky(2, matrix ()) |> ignore)
                |> ignore

                let view () =
                    LipVerify.Compute.MatrixView.Of(matrix (), 2)

                Expect.thrown<OperationCanceledException>(fun () ->
                    ended.MatrixMultiply(false, false, 2, 2, 2, 1.0, view (), view (), 0.0, view ()))
                |> ignore

                Expect.isTrue (engine.TryCholesky(2, matrix ())) "engine.TryCholesky(2, matrix ())")
        ]
