/// Bounds by polynomial optimisation against enumeration, sampling and each other.
module LipVerify.Tests.PolynomialBoundTests

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

/// What interior point methods leave between two relaxations of one value.
let private solverGap = 1e-5

let private pointOf norm (draw: Draw) (center: float[]) radius =
    let direction = draw.Gaussians center.Length

    let length =
        match norm with
        | Maximum -> direction |> Array.fold (fun largest x -> max largest (abs x)) 0.0
        | Euclidean -> sqrt (direction |> Array.sumBy (fun x -> x * x))
        | Taxicab -> direction |> Array.sumBy abs

    let size = radius * (if draw.Chance 0.5 then 1.0 else draw.Real(0.0, 1.0)) / length
    Array.map2 (fun x d -> x + size * d) center direction

let private twoTo exponent = Math.ScaleB(1.0, exponent)

/// Networks of one input and one path with the power of two that is their constant, beside ReLUs that are off, whose weights are larger than
/// those of the path by hundreds of powers of ten.
let private beside: (DenseCase * int) list =
    [
        // The path alone counts: its square is no number.
        dense [| 1.0 |] [ [ [| twoTo -600 |], 1.0; [| 0.0 |], 0.0 ]; [ [| 1.0; 1.0 |], 0.0 ] ], -600

        // A weight near the other end of the range behind it.
        dense
            [| 1.0 |]
            [
                [ [| twoTo -500 |], 0.0; [| 0.0 |], 0.0 ]
                [ [| twoTo -500; 1.0 |], 1.0; [| 0.0; twoTo 60 |], 0.0 ]
                [ [| twoTo 900; twoTo 900 |], 0.0 ]
            ],
        -100

        // Pre-activations that are above 0 by less than the least number.
        dense
            [| 1.0 |]
            [
                [ [| twoTo -560 |], 0.0; [| 0.0 |], 0.0 ]
                [ [| 1.0; 1.0 |], 0.0; [| 0.0; 0.0 |], 0.0 ]
                [ [| twoTo -560; 1.0 |], 0.0 ]
                [ [| twoTo 600 |], 0.0 ]
            ],
        -520
    ]

