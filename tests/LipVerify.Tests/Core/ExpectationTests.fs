/// What the other tests rest on: a bound that got lost is no number, and passes no comparison.
module LipVerify.Tests.ExpectationTests

open Expecto
open LipVerify.Propositions.Expectations

let private fails (claim: unit -> unit) =
    Expect.thrown<AssertException> claim |> ignore

[<Tests>]
let tests =
    testList
        "Expectation"
        [
            testCase "no comparison holds for NaN, on either side" (fun () ->
                for a, b in [ nan, 1.0; 1.0, nan; nan, nan ] do
                    fails (fun () -> Expect.isLessThan a b "<")
                    fails (fun () -> Expect.isLessThanOrEqual a b "≤")
                    fails (fun () -> Expect.isGreaterThan a b ">")
                    fails (fun () -> Expect.isGreaterThanOrEqual a b "≥")
                    fails (fun () -> Expect.isWithin 1.0 a b "within")
                    fails (fun () -> Expect.isInRange a (b, infinity) "in range"))

            testCase "comparisons hold where they should, and fail where they should not" (fun () ->
                Expect.isLessThanOrEqual 1.0 1.0 "≤"
                Expect.isWithin 0.5 1.0 1.5 "within"
                Expect.isWithin 0.0 infinity infinity "equal"
                Expect.isInRange 2 (2, 3) "in range"
                fails (fun () -> Expect.isLessThan 1.0 1.0 "<")
                fails (fun () -> Expect.isWithin 0.5 1.0 1.6 "within")
                fails (fun () -> Expect.isWithin infinity infinity 1.0 "infinitely far")
                fails (fun () -> Expect.isInRange 4 (2, 3) "in range"))
        ]
