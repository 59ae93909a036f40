/// Methods that a time limit ends: what they give is a bound all the same, whenever that was. No property here depends on how fast the machine
/// is; those over several limits end wherever the limit finds them.
module LipVerify.Propositions.TimeLimits

open System
open System.Diagnostics
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Spectral
open LipVerify.Core.Networks
open LipVerify.Core.LowerBounds
open LipVerify.Core.Enclosures
open LipVerify.Core.Bounds.Analytic
open LipVerify.Core.Bounds.SeqLip
open LipVerify.Core.Bounds.Jacobian
open LipVerify.Core.Bounds.Multipliers
open LipVerify.Core.Bounds.Exact.Euclidean
open LipVerify.Core.Bounds.Exact.Maximum
open LipVerify.Core.Radii
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.Oracles
open LipVerify.Propositions.NormedBalls
open Expecto
open LipVerify.Propositions.Expectations

/// From none at all to one that small networks seldom need.
let private limits =
    [ 0.0; 0.3; 1.0; 3.0; 10.0; 100.0 ] |> List.map TimeSpan.FromMilliseconds

let private limitOf (case: NetworkCase) = (Draw(case.Seed + 11)).Pick limits

let private after (limit: TimeSpan) = context |> Context.within (Some limit)

/// What gradient ascent attains, without a limit.
let private attained norm definition (case: NetworkCase) =
    LowerBounds.gradientAscent
        context
        norm
        definition
        case.Network
        (RestrictedBall.whole case.Input case.Radius)
        { Starts = 8; Rounds = 2; Steps = 6 }

/// Numerical ends are right to this.
let private numerical = 1e-6

let private assertCovers what norm definition (case: NetworkCase) (bound: Bound) =
    let lower = attained norm definition case

    let slack =
        if bound.Rigor = Certified && lower.Rigor = Certified then
            1.0
        else
            1.0 + numerical

    Expect.isLessThanOrEqual lower.Value (bound.Value * slack) $"{what} at {case.Text}"

let private definitions = [ Nominal; Uniform ]

/// `relu(w₁ x)·w₂` with numbers whose product is within the range of doubles, but whose squares are not.
let private overflowing first second =
    let dense value =
        Step("dense", Layer.linear (Dense(Dense.create (Tensor.ofArray [ 1; 1 ] [| value |]))))

    {
        Seed = 0
        Network = build [ 1 ] [ dense first; Step("relu", Layer.relu); dense second ]
        Input = Tensor.create [ 1 ] 0.0
        Radius = radius 1.0
    }

/// Bounds on the wall clock that only a search without end exceeds, whatever else the machine does.
let private generous = TimeSpan.FromSeconds 60.0

