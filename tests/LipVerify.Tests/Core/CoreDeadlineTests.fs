/// Deadlines of contexts.
module LipVerify.Tests.CoreDeadlineTests

open System
open System.Threading
open NUnit.Framework
open LipVerify.Core.Computation
open LipVerify.Propositions.Generators

let private hour = TimeSpan.FromHours 1.0

/// Ends only by cancellation.
let private forever (context: Context) =
    while true do
        Context.check context
        Thread.Sleep 1

[<Test>]
let ``a deadline is over once its time is, and never where there is none`` () =
    Assert.That(Deadline.isOver Deadline.never, Is.False)
    Assert.That(Deadline.isOver (Deadline.after hour), Is.False)
    Assert.That(Deadline.isOver (Deadline.after TimeSpan.Zero))
    Assert.That(Deadline.isOver (Deadline.after (TimeSpan.FromSeconds -1.0)))
    Assert.That(Deadline.after TimeSpan.MaxValue |> Deadline.isOver, Is.False)

[<Test>]
let ``what is left of the time is none where there is no limit, and 0 once it is over`` () =
    Assert.That((Deadline.left Deadline.never).IsNone)
    Assert.That(Deadline.left (Deadline.after TimeSpan.Zero), Is.EqualTo(Some TimeSpan.Zero))

    match Deadline.left (Deadline.after hour) with
    | Some left -> Assert.That(left, Is.GreaterThan(0.5 * hour).And.LessThanOrEqualTo hour)
    | None -> Assert.Fail "no limit"

[<Test>]
let ``a context keeps the earlier of two deadlines`` () =
    let over = context |> Context.within (Some TimeSpan.Zero)
    Assert.That(over |> Context.within (Some hour) |> Context.isOver)
    Assert.That(over |> Context.within None |> Context.isOver)

    Assert.That(
        context
        |> Context.within (Some hour)
        |> Context.within (Some TimeSpan.Zero)
        |> Context.isOver
    )

    Assert.That(context |> Context.within None |> Context.isOver, Is.False)

[<Test>]
let ``an attempt gives what the work gives where there is time, and nothing where it is over`` () =
    Assert.That(Context.attempt context (fun _ -> 3), Is.EqualTo(Some 3))
    Assert.That(Context.attempt (context |> Context.within (Some hour)) (fun _ -> 3), Is.EqualTo(Some 3))

    let over = context |> Context.within (Some TimeSpan.Zero)
    Assert.That((Context.attempt over (fun _ -> Assert.Fail "begun")).IsNone)

[<Test>]
let ``an attempt is ended by its deadline, also one inside another`` () =
    let soon = context |> Context.within (Some(TimeSpan.FromMilliseconds 20.0))
    Assert.That((Context.attempt soon forever).IsNone)

    let later = context |> Context.within (Some hour)

    let outer =
        Context.attempt later (fun inner ->
            let soon = inner |> Context.within (Some(TimeSpan.FromMilliseconds 20.0))
            Context.attempt soon forever)

    Assert.That(outer, Is.EqualTo(Some(None: unit option)))

[<Test>]
let ``an attempt passes cancellation on`` () =
    use source = new CancellationTokenSource()

    let cancelled =
        { context with
            Cancellation = source.Token
        }
        |> Context.within (Some hour)

    Assert.Throws<OperationCanceledException>(
        Action(fun () ->
            Context.attempt cancelled (fun context ->
                source.Cancel()
                forever context)
            |> ignore)
    )
    |> ignore

[<Test>]
let ``an attempt ends a factorisation between its columns, and products before they begin`` () =
    use source = new CancellationTokenSource()
    let ended = engine.EndedBy source.Token
    Assert.That(ended.Origin, Is.SameAs engine)
    Assert.That((ended.EndedBy CancellationToken.None).Origin, Is.SameAs engine)

    let matrix () =
        LipVerify.Compute.HostStorage [| 2.0; 0.0; 0.0; 2.0 |]

    Assert.That(ended.TryCholesky(2, matrix ()))
    source.Cancel()

    Assert.Throws<OperationCanceledException>(Action(fun () -> ended.TryCholesky(2, matrix ()) |> ignore))
    |> ignore

    let view () =
        LipVerify.Compute.MatrixView.Of(matrix (), 2)

    Assert.Throws<OperationCanceledException>(
        Action(fun () -> ended.MatrixMultiply(false, false, 2, 2, 2, 1.0, view (), view (), 0.0, view ()))
    )
    |> ignore

    Assert.That(engine.TryCholesky(2, matrix ()))
