/// Elementwise Jacobian bounds by recursion (METHODS section 10, RecurJac) against slopes, differences, patterns and FastLip.
module LipVerify.Propositions.RecurJac

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.LowerBounds
open LipVerify.Core.Bounds.Jacobian
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

let private bound norm definition (case: NetworkCase) =
    let found =
        RecurJac.bound context norm definition case.Network case.Input case.Radius None
        |> expectOk

    Expect.equal found.Bound.Rigor Certified "rigor"
    Expect.isFalse found.EndedEarly "ended early"
    found.Bound.Value

let private fastLip norm definition (case: NetworkCase) =
    (FastLip.bound context norm definition case.Network case.Input case.Radius
     |> expectOk)
        .Value

let private named label =
    norms |> List.find (fun norm -> Norm.label norm = label)

/// Dense layers with ReLUs between, of normal weights, some rows and biases 0.
let private dense (draw: Draw) (widths: int list) =
    let layer (inputs, outputs) =
        let weights =
            weightMatrix draw outputs inputs |> Array.map (fun w -> w / sqrt (float inputs))

        let bias =
            Array.init outputs (fun _ -> if draw.Chance 0.2 then 0.0 else 0.3 * draw.Gaussian())

        Step("dense", Layer.dense (Tensor.ofArray [ outputs; inputs ] weights) (Tensor.vector bias))

    List.pairwise widths
    |> List.map layer
    |> List.reduce (fun before layer -> Series [ before; Step("relu", Layer.relu); layer ])

/// A chain of three to five dense layers.
let internal chain seed =
    let draw = Draw seed

    let widths = List.init (draw.Int(3, 5) + 1) (fun _ -> draw.Int(1, 9))

    {
        Seed = seed
        Network = build [ widths.Head ] [ dense draw widths ]
        Input = nominalInput draw [ widths.Head ]
        Radius = radius (draw.Power(-3.0, 1.0))
    }

/// `Σ_k J_jk d_k` from below and from above, for entries within the columns, and the sum of the sizes of the terms.
let private product (columns: EnclosedTensor[]) j (step: float[]) =
    let ends sign =
        Seq.sum (
            Seq.mapi
                (fun k (column: EnclosedTensor) ->
                    let value, error = (Tensor.values column.Value)[j], (Tensor.values column.Error)[j]
                    // Nothing is known where a bound overflowed; a step of 0 adds nothing.
                    if step[k] = 0.0 then
                        0.0
                    else
                        value * step[k] + sign * error * abs step[k])
                columns
        )

    struct (ends -1.0, ends 1.0)

