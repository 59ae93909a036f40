/// Local LipSDP (METHODS section 7) against sampled, ascended and exact constants from below, and Algorithm 1 from above.
/// Proved in proofs-checks/coq/statements: LocalLipSdp.v, FeedForward.v.
module LipVerify.Propositions.LocalLipSdp

open System
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.LowerBounds
open LipVerify.Core.Enclosures
open LipVerify.Core.Bounds.Analytic
open LipVerify.Core.Bounds.SeqLip
open LipVerify.Core.Bounds.Jacobian
open LipVerify.Core.Bounds.Multipliers
open LipVerify.Core.Radii
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.Oracles
open Expecto
open LipVerify.Propositions.Expectations

let private bound definition (case: NetworkCase) =
    (LocalLipSdp.bound context definition case.Network case.Input case.Radius None).Result.Bound.Value

// Dense networks in general position.

/// Weights and biases of a dense network.
type private Dense =
    {
        Weights: float[][]
        Biases: float[][]
        Widths: int list
    }

let private denseNetwork (dense: Dense) =
    let layers =
        List.pairwise dense.Widths
        |> List.mapi (fun i (inputs, outputs) ->
            [
                Step(
                    $"dense{i}",
                    Layer.dense (Tensor.ofArray [ outputs; inputs ] dense.Weights[i]) (Tensor.vector dense.Biases[i])
                )

                if i < dense.Widths.Length - 2 then
                    Step($"relu{i}", Layer.relu)
            ])

    build [ dense.Widths.Head ] (List.concat layers)

let private grow (draw: Draw) widths =
    let pairs = List.pairwise widths

    {
        Weights =
            pairs
            |> List.map (fun (inputs, outputs) -> draw.Gaussians(inputs * outputs))
            |> Array.ofList
        Biases = pairs |> List.map (fun (_, outputs) -> draw.Gaussians outputs) |> Array.ofList
        Widths = widths
    }

let private boundAt definition network input distance =
    (LocalLipSdp.bound context definition network input (radius distance) None).Result.Bound.Value

/// `J(x)` column by column.
let private jacobian (network: Network) (input: Tensor) =
    let n = input.Length
    let points = Array.init (n * n) (fun k -> (Tensor.values input)[k % n])

    let basis = Array.init (n * n) (fun k -> if k / n = k % n then 1.0 else 0.0)

    let linearization = Linearization.at context network n (HostStorage points)
    let columns = linearization.Pushforward(HostStorage basis)
    let outputs = columns.Length / n
    let values = Tensor.values (Tensor.ofStorage [ columns.Length ] columns)
    Array.init outputs (fun i -> Array.init n (fun j -> values[j * outputs + i]))

