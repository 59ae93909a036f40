/// A lower end above an upper one is never shown: in what a method finds, among the rows of a comparison, and along a curve.
module LipVerify.Tests.ContradictionTests

open System
open Expecto
open LipVerify.Cli
open LipVerify.Core.Numbers
open LipVerify.Core.Enclosures
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks

/// The message of the contradiction that work ends with.
let private contradiction (work: unit -> unit) =
    try
        work ()
        failwith "there was no contradiction"
    with :? ContradictionException as failure ->
        failure.Message

let private bound rigor value : Bound = { Value = value; Rigor = rigor }

let private row method definition outcome lowerEnd : ComparedRow =
    {
        Method = method
        Definition = definition
        Norm = Euclidean
        Scope = "local"
        Outcome = outcome
        LowerEnd = lowerEnd
        EndedByLimit = false
        Seconds = 0.0
        Ratio = None
    }

[<Tests>]
let tests =
    testList
        "Contradiction"
        [
            statement "Ends that agree are shown as they are" 300 Draw (fun draw ->
                let low, high =
                    let a, b = draw.Power(-300.0, 300.0), draw.Power(-300.0, 300.0)
                    min a b, max a b

                for upper in [ Certified; Probabilistic 1e-9; Numerical ] do
                    for lower in [ Certified; Numerical ] do
                        Expect.equal
                            (Ends.below "a method" (bound upper high) (bound lower low))
                            (bound lower low)
                            "Ends.below \"a method\" (bound upper high) (bound lower low)")

            testCase "Certified ends may not cross; what is numerical gives way" (fun () ->
                let next = Math.BitIncrement 1.0

                let refused upper lower =
                    let message = contradiction (fun () -> Ends.below "a method" upper lower |> ignore)
                    Expect.stringStarts message "a method: " "message"

                let lowered upper lower =
                    Expect.equal
                        (Ends.below "a method" upper lower)
                        { lower with Value = upper.Value }
                        "Ends.below \"a method\" upper lower"

                for upper in [ Certified; Probabilistic 1e-9 ] do
                    refused (bound upper 1.0) (bound Certified next)

                lowered (bound Numerical 1.0) (bound Certified next)
                refused (bound Numerical 1.0) (bound Certified (1.0 + 1e-8))
                refused (bound Numerical 0.0) (bound Certified Double.Epsilon)

                // A lower end without an enclosure may be rounding alone.
                for upper in [ Certified; Probabilistic 1e-9; Numerical ] do
                    lowered (bound upper 1.0) (bound Numerical 2.0))

            testCase "A comparison shows no bound that a row contradicts" (fun () ->
                let report =
                    CompareReport.withRatios
                        {
                            Model = "a network"
                            Radius = 1.0
                            Lower =
                                [
                                    row "gradient" Nominal (Ok(bound Certified 2.0)) None
                                    row "gradient" Uniform (Ok(bound Certified 3.0)) None
                                ]
                            Upper =
                                [
                                    row "right" Nominal (Ok(bound Certified 2.5)) None
                                    row "wrong" Uniform (Ok(bound Numerical 2.9)) None
                                    row "below another" Nominal (Ok(bound Numerical 2.1)) None
                                    row "from both sides" Nominal (Ok(bound Numerical 2.4)) (Some(bound Certified 2.2))
                                ]
                            IsComplete = true
                            Engine = "managed"
                        }

                let isShown =
                    report.Upper |> List.map (fun row -> row.Method, Result.isOk row.Outcome)

                let expected =
                    [
                        "right", true
                        "wrong", false
                        "below another", false
                        "from both sides", true
                    ]

                Expect.isTrue (isShown = expected) $"{isShown}")

            testCase "A curve ends where a row contradicts the one beside it" (fun () ->
                let struct (network, input) = generalChain (Draw 3) [ 3; 5; 2 ]

                let plan =
                    {
                        Radii = [ 0.1; 1.0 ]
                        LogRadii = false
                        Methods = [ CurveMethod.UpperBound "analytic"; CurveMethod.GradientAscent ]
                        Samples = 3
                        Starts = Some 2
                    }

                // As a faulty method might have left it.
                let low =
                    {
                        Point = plan.Points.Head
                        Value = 1e-6
                        Rigor = "certified"
                        Seconds = 1.0
                    }

                let subject: CurvePoints.Subject =
                    {
                        Context = context
                        Definition = Nominal
                        Enclosure = Ball
                        TimeLimit = None
                        Network = network
                        Input = input
                    }

                let message =
                    contradiction (fun () -> CurvePoints.run plan subject [ low ] ignore |> ignore)

                Expect.stringContains message "analytic at radius 0.1" "message")
        ]