[<Tests>]
let tests =
    testList
        "PolynomialBound"
        [
            testCase
                "Shor bounds the maximum over all patterns, and by no more than Grothendieck's and Nesterov's constants"
                (fun () ->
                    requireSolvers ()

                    check 60 (oneHidden 8) (fun case ->
                        for norm in norms do
                            let exact = enumerate norm case
                            let shor = bound Shor norm case Everywhere
                            assertAtMost rounding "exact ≤ Shor" exact shor

                            // Krivine: K_G < 1.7823; Nesterov: π/2 for positive semidefinite forms, of which the norm is the root.
                            let constant =
                                match norm with
                                | Maximum -> 1.7823
                                | Euclidean
                                | Taxicab -> sqrt (Math.PI / 2.0)

                            assertAtMost solverGap "Shor ≤ constant · exact" shor (constant * exact)))

            testCase
                "order 2 is no looser than HR-2, which is no looser than Shor, and all bound the maximum over all patterns"
                (fun () ->
                    requireSolvers ()

                    check 25 (grow (fun draw -> [ draw.Int(1, 4); draw.Int(1, 5); 2 ])) (fun case ->
                        for norm in norms do
                            let exact = enumerate norm case
                            let shor, hr2 = bound Shor norm case Everywhere, bound Hr2 norm case Everywhere
                            let lasserre = bound Lasserre2 norm case Everywhere
                            assertAtMost rounding "exact ≤ order 2" exact lasserre
                            assertAtMost solverGap "order 2 ≤ HR-2" lasserre hr2
                            assertAtMost solverGap "HR-2 ≤ Shor" hr2 shor

                            // By the Cauchy–Schwarz inequality within the moment matrix.
                            if norm = Euclidean then
                                assertAtMost solverGap "Shor ≤ product of norms" shor (product case)))

            testCase "LipOpt-4 is no looser than LipOpt-3, and both bound the maximum over all patterns" (fun () ->
                requireSolvers ()

                check 40 (grow (fun draw -> [ draw.Int(1, 4); draw.Int(1, 6); 2 ])) (fun case ->
                    for norm in norms do
                        let exact = enumerate norm case

                        let three, four =
                            bound (LipOpt 3) norm case Everywhere, bound (LipOpt 4) norm case Everywhere

                        assertAtMost rounding "exact ≤ LipOpt-4" exact four
                        assertAtMost solverGap "LipOpt-4 ≤ LipOpt-3" four three))

            testCase "LipOpt is exact where its degree reaches the number of variables" (fun () ->
                requireSolvers ()

                check 40 (grow (fun draw -> [ 1; draw.Int(1, 3); 2 ])) (fun case ->
                    for norm in norms do
                        let exact = enumerate norm case
                        let bound = bound (LipOpt 4) norm case Everywhere
                        assertAtMost rounding "exact ≤ LipOpt-4" exact bound
                        assertAtMost solverGap "LipOpt-4 ≤ exact" bound exact))

            testCase "LipOpt bounds the maximum over all patterns of two hidden layers" (fun () ->
                requireSolvers ()

                check 40 twoHidden (fun case ->
                    let exact = enumerate Maximum case
                    assertAtMost rounding "exact ≤ LipOpt-3" exact (bound (LipOpt 3) Maximum case Everywhere)
                    assertAtMost rounding "exact ≤ LipOpt-4" exact (bound (LipOpt 4) Maximum case Everywhere)

                    assertAtMost
                        rounding
                        "exact ≤ LipOpt-4"
                        (enumerate Euclidean case)
                        (bound (LipOpt 4) Euclidean case Everywhere)))

            testCase
                "HR-2 is no looser than Shor for two hidden layers, and both bound the maximum over all patterns"
                (fun () ->
                    requireSolvers ()

                    check 40 twoHidden (fun case ->
                        for norm in norms do
                            let exact = enumerate norm case
                            let shor, hr2 = bound Shor norm case Everywhere, bound Hr2 norm case Everywhere
                            assertAtMost rounding "exact ≤ HR-2" exact hr2
                            assertAtMost solverGap "HR-2 ≤ Shor" hr2 shor))

            testCase "variables for products of slopes change nothing where there are no products" (fun () ->
                requireSolvers ()

                check 20 (oneHidden 6) (fun case ->
                    for norm in norms do
                        let chain = DenseChain.ofNetwork context case.Network |> Result.defaultWith failwith
                        let lifted = LiftedGradient.create norm chain case.Output Everywhere false

                        let value =
                            if lifted.Program.Objective.IsEmpty then
                                0.0
                            else
                                SemidefiniteProgram.maximise context LipVerify.Solvers.Csdp.solve lifted.Program
                                |> Result.defaultWith failwith

                        let lifted = GradientProblem.lipschitz norm lifted.Exponent (lifted.Factor * value)
                        let shor = bound Shor norm case Everywhere
                        assertAtMost solverGap "lifted ≤ direct" lifted shor
                        assertAtMost solverGap "direct ≤ lifted" shor lifted))

            testCase "local bounds lie between the gradients of a ball and the global bound" (fun () ->
                requireSolvers ()

                check 30 (grow (fun draw -> [ draw.Int(1, 4); draw.Int(1, 5); 2 ])) (fun case ->
                    let draw = Draw case.Seed

                    for norm in norms do
                        let radius = draw.Pick [ 0.0; draw.Power(-3.0, 0.0); draw.Power(-1.0, 1.0); 1e6 ]

                        let sampled =
                            Seq.init 200 (fun _ -> pointOf norm draw case.Input (radius * (1.0 - 1e-9)))
                            |> Seq.map (slopesAt case >> gradient case >> dualNorm norm)
                            |> Seq.max

                        for method in [ Shor; Hr2; Lasserre2; LipOpt 3 ] do
                            let local = bound method norm case (ball case radius)
                            assertAtMost rounding $"sampled ≤ local {method}" sampled local

                            assertAtMost
                                solverGap
                                $"local ≤ global {method}"
                                local
                                (bound method norm case Everywhere)))

            testCase "local bounds of two hidden layers bound the gradients of a ball" (fun () ->
                requireSolvers ()

                check 30 twoHidden (fun case ->
                    let draw = Draw case.Seed
                    let radius = draw.Power(-2.0, 1.0)

                    for norm in norms do
                        let sampled =
                            Seq.init 200 (fun _ -> pointOf norm draw case.Input (radius * (1.0 - 1e-9)))
                            |> Seq.map (slopesAt case >> gradient case >> dualNorm norm)
                            |> Seq.max

                        for method in [ Shor; Hr2; LipOpt 4 ] do
                            assertAtMost
                                rounding
                                $"sampled ≤ local {method}"
                                sampled
                                (bound method norm case (ball case radius))))

            testCase "at radius 0 away from kinks the bound is the norm of the gradient" (fun () ->
                requireSolvers ()

                check 20 (oneHidden 6) (fun case ->
                    let exact = slopesAt case case.Input |> gradient case

                    for norm in norms do
                        let shor = bound Shor norm case (ball case 0.0)
                        assertAtMost rounding "gradient ≤ Shor" (dualNorm norm exact) shor
                        assertAtMost solverGap "Shor ≤ gradient" shor (dualNorm norm exact)))

            testCase "the 1-norm is declined by every polynomial method" (fun () ->
                let case = grow (fun _ -> [ 3; 4; 2 ]) 3

                for name in PolynomialBound.names do
                    let method = PolynomialBound.tryFind name |> Option.get

                    match
                        PolynomialBound.compute
                            context
                            LipVerify.Solvers.InstalledSolvers.all
                            method
                            Taxicab
                            case.Network
                            case.Output
                            Everywhere
                    with
                    | Ok _ -> failtest name
                    | Error problem -> Expect.stringContains problem "maximum norm only" "problem")

            testCase
                "ReLUs that are off take nothing from a path whose weights are smaller by more than the range of doubles"
                (fun () ->
                    requireSolvers ()

                    for case, exponent in beside do
                        for norm in norms do
                            for method in [ Shor; Hr2; LipOpt 3; LipOpt 4 ] do
                                let found = bound method norm case (ball case 0.5)
                                let text = $"{method}, {norm}, 2^{exponent}"
                                Expect.isGreaterThanOrEqual found (twoTo exponent) text
                                assertAtMost solverGap text found (twoTo exponent))
        ]
