/// Lower bounds in each norm (METHODS section 8) against exact constants and certified upper bounds.
module LipVerify.Propositions.NormedLowerBounds

open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.LowerBounds
open LipVerify.Core.Bounds.Jacobian
open LipVerify.Core.Bounds.Exact.Euclidean
open LipVerify.Core.Bounds.Exact.Maximum
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.Oracles
open LipVerify.Propositions.NormedBalls
open Expecto
open LipVerify.Propositions.Expectations

let private expectOk result =
    match result with
    | Ok value -> value
    | Error problem -> failwith problem

/// A short search: properties hold for any.
let private brief = { Starts = 8; Rounds = 2; Steps = 6 }

let private bounds norm definition (case: NetworkCase) effort =
    let context = { context with Seed = case.Seed }
    let ball = RestrictedBall.whole case.Input case.Radius

    [
        LowerBounds.best context norm definition case.Network ball effort
        LowerBounds.gradientAscent context norm definition case.Network ball effort
        LowerBounds.sampling context norm definition case.Network ball 20
    ]

/// Slopes from a centre to the knots and the ends of a line around it. On a long line knots near the centre are found with errors of the
/// line's scale, so that shorter ones follow, and points half-way to their knots, as far as rounding lets them count.
let private slopesToKnots norm network center distance =
    let slopesTo = slopesIn norm network [| center |]

    let knots reach =
        knotPoints network [| center - reach |] [| center + reach |]

    let halfway (point: float[]) = [| 0.5 * (point[0] + center) |]

    [| 1.0; 1e-4; 1e-8; 1e-12 |]
    |> Array.collect (fun scale -> knots (scale * distance))
    |> Array.collect (fun point -> [| point; halfway point |])
    |> slopesTo
    |> Array.filter (fun slope -> slope.Noise <= 1e-9 * slope.Value)
    |> Array.append (slopesTo (knots distance))

/// One affine layer of any size, at scales from 1e-100 to 1e100; the bias and the input may hide what small steps change.
let private affine seed =
    let draw = Draw seed
    let inputs, outputs = draw.Int(1, 8), draw.Int(1, 8)
    let scale = draw.Pick [ 1.0; 1.0; 1e-100; 1e100; draw.Power(-30.0, 30.0) ]
    let weights = weightMatrix draw outputs inputs |> Array.map (fun w -> scale * w)

    let bias =
        Array.init outputs (fun _ -> draw.Pick [ 0.0; 0.0; scale * draw.Gaussian() ])

    {
        Seed = seed
        Network =
            build
                [ inputs ]
                [
                    Step("dense", Layer.dense (Tensor.ofArray [ outputs; inputs ] weights) (Tensor.vector bias))
                ]
        Input = nominalInput draw [ inputs ]
        Radius = radius (draw.Power(-6.0, 3.0))
    }