[<Tests>]
let tests =
    testList
        "TimeLimits"
        [
            statement "ended by a time limit: bounds in the 2-norm cover what is attained" 60 network (fun case ->
                for definition in definitions do
                    let context = after (limitOf case)

                    for name, bound in
                        [
                            "analytic", (Analytic.bound context definition case.Network case.Input case.Radius).Bound
                            "crown",
                            (Analytic.boundWith context Crown definition case.Network case.Input case.Radius).Bound
                            "probes",
                            (Analytic.boundWith context Probes definition case.Network case.Input case.Radius).Bound
                            "local-lipsdp",
                            (LocalLipSdp.bound context definition case.Network case.Input case.Radius None)
                                .Result.Bound
                        ] do
                        assertCovers name Euclidean definition case bound

                    for multipliers in [ InClosedForm; AllTogether ] do
                        Eclipse.local context multipliers definition case.Network case.Input case.Radius
                        |> Result.iter (fun found ->
                            assertCovers "eclipse" Euclidean definition case found.Result.Bound))

            statement "ended by a time limit: global bounds cover what is attained" 60 network (fun case ->
                let context = after (limitOf case)

                let bounds =
                    [
                        "global", Ok (Global.bound context case.Network).Bound
                        "lipsdp", Ok (LipSdp.bound context PerNeuron case.Network None).Result.Bound
                        "eclipse", Eclipse.``global`` context AllTogether case.Network |> Result.map _.Result.Bound
                        "seqlip", SeqLip.bound context Relaxed case.Network None |> Result.map _.Bound
                        "seqlip-exact", SeqLip.bound context Enumerated case.Network None |> Result.map _.Bound
                    ]

                for name, bound in bounds do
                    bound |> Result.iter (assertCovers name Euclidean Uniform case))

            statement
                "ended by a time limit: bounds on entries of the Jacobian cover what is attained in each norm"
                40
                network
                (fun case ->
                    for norm in norms do
                        for definition in definitions do
                            let context = after (limitOf case)

                            FastLip.bound context norm definition case.Network case.Input case.Radius
                            |> Result.iter (assertCovers "fastlip" norm definition case)

                            RecurJac.bound context norm definition case.Network case.Input case.Radius None
                            |> Result.iter (fun found -> assertCovers "recurjac" norm definition case found.Bound))

            testCase "ended by a time limit: both ends of branch and bound hold" (fun () ->
                let property (case: NetworkCase) =
                    for definition in definitions do
                        for norm, search in [ Euclidean, ExactSearch.bound; Maximum, ExactMaximum.bound ] do
                            let found =
                                search context definition case.Network case.Input case.Radius 1e-3 (Some(limitOf case))

                            if Double.IsFinite found.Result.Bound.Value then
                                assertCovers "exact" norm definition case found.Result.Bound

                                Expect.isLessThanOrEqual
                                    found.Lower.Value
                                    (found.Result.Bound.Value * (1.0 + numerical))
                                    case.Text

                check 40 network property
                check 40 Exact.small property)

            statement "ended by a time limit: lower bounds are below certified upper bounds" 40 network (fun case ->
                let upper =
                    (Analytic.bound context Uniform case.Network case.Input case.Radius).Bound

                let ball = RestrictedBall.whole case.Input case.Radius

                for definition in definitions do
                    let lower =
                        LowerBounds.best (after (limitOf case)) Euclidean definition case.Network ball Effort.thorough

                    Expect.isLessThanOrEqual lower.Value (upper.Value * (1.0 + numerical)) case.Text)

            statement
                "ended at once, Algorithm 1 takes sums of magnitudes for the norms of its layers, and is certified"
                40
                network
                (fun case ->
                    let found =
                        Analytic.bound (after TimeSpan.Zero) Nominal case.Network case.Input case.Radius

                    let unlimited = Analytic.bound context Nominal case.Network case.Input case.Radius

                    Expect.equal found.Bound.Rigor Certified "rigor"
                    // Radii and slopes grow with the norms before them; certificates are loose by 1e-8, and above the least norms by as much.
                    Expect.isGreaterThanOrEqual found.Bound.Value (unlimited.Bound.Value * (1.0 - 1e-6)) case.Text

                    for layer in found.Layers do
                        match layer.Witness.Method with
                        | SpectralNorm method ->
                            Expect.notEqual method Spectral.CholeskyCertificate "method"
                            Expect.notEqual method Spectral.LanczosCertificate "method"
                        | PoolingOverlap
                        | Nonexpansive -> ())

            statement
                "the product of sums of magnitudes covers slopes between any inputs in each norm"
                60
                network
                (fun case ->
                    let center = Tensor.values case.Input

                    for norm in norms do
                        let bound = (AbsoluteNorms.bound context norm case.Network).Value
                        let points = pointsIn norm (Draw case.Seed) 12 center case.Radius.Value
                        slopesIn norm case.Network center points |> assertBounds $"{norm}" bound

                        for x, y in Array.pairwise points do
                            slopesIn norm case.Network x [| y |] |> assertBounds $"{norm}, a pair" bound)

            statement
                "ended by a time limit: a certified radius is one that holds"
                40
                Proposition6.classifier
                (fun case ->
                    let context = after (limitOf case)

                    for found in
                        [
                            CertifiedRadius.analytic context Nominal case.Network case.Input
                            CertifiedRadius.``global`` context case.Network case.Input
                            MarginRadius.crown context case.Network case.Input
                            LocalLipSdpRadius.certify context case.Network case.Input None
                        ] do
                        match found with
                        | Error problem -> failwith problem
                        | Ok found ->
                            if found.Label.IsSome then
                                found.NotShownAt
                                |> Option.iter (fun above -> Expect.isGreaterThan above found.Radius case.Text)

                            // Beyond, sums with the centre leave the range of doubles.
                            if found.Radius > 0.0 && found.Radius < 1e90 then
                                Proposition6.assertNoChange case found.Radius)

            statement
                "a search for a radius that is over at once claims no more than one constant shows"
                40
                Proposition6.classifier
                (fun case ->
                    match MarginRadius.crown (after TimeSpan.Zero) case.Network case.Input with
                    | Error problem -> failwith problem
                    | Ok found ->
                        Expect.equal found.Evaluations 0 "evaluations"

                        Expect.isTrue
                            (found.NotShownAt.IsNone || found.Label.IsNone)
                            "found.NotShownAt.IsNone || found.Label.IsNone"

                        if found.Radius > 0.0 && found.Radius < 1e90 then
                            Proposition6.assertNoChange case found.Radius)

            statement "a search for multipliers says whether the time cut it" 20 network (fun case ->
                for limit, isCut in [ None, false; Some TimeSpan.Zero, true ] do
                    for mode in [ PerNeuron; PerLayer ] do
                        Expect.equal (LipSdp.bound context mode case.Network limit).IsCut isCut case.Text

                    let found =
                        LocalLipSdp.bound context Nominal case.Network case.Input case.Radius limit

                    Expect.equal found.IsCut isCut case.Text)

            testCase "the bisection of exact ends where squares overflow" (fun () ->
                for first, second in
                    [
                        1e170, 1.0
                        1.0, 1e170
                        1e170, 1e130
                        1e-170, 1e170
                        1e308, 1e308
                        1e-200, 1e-200
                    ] do
                    let case = overflowing first second
                    let clock = Stopwatch.StartNew()

                    for definition in definitions do
                        for search in [ ExactSearch.bound; ExactMaximum.bound ] do
                            search
                                context
                                definition
                                case.Network
                                case.Input
                                case.Radius
                                1e-3
                                (Some(TimeSpan.FromSeconds 1.0))
                            |> ignore

                    Expect.isLessThan clock.Elapsed generous $"{first}, {second}")
        ]