[<Tests>]
let tests =
    testList
        "LocalLipSdp"
        [
            statement "Local LipSDP: the nominal bound covers samples, lines and their knots" 120 network (fun case ->
                assertCoversSamples (bound Nominal case) case)

            statement "Local LipSDP: the uniform bound covers pairs and the pieces between them" 80 network (fun case ->
                assertCoversPairs (bound Uniform case) case)

            statement "Local LipSDP: both bounds cover what gradient ascent reaches" 50 network (fun case ->
                let ball = RestrictedBall.whole case.Input case.Radius

                for definition in [ Nominal; Uniform ] do
                    let reached =
                        LowerBounds.best
                            { context with Seed = case.Seed }
                            Euclidean
                            definition
                            case.Network
                            ball
                            { Starts = 6; Rounds = 2; Steps = 6 }

                    // Both sides enclose their rounding, so that no tolerance is needed.
                    if reached.Rigor = Certified then
                        Expect.isLessThanOrEqual reached.Value (bound definition case) "value")

            statement
                "Local LipSDP: on one input, the bound covers the exact constant"
                120
                (networkOver [ 1 ])
                (fun case ->
                    let center, distance = Tensor.values case.Input, case.Radius.Value
                    let ends = [| [| center[0] - distance |]; [| center[0] + distance |] |]
                    let exact = knotPoints case.Network ends[0] ends[1] |> within center distance

                    slopes case.Network center exact
                    |> assertBounds "the exact nominal constant" (bound Nominal case)

                    pieceSlopes case.Network ends[0] ends[1]
                    |> assertBounds "the exact uniform constant" (bound Uniform case))

            statement "Local LipSDP: never above Algorithm 1" 80 network (fun case ->
                for definition in [ Nominal; Uniform ] do
                    let analytic =
                        (Analytic.bound context definition case.Network case.Input case.Radius).Bound.Value

                    // Tighter slopes than those of balls, but each spectral norm has its own looseness of about 1e-9.
                    if Double.IsFinite analytic then
                        Expect.isLessThanOrEqual
                            (bound definition case)
                            (analytic * (1.0 + 1e-7))
                            "bound definition case")

            testCase "Local LipSDP: never above what cheaper methods certify" (fun () ->
                let mutable below = 0

                check 150 network (fun case ->
                    for definition in [ Nominal; Uniform ] do
                        let least = bound definition case

                        let multipliers =
                            Analytic.boundWith context Crown definition case.Network case.Input case.Radius

                        let others =
                            [
                                Ok multipliers.Bound
                                FastLip.bound context Euclidean definition case.Network case.Input case.Radius
                                SeqLip.bound context Relaxed case.Network None |> Result.map _.Bound
                            ]

                        for other in others do
                            match other with
                            | Ok other when other.Rigor = Certified ->
                                Expect.isLessThanOrEqual least other.Value $"{definition}: {case.Text}"

                                if least = other.Value && other.Value < multipliers.Bound.Value then
                                    below <- below + 1
                            | _ -> ())

                // Cases where another method has the least bound do occur.
                Expect.isGreaterThan below 0 "below")

            testCase "Local LipSDP: in a tiny ball, the norm of the Jacobian" (fun () ->
                for seed in 1..30 do
                    let draw = Draw seed
                    let network = denseNetwork (grow draw [ 4; 7; 5; 3 ])
                    let input = Tensor.vector (draw.Gaussians 4)
                    let norm = spectralNorm (jacobian network input)

                    for definition in [ Nominal; Uniform ] do
                        let value = boundAt definition network input 1e-6
                        // The solver stops within 1e-5; general position keeps the kinks further away than the ball reaches.
                        Expect.isWithin (norm * 1e-4) value norm $"seed {seed}")

            testCase "Local LipSDP: the bound grows with the radius" (fun () ->
                for seed in 1..20 do
                    let draw = Draw seed
                    let network = denseNetwork (grow draw [ 3; 6; 6; 2 ])
                    let input = Tensor.vector (draw.Gaussians 3)

                    for definition in [ Nominal; Uniform ] do
                        let values =
                            [ 1e-3; 1e-2; 0.1; 0.5; 2.0; 10.0 ]
                            |> List.map (boundAt definition network input)

                        // Linear functions choose their slopes anew at each radius, so that enclosures need not be nested exactly.
                        for before, after in List.pairwise values do
                            Expect.isLessThanOrEqual before (after * 1.01) $"seed {seed}")

            testCase "Local LipSDP: the order of neurons does not matter" (fun () ->
                for seed in 1..20 do
                    let draw = Draw seed
                    let dense = grow draw [ 3; 6; 2 ]

                    let reversed =
                        { dense with
                            Weights =
                                [|
                                    Array.chunkBySize 3 dense.Weights[0] |> Array.rev |> Array.concat
                                    Array.chunkBySize 6 dense.Weights[1] |> Array.map Array.rev |> Array.concat
                                |]
                            Biases = [| Array.rev dense.Biases[0]; dense.Biases[1] |]
                        }

                    let input = Tensor.vector (draw.Gaussians 3)

                    for distance in [ 0.1; 1.0 ] do
                        let values =
                            [ dense; reversed ]
                            |> List.map (fun dense -> boundAt Nominal (denseNetwork dense) input distance)

                        // Both runs stop within 1e-5 of the same optimum.
                        Expect.isWithin (values[0] * 1e-3) values[1] (values[0]) $"seed {seed}")

            testCase "Local LipSDP: tighter than any product of norms where a layer undoes the one before" (fun () ->
                // x ↦ relu(x + 10) − relu(x + 9), stable around 0: the constant is 0 there, the product of norms 2.
                let network =
                    build
                        [ 1 ]
                        [
                            Step(
                                "split",
                                Layer.dense (Tensor.ofArray [ 2; 1 ] [| 1.0; 1.0 |]) (Tensor.vector [| 10.0; 9.0 |])
                            )
                            Step("relu", Layer.relu)
                            Step(
                                "join",
                                Layer.dense (Tensor.ofArray [ 1; 2 ] [| 1.0; -1.0 |]) (Tensor.vector [| 0.0 |])
                            )
                        ]

                let input = Tensor.vector [| 0.0 |]
                Expect.isLessThan (boundAt Nominal network input 20.0) 1.0 "boundAt Nominal network input 20.0")

            statement
                "Local LipSDP: a margin radius keeps the class of every sample"
                30
                Proposition6.classifier
                (fun case ->
                    match
                        LocalLipSdpRadius.certify context case.Network case.Input (Some(TimeSpan.FromSeconds 5.0))
                    with
                    | Error problem -> failwith problem
                    | Ok found ->
                        let center = Tensor.values case.Input

                        match found.Label with
                        | Some label when found.Radius > 0.0 && found.Radius < 1e50 ->
                            for x in candidates (Draw case.Seed) case.Network center found.Radius do
                                let output =
                                    EnclosedTensor.evaluate context case.Network (Tensor.ofArray case.Input.Shape x)

                                let values, errors = Tensor.values output.Value, Tensor.values output.Error

                                for j in 0 .. values.Length - 1 do
                                    if j <> label then
                                        Expect.isGreaterThanOrEqual
                                            (values[label] - values[j] + errors[label] + errors[j])
                                            0.0
                                            "values[label] - values[j] + errors[label] + errors[j]"
                        | _ -> ())

            testCase "Local LipSDP: weights whose squares underflow still reach their kinks" (fun () ->
                // 1e170·relu(1e-170 x − 1e-171) is 0 at 0 and rises with slope 1 from 0.1 on: 0.9 from 0 to 1.
                let network =
                    build
                        [ 1 ]
                        [
                            Step("a", Layer.dense (Tensor.ofArray [ 1; 1 ] [| 1e-170 |]) (Tensor.vector [| -1e-171 |]))
                            Step("r", Layer.relu)
                            Step("b", Layer.dense (Tensor.ofArray [ 1; 1 ] [| 1e170 |]) (Tensor.vector [| 0.0 |]))
                        ]

                for definition, slope in [ Nominal, 0.9; Uniform, 1.0 ] do
                    let struct (certified, _) =
                        WitnessedLipSdp.bound context definition network (Tensor.vector [| 0.0 |]) (radius 1.0) None

                    for bound in
                        [
                            certified.Result.Bound.Value
                            boundAt definition network (Tensor.vector [| 0.0 |]) 1.0
                        ] do
                        Expect.isGreaterThanOrEqual bound (slope * (1.0 - 1e-12)) $"{definition}")
        ]
