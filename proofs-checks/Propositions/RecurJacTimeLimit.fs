/// RecurJac that is ended by a time limit (METHODS section 10): still a bound, and not above FastLip that is ended by it.
module LipVerify.Propositions.RecurJacTimeLimit

open System
open System.Diagnostics
open System.Threading
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Core.Bounds.Jacobian
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.NormedBalls
open LipVerify.Propositions.Oracles
open Expecto
open LipVerify.Propositions.Expectations

let private expectOk result =
    match result with
    | Ok value -> value
    | Error problem -> failwith problem

let private find norm definition (case: NetworkCase) limit =
    RecurJac.bound context norm definition case.Network case.Input case.Radius limit
    |> expectOk

let private fastLip limit norm definition (case: NetworkCase) =
    (FastLip.bound (Context.within limit context) norm definition case.Network case.Input case.Radius
     |> expectOk)
        .Value

/// A certified bound that covers slopes in the ball.
let private assertHolds norm definition (case: NetworkCase) (found: RecurJacBound) =
    Expect.equal found.Bound.Rigor Certified "rigor"
    let center = Tensor.values case.Input
    let points = pointsIn norm (Draw case.Seed) 10 center case.Radius.Value

    slopesIn norm case.Network center points
    |> assertBounds "a slope to the input" found.Bound.Value

    if definition = Uniform then
        for x, y in Array.pairwise points do
            slopesIn norm case.Network x [| y |] |> assertBounds "a pair" found.Bound.Value

/// Affine maps of 600 rows and columns with ReLUs between: a recursion takes more than 10¹² multiplications.
let private wide =
    let square = Layer.linear (Dense(Dense.create (Tensor.create [ 600; 600 ] 0.01)))

    {
        Seed = 0
        Network =
            build
                [ 600 ]
                [
                    for _ in 1..3 do
                        Step("dense", square)
                        Step("relu", Layer.relu)
                    Step("dense", square)
                ]
        Input = Tensor.create [ 600 ] 0.0
        Radius = radius 0.1
    }

[<Tests>]
let tests =
    testList
        "RecurJacTimeLimit"
        [
            testCase "RecurJac ended at once is a bound, that of FastLip ended at once" (fun () ->
                let property (case: NetworkCase) =
                    for norm in norms do
                        for definition in [ Nominal; Uniform ] do
                            let found = find norm definition case (Some TimeSpan.Zero)
                            Expect.isTrue found.EndedEarly "ended early"
                            Expect.stringContains found.Explanation "the time was over before" "explanation"
                            Expect.equal found.Bound.Value (fastLip (Some TimeSpan.Zero) norm definition case) "value"
                            assertHolds norm definition case found

                check 40 network property
                check 40 RecurJac.chain property)

            testCase "RecurJac ended on its way is a bound, and not below what it ends at without a limit" (fun () ->
                let property (case: NetworkCase) =
                    for norm in norms do
                        let clock = Stopwatch.StartNew()
                        let complete = find norm Uniform case None
                        let limit = clock.Elapsed * (Draw(case.Seed + 3)).Real(0.2, 1.0)
                        let found = find norm Uniform case (Some limit)
                        assertHolds norm Uniform case found

                        // Behind the 2-norm stand two bounds on a norm, of which one may grow as entries are tightened; before there are entries the bound is
                        // a product of norms, which may be less than what entries lead to.
                        if norm <> Euclidean && not (found.Explanation.Contains "the time was over before") then
                            Expect.isGreaterThanOrEqual
                                found.Bound.Value
                                (complete.Bound.Value * (1.0 - 1e-9))
                                case.Text

                check 60 network property
                check 60 RecurJac.chain property)

            testCase "RecurJac with time enough is the same to the last bit as without a limit" (fun () ->
                let property (case: NetworkCase) =
                    for norm in norms do
                        for definition in [ Nominal; Uniform ] do
                            let limited = find norm definition case (Some(TimeSpan.FromHours 1.0))
                            let unlimited = find norm definition case None
                            Expect.isFalse limited.EndedEarly "ended early"
                            Expect.equal limited.Explanation unlimited.Explanation "explanation"

                            Expect.equal
                                (BitConverter.DoubleToInt64Bits limited.Bound.Value)
                                (BitConverter.DoubleToInt64Bits unlimited.Bound.Value)
                                case.Text

                check 30 network property
                check 30 RecurJac.chain property)

            testCase
                "RecurJac without a time limit declines a network that takes too long, and takes it with one"
                (fun () ->
                    match RecurJac.bound context Maximum Nominal wide.Network wide.Input wide.Radius None with
                    | Ok _ -> failtest "accepted"
                    | Error problem -> Expect.stringContains problem "multiplications" "problem"

                    let found = find Maximum Nominal wide (Some(TimeSpan.FromSeconds 0.5))
                    Expect.isTrue found.EndedEarly "ended early"
                    assertHolds Maximum Nominal wide found)

            testCase "RecurJac with a time limit is cancelled in the recursion" (fun () ->
                use source = new CancellationTokenSource()

                let context =
                    { context with
                        Cancellation = source.Token
                        Report =
                            fun line ->
                                if line.Contains "derivatives of" then
                                    source.Cancel()
                    }

                let limit = Some(TimeSpan.FromHours 1.0)

                Expect.thrown<OperationCanceledException>(fun () ->
                    RecurJac.bound context Maximum Nominal wide.Network wide.Input wide.Radius limit
                    |> ignore)
                |> ignore)
        ]
