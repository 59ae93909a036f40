/// Enumeration of activation patterns (METHODS section 11): against other oracles, and as the oracle of bounds and of ascents.
module LipVerify.Propositions.Exact

open System
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Core.LowerBounds
open LipVerify.Core.Bounds.Analytic
open LipVerify.Core.Bounds.Multipliers
open LipVerify.Core.Bounds.Exact.Euclidean
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.Oracles
open Expecto
open LipVerify.Propositions.Expectations

/// Dense layers of these widths with ReLUs between, with zero rows, duplicates, ties at the input and layers that are never active.
let ugly (draw: Draw) widths (input: float[]) =
    let scale = if draw.Chance 0.15 then draw.Power(-20.0, 20.0) else 1.0
    let pairs = List.pairwise widths

    let rec layers value pairs =
        match pairs with
        | [] -> []
        | (inputs, outputs) :: rest ->
            let weights = weightMatrix draw outputs inputs |> Array.map (fun w -> scale * w)

            let products =
                weights
                |> Array.chunkBySize inputs
                |> Array.map (fun row -> Array.fold2 (fun sum w x -> sum + w * x) 0.0 row value)

            let size = max scale (products |> Array.map abs |> Array.max)

            let bias =
                match draw.Int(0, 7) with
                | 0 -> Array.zeroCreate outputs
                | 1 -> products |> Array.map (fun y -> -y)
                | 2 -> products |> Array.map (fun y -> -y - size * draw.Real(0.0, 2.0))
                | _ -> products |> Array.map (fun _ -> size * draw.Gaussian())

            let dense =
                Step("dense", Layer.dense (Tensor.ofArray [ outputs; inputs ] weights) (Tensor.vector bias))

            let after = Array.map2 (fun y b -> max 0.0 (y + b)) products bias

            if rest.IsEmpty then
                [ dense ]
            else
                dense :: Step("relu", Layer.relu) :: layers after rest

    build [ widths.Head ] (layers input pairs)

/// A network with one or two hidden layers and at most 14 neurons in them.
let smallOver inputs seed =
    let draw = Draw seed
    let first = draw.Int(1, 8)

    let hidden =
        if draw.Chance 0.4 then
            [ first ]
        else
            [ first; draw.Int(1, min 6 (14 - first)) ]

    let inputs = draw.Pick inputs
    let input = nominalInput draw [ inputs ]

    {
        Seed = seed
        Network = ugly draw (inputs :: hidden @ [ draw.Int(1, 4) ]) (Tensor.values input)
        Input = input
        Radius =
            radius (
                match draw.Int(0, 9) with
                | 0 -> 1e-6
                | 1 -> 1e3
                | _ -> draw.Power(-2.0, 1.0)
            )
    }

let small = smallOver [ 1; 2; 3; 5 ]

let exact (case: NetworkCase) =
    match ExactPatterns.local context case.Network case.Input case.Radius with
    | Ok bracket -> bracket
    | Error problem -> failwith problem

/// `‖J(x)‖`, densely.
let private jacobianNorm (network: Network) (x: Tensor) =
    let inputs, outputs = x.Length, Shape.size network.OutputShape
    let linear = Linearization.at context network 1 x.Storage

    Array.init inputs (fun j ->
        let pushed =
            linear.Pushforward(HostStorage(Array.init inputs (fun i -> if i = j then 1.0 else 0.0)))

        Tensor.values (Tensor.ofStorage [ outputs ] pushed))
    |> spectralNorm

/// Rounding of norms and Jacobians, relative to the size of what they are computed from.
let noise (case: NetworkCase) =
    1e-9 * (Global.bound context case.Network).Bound.Value

let assertCovers what (bound: float) (constant: float) (case: NetworkCase) =
    Expect.isGreaterThanOrEqual bound (constant - noise case) $"{what} at {case.Text}"

