/// The exact constant in the maximum norm against polynomial relaxations of one output.
module LipVerify.Tests.ExactMaximumTests

open Expecto
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Bounds.Exact.Maximum
open LipVerify.Core.Bounds.Polynomials
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Tests.PolynomialCases

/// What interior point methods and branch and bound leave.
let private slack = 1e-5

[<Tests>]
let tests =
    testList
        "ExactMaximum"
        [
            testCase
                "HR-2, order 2 and LipOpt in the maximum norm are never below the exact constant of one output"
                (fun () ->
                    requireSolvers ()

                    check 25 (grow (fun draw -> [ draw.Int(1, 4); draw.Int(1, 5); 1 ])) (fun case ->
                        let size = (Draw case.Seed).Power(-2.0, 1.0)
                        let region = ball case size

                        let exact =
                            ExactMaximum.bound
                                context
                                Uniform
                                case.Network
                                (Tensor.vector case.Input)
                                (radius size)
                                1e-7
                                None

                        for method in [ Hr2; Lasserre2; LipOpt 3 ] do
                            let bound = bound method Maximum case region
                            assertAtMost slack $"attained ≤ {method}" exact.Lower.Value bound
                            assertAtMost slack $"exact ≤ {method}" exact.Result.Bound.Value bound))

            testCase
                "HR-2 of two hidden layers in the maximum norm is never below the exact constant of one output"
                (fun () ->
                    requireSolvers ()

                    check 15 (grow (fun draw -> [ draw.Int(1, 3); draw.Int(1, 4); draw.Int(1, 3); 1 ])) (fun case ->
                        let size = (Draw case.Seed).Power(-2.0, 1.0)

                        let exact =
                            ExactMaximum.bound
                                context
                                Uniform
                                case.Network
                                (Tensor.vector case.Input)
                                (radius size)
                                1e-7
                                None

                        let bound = bound Hr2 Maximum case (ball case size)
                        assertAtMost slack "exact ≤ HR-2" exact.Result.Bound.Value bound))
        ]