[<Tests>]
let tests =
    testList
        "RecurJac"
        [
            testTheory
                "RecurJac: the bounds cover slopes to the nominal input and of pairs"
                [ "2"; "inf"; "1" ]
                (fun label ->
                    let norm = named label

                    check 120 network (fun case ->
                        let center = Tensor.values case.Input
                        let points = pointsIn norm (Draw case.Seed) 16 center case.Radius.Value

                        slopesIn norm case.Network center points
                        |> assertBounds "nominal" (bound norm Nominal case)

                        let uniform = bound norm Uniform case

                        for x, y in Array.pairwise points do
                            slopesIn norm case.Network x [| y |] |> assertBounds "a pair" uniform))

            testTheory "RecurJac: no bound is above that of FastLip" [ "2"; "inf"; "1" ] (fun label ->
                let norm = named label

                let property (case: NetworkCase) =
                    for definition in [ Nominal; Uniform ] do
                        let recursive, forward = bound norm definition case, fastLip norm definition case
                        Expect.isLessThanOrEqual recursive (forward * (1.0 + 1e-9)) $"{definition} at {case.Text}"

                check 60 network property
                check 60 chain property)

            statement "RecurJac: it covers the slopes that gradient ascent attains" 40 chain (fun case ->
                let ball = RestrictedBall.whole case.Input case.Radius

                for definition in [ Nominal; Uniform ] do
                    let attained =
                        LowerBounds.best context Euclidean definition case.Network ball (Effort.fitting case.Network)

                    Expect.isGreaterThanOrEqual
                        (bound Euclidean definition case)
                        (attained.Value * (1.0 - 1e-9))
                        case.Text)

            testTheory
                "RecurJac: differences of outputs lie within the entries' intervals times the step"
                [ "2"; "inf"; "1" ]
                (fun label ->
                    let norm = named label

                    let property (case: NetworkCase) =
                        let center = Tensor.values case.Input
                        let points = pointsIn norm (Draw case.Seed) 10 center case.Radius.Value

                        let columns definition =
                            RecurJac.columns context norm definition case.Network case.Input case.Radius
                            |> expectOk

                        let assertWithin columns (x: float[]) (y: float[]) =
                            let values, errors =
                                evaluateAll case.Network [| x; y |], evaluationErrors case.Network [| x; y |]

                            let step = Array.map2 (-) y x

                            for j in 0 .. values[0].Length - 1 do
                                let struct (low, high) = product columns j step
                                let difference = values[1][j] - values[0][j]
                                let noise = Array.sum errors + 1e-12 * (abs low + abs high)

                                if Double.IsFinite difference && Double.IsFinite(high - low) then
                                    Expect.isInRange
                                        difference
                                        (low - noise, high + noise)
                                        $"output {j} at {case.Text}"

                        let nominal, uniform = columns Nominal, columns Uniform

                        for x in points do
                            assertWithin nominal center x

                        for x, y in Array.pairwise points do
                            assertWithin uniform x y

                    check 60 network property
                    check 60 chain property)

            statement "RecurJac: Jacobians at samples lie within the entries' intervals" 80 chain (fun case ->
                let center = Tensor.values case.Input

                for norm in norms do
                    let columns =
                        RecurJac.columns context norm Uniform case.Network case.Input case.Radius
                        |> expectOk

                    for x in pointsIn norm (Draw case.Seed) 10 center case.Radius.Value do
                        let point = RestrictedBall.whole (Tensor.vector x) (radius 0.0)

                        if (NominalJacobian.kinks context case.Network point).IsEmpty then
                            jacobian case.Network x
                            |> Array.iteri (fun j row ->
                                row
                                |> Array.iteri (fun k entry ->
                                    let value, error =
                                        (Tensor.values columns[k].Value)[j], (Tensor.values columns[k].Error)[j]

                                    let scale = Array.sumBy abs row + abs value + error

                                    Expect.isInRange
                                        entry
                                        (value - error - 1e-12 * scale, value + error + 1e-12 * scale)
                                        $"entry {j}, {k} at {case.Text}")))

            testCase "RecurJac: with radius 0, the norm of the Jacobian where the network is differentiable" (fun () ->
                let mutable compared = 0

                check 150 network (fun case ->
                    let case = { case with Radius = radius 0.0 }
                    let ball = RestrictedBall.whole case.Input case.Radius

                    if (NominalJacobian.kinks context case.Network ball).IsEmpty then
                        let rows = jacobian case.Network (Tensor.values case.Input)
                        // What cancels between layers leaves the rounding of its parts.
                        let noise =
                            1e-12
                            * operatorNorm
                                Maximum
                                (jacobian (absolute case.Network) (Tensor.values case.Input |> Array.map abs))

                        for norm in norms do
                            let exact = operatorNorm norm rows
                            let size = sqrt (float (rows.Length * rows[0].Length))

                            if Double.IsFinite exact then
                                Expect.isWithin
                                    (1e-8 * exact + size * noise)
                                    (bound norm Nominal case)
                                    exact
                                    case.Text

                                compared <- compared + 1)

                Expect.isGreaterThan compared 100 "compared")

            testCase
                "RecurJac: of one hidden layer that is open everywhere, each interval is the sum of the least and of the largest terms"
                (fun () ->
                    for seed in 1..20 do
                        let draw = Draw seed
                        let inputs, hidden, outputs = draw.Int(1, 5), draw.Int(1, 6), draw.Int(1, 4)

                        let first, second =
                            Array.init hidden (fun _ -> draw.Gaussians inputs),
                            Array.init outputs (fun _ -> draw.Gaussians hidden)

                        let layer (rows: float[][]) =
                            Layer.dense
                                (Tensor.ofArray [ rows.Length; rows[0].Length ] (Array.concat rows))
                                (Tensor.create [ rows.Length ] 0.0)

                        let network =
                            build [ inputs ] [ Step("a", layer first); Step("r", Layer.relu); Step("b", layer second) ]

                        let columns =
                            RecurJac.columns
                                context
                                Euclidean
                                Uniform
                                network
                                (Tensor.create [ inputs ] 0.0)
                                (radius 1.0)
                            |> expectOk

                        let entry choose j k =
                            Seq.sum (Seq.init hidden (fun i -> choose 0.0 (second[j][i] * first[i][k])))

                        for j in 0 .. outputs - 1 do
                            for k in 0 .. inputs - 1 do
                                let value, error =
                                    (Tensor.values columns[k].Value)[j], (Tensor.values columns[k].Error)[j]

                                Expect.isWithin 1e-12 (value - error) (entry min j k) "value - error"
                                Expect.isWithin 1e-12 (value + error) (entry max j k) "value + error")

            testCase
                "RecurJac: the patterns of one hidden layer stay below the bound in each norm, and one output attains it in the 1-norm"
                (fun () ->
                    for seed in 1..20 do
                        let draw = Draw seed
                        let hidden = draw.Int(1, 5)
                        // Independent rows: every pattern has a region in the ball around 0.
                        let inputs, outputs = hidden + draw.Int(0, 2), draw.Int(1, 3)

                        let first, second =
                            Array.init hidden (fun _ -> draw.Gaussians inputs),
                            Array.init outputs (fun _ -> draw.Gaussians hidden)

                        let patterns =
                            Array.init (1 <<< hidden) (fun pattern ->
                                Array.init outputs (fun j ->
                                    Array.init inputs (fun k ->
                                        Seq.sum (
                                            Seq.init hidden (fun i ->
                                                if pattern >>> i &&& 1 = 1 then
                                                    second[j][i] * first[i][k]
                                                else
                                                    0.0)
                                        ))))

                        let layer (rows: float[][]) =
                            Layer.dense
                                (Tensor.ofArray [ rows.Length; rows[0].Length ] (Array.concat rows))
                                (Tensor.create [ rows.Length ] 0.0)

                        let case =
                            {
                                Seed = seed
                                Network =
                                    build
                                        [ inputs ]
                                        [ Step("a", layer first); Step("r", Layer.relu); Step("b", layer second) ]
                                Input = Tensor.create [ inputs ] 0.0
                                Radius = radius 1.0
                            }

                        for norm in norms do
                            let exact = patterns |> Array.map (operatorNorm norm) |> Array.max

                            Expect.isGreaterThanOrEqual
                                (bound norm Uniform case)
                                (exact * (1.0 - 1e-12))
                                (Norm.label norm)

                            // A column sum of one output is one entry, whose largest size a pattern attains.
                            if norm = Taxicab && outputs = 1 then
                                Expect.isWithin
                                    (1e-12 * exact)
                                    (bound norm Uniform case)
                                    exact
                                    "bound norm Uniform case")

            testCase "RecurJac: it keeps the correlation that intervals lose" (fun () ->
                // 2 relu(relu(x) + 10) − relu(relu(x) + 10): the entry is 2λ − λ for the slope λ of the inner ReLU, while intervals know only
                // that each of the two is in [0, 1].
                let dense rows (weights: float list) (bias: float list) =
                    Layer.dense
                        (Tensor.ofArray [ rows; weights.Length / rows ] (Array.ofList weights))
                        (Tensor.vector (Array.ofList bias))

                let network =
                    build
                        [ 1 ]
                        [
                            Step("a", dense 1 [ 1.0 ] [ 0.0 ])
                            Step("r", Layer.relu)
                            Step("b", dense 2 [ 1.0; 1.0 ] [ 10.0; 10.0 ])
                            Step("r", Layer.relu)
                            Step("c", dense 1 [ 2.0; -1.0 ] [ 0.0 ])
                        ]

                let case =
                    {
                        Seed = 0
                        Network = network
                        Input = Tensor.vector [| 0.0 |]
                        Radius = radius 1.0
                    }

                Expect.isWithin 1e-9 (fastLip Maximum Uniform case) (2.0) "fastLip Maximum Uniform case"
                Expect.isWithin 1e-9 (bound Maximum Uniform case) (1.0) "bound Maximum Uniform case")
        ]