[<Tests>]
let tests =
    testList
        "NormedLowerBounds"
        [
            testCase "Lower bounds in each norm: none is above RecurJac, nor that above FastLip" (fun () ->
                let property (case: NetworkCase) =
                    for norm in norms do
                        for definition in [ Nominal; Uniform ] do
                            let recursive =
                                (RecurJac.bound context norm definition case.Network case.Input case.Radius None
                                 |> expectOk)
                                    .Bound.Value

                            let forward =
                                (FastLip.bound context norm definition case.Network case.Input case.Radius
                                 |> expectOk)
                                    .Value

                            Expect.isLessThanOrEqual recursive (forward * (1.0 + 1e-9)) case.Text

                            for lower in bounds norm definition case brief do
                                // Both ends are certified; what is numerical is right to 1e-6.
                                let slack = if lower.Rigor = Certified then 1.0 else 1.0 + 1e-6

                                Expect.isLessThanOrEqual
                                    lower.Value
                                    (recursive * slack)
                                    $"{Norm.label norm}-norm, {definition} at {case.Text}"

                check 50 network property
                check 50 RecurJac.chain property)

            testCase
                "Lower bounds in the maximum norm: never above the enumerated constant, and mostly close to it"
                (fun () ->
                    let mutable close = 0
                    let mutable compared = 0

                    check 100 Exact.small (fun case ->
                        let uniform =
                            ExactPatterns.within context Maximum case.Network case.Input case.Radius
                            |> expectOk

                        let noise = sqrt (float case.Input.Length) * Exact.noise case

                        let nominal =
                            ExactMaximum.bound context Nominal case.Network case.Input case.Radius 1e-6 None

                        for lower in bounds Maximum Nominal case brief do
                            Expect.isLessThanOrEqual lower.Value (nominal.Result.Bound.Value + noise) case.Text

                        for lower in bounds Maximum Uniform case brief do
                            Expect.isLessThanOrEqual lower.Value (uniform.Upper + noise) case.Text

                        let reached =
                            (LowerBounds.best
                                context
                                Maximum
                                Uniform
                                case.Network
                                (RestrictedBall.whole case.Input case.Radius)
                                Effort.thorough)
                                .Value

                        if uniform.Lower > noise then
                            compared <- compared + 1

                            if reached >= 0.99 * uniform.Lower then
                                close <- close + 1)

                    stdout.WriteLine $"within 1 %% of the constant in {close} of {compared} cases"
                    Expect.isGreaterThan (float close) (0.7 * float compared) "float close")

            testTheory
                "Lower bounds in each norm: on one input, never above the largest slope to a knot or an end, and mostly close to it"
                [ "2"; "inf"; "1" ]
                (fun label ->
                    let norm = norms |> List.find (fun norm -> Norm.label norm = label)
                    let mutable close = 0
                    let mutable compared = 0

                    check 100 (Exact.smallOver [ 1 ]) (fun case ->
                        let center, distance = (Tensor.values case.Input)[0], case.Radius.Value
                        let slopes = slopesToKnots norm case.Network center distance
                        let largest = slopes |> Array.fold (fun best slope -> max best slope.Value) 0.0
                        let noise = slopes |> Array.fold (fun worst slope -> max worst slope.Noise) 0.0

                        for lower in bounds norm Nominal case brief do
                            Expect.isLessThanOrEqual lower.Value (largest * (1.0 + relative) + noise) case.Text

                        if largest > 100.0 * noise then
                            compared <- compared + 1

                            let reached = (bounds norm Nominal case Effort.thorough).Head.Value

                            if reached >= 0.99 * largest then
                                close <- close + 1)

                    stdout.WriteLine $"within 1 %% of the constant in {close} of {compared} cases"
                    Expect.isGreaterThan (float close) (0.8 * float compared) "float close")

            statement "Lower bounds in each norm: of an affine network, the norm of its matrix" 150 affine (fun case ->
                let rows = jacobian case.Network (Tensor.values case.Input)

                for norm in [ Maximum; Taxicab ] do
                    for definition in [ Nominal; Uniform ] do
                        let exact = operatorNorm norm rows

                        for lower in bounds norm definition case brief |> List.truncate 2 do
                            Expect.isWithin
                                (1e-6 * exact)
                                lower.Value
                                exact
                                $"{Norm.label norm}-norm, {definition} at {case.Text}"

                            Expect.isLessThanOrEqual lower.Value (exact * (1.0 + 1e-12)) "value")

            statement "Lower bounds in each norm: at radius 0 they are 0" 30 network (fun case ->
                let case = { case with Radius = radius 0.0 }

                for norm in norms do
                    for definition in [ Nominal; Uniform ] do
                        for lower in bounds norm definition case brief do
                            Expect.equal lower.Value 0 "value")

            statement "Lower bounds in each norm: where no ReLU is ever active they are 0" 20 Draw (fun draw ->
                let inputs, hidden = draw.Int(1, 5), draw.Int(1, 5)

                let dense rows columns bias =
                    Layer.dense
                        (Tensor.ofArray [ rows; columns ] (draw.Gaussians(rows * columns)))
                        (Tensor.create [ rows ] bias)

                let case =
                    {
                        Seed = draw.Int(0, 1000)
                        Network =
                            build
                                [ inputs ]
                                [
                                    Step("a", dense hidden inputs -1e3)
                                    Step("r", Layer.relu)
                                    Step("b", dense 2 hidden 1.0)
                                ]
                        Input = Tensor.create [ inputs ] 0.0
                        Radius = radius 1.0
                    }

                for norm in norms do
                    for definition in [ Nominal; Uniform ] do
                        for lower in bounds norm definition case brief do
                            Expect.equal lower.Value 0 "value")

            testCase "Lower bounds in each norm: |x₁ − x₂| from its kink, and pictures of one pixel" (fun () ->
                let kink =
                    {
                        Seed = 1
                        Network =
                            build
                                [ 2 ]
                                [
                                    Step(
                                        "a",
                                        Layer.dense
                                            (Tensor.ofArray [ 2; 2 ] [| 1.0; -1.0; -1.0; 1.0 |])
                                            (Tensor.vector [| 0.0; 0.0 |])
                                    )
                                    Step("r", Layer.relu)
                                    Step("b", Layer.dense (Tensor.create [ 1; 2 ] 1.0) (Tensor.vector [| 0.0 |]))
                                ]
                        Input = Tensor.vector [| 0.0; 0.0 |]
                        Radius = radius 0.5
                    }

                for norm, constant in [ Euclidean, sqrt 2.0; Maximum, 2.0; Taxicab, 1.0 ] do
                    for definition in [ Nominal; Uniform ] do
                        for lower in bounds norm definition kink brief |> List.truncate 2 do
                            // Ascents in the 2-norm come near; corners of the other balls are met.
                            let slack = if norm = Euclidean then 1e-3 else 1e-6
                            Expect.isWithin slack lower.Value constant $"{Norm.label norm}-norm, {definition}"
                            Expect.isLessThanOrEqual lower.Value (constant * (1.0 + 1e-15)) "value"

                check 40 (networkOver [ 1; 1; 1 ]) (fun case ->
                    for norm in norms do
                        let upper =
                            (FastLip.bound context norm Uniform case.Network case.Input case.Radius
                             |> expectOk)
                                .Value

                        for lower in bounds norm Uniform case brief do
                            Expect.isLessThanOrEqual lower.Value (upper * (1.0 + 1e-6)) case.Text))

            testCase
                "Lower bounds in the maximum norm and the 1-norm: of many outputs too, the power method reaches half of an affine network's norm"
                (fun () ->
                    // More outputs than rows are looked at.
                    for seed in 1..5 do
                        let draw = Draw seed
                        let outputs = 500
                        let weights = draw.Gaussians(outputs * 4)

                        let case =
                            {
                                Seed = seed
                                Network =
                                    build
                                        [ 4 ]
                                        [
                                            Step(
                                                "a",
                                                Layer.dense
                                                    (Tensor.ofArray [ outputs; 4 ] weights)
                                                    (Tensor.create [ outputs ] 0.0)
                                            )
                                        ]
                                Input = Tensor.create [ 4 ] 1.0
                                Radius = radius 0.1
                            }

                        for norm in [ Maximum; Taxicab ] do
                            let exact = operatorNorm norm (Array.chunkBySize 4 weights)

                            for lower in bounds norm Nominal case brief |> List.truncate 2 do
                                Expect.isGreaterThan lower.Value (0.5 * exact) "value"
                                Expect.isLessThanOrEqual lower.Value (exact * (1.0 + 1e-12)) "value")
        ]