[<Tests>]
let tests =
    testList
        "Exact"
        [
            statement
                "Exact: the lower end is the norm of the Jacobian at the point that comes with it, inside the ball"
                150
                small
                (fun case ->
                    let bracket = exact case

                    match bracket.Attained with
                    | None -> Expect.equal bracket.Lower 0.0 "lower"
                    | Some x ->
                        Expect.isWithin
                            (noise case)
                            (jacobianNorm case.Network x)
                            (bracket.Lower)
                            "jacobianNorm case.Network x"

                        let distance = norm (Array.map2 (-) (Tensor.values x) (Tensor.values case.Input))
                        Expect.isLessThanOrEqual distance (case.Radius.Value * (1.0 + 1e-9) + 1e-14) "distance")

            statement "Exact: the upper end covers the Jacobians and slopes of samples" 150 small (fun case ->
                let bracket = exact case
                let center = Tensor.values case.Input

                let points =
                    samples (Draw case.Seed) 40 center (Array.create center.Length 1.0) case.Radius.Value

                for x in points do
                    assertCovers "a sample" bracket.Upper (jacobianNorm case.Network (Tensor.vector x)) case

                for x, y in Array.pairwise points do
                    slopes case.Network x [| y |]
                    |> assertBounds "a pair" (bracket.Upper + noise case))

            statement
                "Exact: on one input, both ends are the steepest piece of the interval"
                150
                (smallOver [ 1 ])
                (fun case ->
                    let bracket = exact case
                    let center, distance = (Tensor.values case.Input)[0], case.Radius.Value

                    for slope in pieceSlopes case.Network [| center - distance |] [| center + distance |] do
                        Expect.isLessThanOrEqual slope.Value (bracket.Upper + noise case + slope.Noise) "value"

                    let steepest =
                        pieceSlopes case.Network [| center - distance |] [| center + distance |]
                        |> Array.fold (fun best slope -> max best (slope.Value + slope.Noise)) 0.0

                    let lengths =
                        knots case.Network [| center - distance |] [| center + distance |]
                        |> Array.pairwise
                        |> Array.map (fun (a, b) -> b - a)

                    // The knots are rounded: the slope across a piece is its own only where the piece is not too short.
                    if lengths |> Array.forall (fun length -> length > 1e-6) then
                        assertCovers "the lower end" steepest bracket.Lower case)

            testCase "Exact: in general position the ends agree" (fun () ->
                for seed in 1..40 do
                    let draw = Draw seed
                    let widths = draw.Pick [ [ 3; 14; 2 ]; [ 4; 8; 6; 3 ]; [ 2; 5; 5; 4; 1 ] ]

                    let struct (network, input) = generalChain draw widths

                    for distance in [ 0.01; 0.3; 3.0 ] do
                        match ExactPatterns.local context network input (radius distance) with
                        | Ok bracket -> Expect.isLessThan bracket.Gap 1e-9 $"seed {seed}, radius {distance}"
                        | Error problem -> failwith problem)

            testCase "Exact: over all inputs, one layer of independent rows takes every pattern of signs" (fun () ->
                for seed in 1..20 do
                    let draw = Draw seed
                    let neurons = draw.Int(1, 7)
                    let inputs, outputs = neurons + draw.Int(0, 2), draw.Int(1, 3)

                    let first, second =
                        draw.Gaussians(neurons * inputs), draw.Gaussians(outputs * neurons)

                    let network =
                        build
                            [ inputs ]
                            [
                                Step(
                                    "dense",
                                    Layer.dense
                                        (Tensor.ofArray [ neurons; inputs ] first)
                                        (Tensor.vector (draw.Gaussians neurons))
                                )
                                Step("relu", Layer.relu)
                                Step(
                                    "dense",
                                    Layer.linear (Dense(Dense.create (Tensor.ofArray [ outputs; neurons ] second)))
                                )
                            ]

                    let norms =
                        [
                            for pattern in 0 .. (1 <<< neurons) - 1 do
                                Array.init outputs (fun i ->
                                    Array.init inputs (fun j ->
                                        Seq.sum (
                                            seq {
                                                for k in 0 .. neurons - 1 do
                                                    if (pattern >>> k) &&& 1 = 1 then
                                                        second[i * neurons + k] * first[k * inputs + j]
                                            }
                                        )))
                                |> spectralNorm
                        ]

                    match ExactPatterns.``global`` context network with
                    | Error problem -> failwith problem
                    | Ok bracket ->
                        let largest = List.max norms
                        Expect.equal bracket.Regions (1 <<< neurons) "regions"
                        Expect.isWithin (1e-9 * largest) bracket.Lower largest $"seed {seed}"
                        Expect.isWithin (1e-9 * largest) bracket.Upper largest $"seed {seed}"
                        Expect.isGreaterThanOrEqual (Global.bound context network).Bound.Value bracket.Lower "value")

            statement
                "Exact: local LipSDP, Algorithm 1 and the product of norms are never below the exact uniform constant"
                200
                small
                (fun case ->
                    let bracket = exact case

                    let localLipSdp =
                        (LocalLipSdp.bound context Uniform case.Network case.Input case.Radius None).Result.Bound.Value

                    let analytic =
                        (Analytic.bound context Uniform case.Network case.Input case.Radius).Bound.Value

                    assertCovers "local LipSDP" localLipSdp bracket.Lower case
                    assertCovers "Algorithm 1" analytic bracket.Lower case

                    assertCovers
                        "the product of norms"
                        (Global.bound context case.Network).Bound.Value
                        bracket.Lower
                        case)

            statement
                "Exact: what is ascended never exceeds the exact constant, nor the nominal bound"
                60
                small
                (fun case ->
                    let bracket = exact case
                    let ball = RestrictedBall.whole case.Input case.Radius
                    let effort = { Starts = 8; Rounds = 2; Steps = 10 }

                    let reached definition =
                        LowerBounds.best
                            { context with Seed = case.Seed }
                            Euclidean
                            definition
                            case.Network
                            ball
                            effort

                    let nominal = reached Nominal

                    let bound =
                        (LocalLipSdp.bound context Nominal case.Network case.Input case.Radius None).Result.Bound.Value

                    assertCovers "the exact constant" bracket.Upper (reached Uniform).Value case
                    assertCovers "the exact constant" bracket.Upper nominal.Value case
                    Expect.isGreaterThanOrEqual bound nominal.Value "bound")

            testCase "Exact: an input on a kink has both slopes" (fun () ->
                // x ↦ relu(x), and relu(x) − relu(−x) = x, around 0.
                let dense rows columns weights =
                    Layer.linear (Dense(Dense.create (Tensor.ofArray [ rows; columns ] weights)))

                let network =
                    build
                        [ 1 ]
                        [
                            Step("a", dense 2 1 [| 1.0; -1.0 |])
                            Step("relu", Layer.relu)
                            Step("b", dense 1 2 [| 3.0; -1.0 |])
                        ]

                match ExactPatterns.local context network (Tensor.vector [| 0.0 |]) (radius 1e-12) with
                | Error problem -> failwith problem
                | Ok bracket ->
                    // The patterns with both or neither active meet the ball in a point at most.
                    Expect.equal bracket.Regions 2 "regions"
                    Expect.isWithin 1e-9 bracket.Lower (3.0) "lower"
                    Expect.isWithin 1e-9 bracket.Upper (3.0) "upper")

            statement "Exact: a point, max pooling and sums have no enumeration" 60 network (fun case ->
                let isChain =
                    Network.layers case.Network
                    |> List.forall (fun placed ->
                        match placed.Layer with
                        | MaxPooling _ -> false
                        | _ -> true)

                match ExactPatterns.local context case.Network case.Input (radius 0.0) with
                | Ok _ -> failwith "a point has no slopes"
                | Error problem -> Expect.isNonEmpty problem "problem"

                if not isChain then
                    match ExactPatterns.local context case.Network case.Input (radius 1.0) with
                    | Ok _ -> failwith "max pooling was left out"
                    | Error problem ->
                        Expect.isFalse (String.IsNullOrWhiteSpace problem) "String.IsNullOrWhiteSpace problem")
        ]
