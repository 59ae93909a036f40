/// LipSDP (METHODS section 13) against slopes and exact constants from below, local LipSDP, and the product of norms from above.
module LipVerify.Propositions.LipSdp

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Core.LowerBounds
open LipVerify.Core.Bounds.Analytic
open LipVerify.Core.Bounds.SeqLip
open LipVerify.Core.Bounds.Multipliers
open LipVerify.Core.Bounds.Exact.Euclidean
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.Oracles
open Expecto
open LipVerify.Propositions.Expectations

let private bound mode network = LipSdp.bound context mode network None

let private value mode network = (bound mode network).Result.Bound.Value

let private modes = [ PerNeuron; PerLayer ]

/// Searches stop within 1e-5 of the best multipliers up to 64 slopes, beyond that at 5e-3 where they hardly move any more.
let private solverGap slopes = if slopes <= 64 then 2e-5 else 6e-3

/// Weights, row-major, between layers of these widths.
let private denseBlocks (widths: int list) (weights: float[] list) =
    List.zip (List.pairwise widths) weights
    |> List.mapi (fun i ((inputs, outputs), weights) ->
        [
            Step("dense", Layer.linear (Dense(Dense.create (Tensor.ofArray [ outputs; inputs ] weights))))
            if i < widths.Length - 2 then
                Step("relu", Layer.relu)
        ])
    |> List.concat

let private dense (widths: int list) (weights: float[] list) =
    build [ widths.Head ] (denseBlocks widths weights)

[<Tests>]
let tests =
    testList
        "LipSdp"
        [
            statement "LipSDP: the bound covers the slope between any two inputs" 120 network (fun case ->
                let draw, size = Draw case.Seed, case.Input.Length
                let bounds = modes |> List.map (fun mode -> $"{mode}", value mode case.Network)

                for _ in 1..3 do
                    let scale = draw.Power(-2.0, 3.0)

                    let point () =
                        draw.Gaussians size |> Array.map (fun v -> scale * v)

                    let x, y = point (), point ()

                    for name, bound in bounds do
                        slopes case.Network x [| y |] |> assertBounds $"{name}, a pair" bound
                        pieceSlopes case.Network x y |> assertBounds $"{name}, a piece" bound)

            statement
                "LipSDP: the bound covers what gradient ascent reaches in balls of any size"
                40
                network
                (fun case ->
                    let reached =
                        LowerBounds.best
                            { context with Seed = case.Seed }
                            Euclidean
                            Uniform
                            case.Network
                            (RestrictedBall.whole case.Input case.Radius)
                            { Starts = 6; Rounds = 2; Steps = 6 }

                    // Both sides enclose their rounding, so that no tolerance is needed.
                    if reached.Rigor = Certified then
                        for mode in modes do
                            Expect.isLessThanOrEqual reached.Value (value mode case.Network) "value")

            statement
                "LipSDP: exact over all inputs ≤ one multiplier a neuron ≤ one a layer ≤ product of norms"
                100
                Exact.small
                (fun case ->
                    let neuron, layer = bound PerNeuron case.Network, bound PerLayer case.Network
                    let product = (Global.bound context case.Network).Bound.Value

                    match ExactPatterns.``global`` context case.Network with
                    | Ok bracket ->
                        // Patterns of which nothing is known widen the bracket; its lower end is attained.
                        Exact.assertCovers "one multiplier a neuron" neuron.Result.Bound.Value bracket.Lower case
                    | Error problem -> failwith problem

                    Expect.isLessThanOrEqual
                        neuron.Result.Bound.Value
                        (layer.Result.Bound.Value * (1.0 + solverGap layer.Slopes))
                        case.Text

                    Expect.isLessThanOrEqual layer.Result.Bound.Value product "value")

            statement "LipSDP: exact in a ball ≤ local ≤ one multiplier a neuron" 60 Exact.small (fun case ->
                let neuron = value PerNeuron case.Network

                let local =
                    LocalLipSdp.bound context Uniform case.Network case.Input case.Radius None

                Exact.assertCovers "one multiplier a neuron" neuron (Exact.exact case).Lower case

                Expect.isLessThanOrEqual
                    local.Result.Bound.Value
                    (neuron * (1.0 + solverGap local.Uncertain))
                    case.Text)

            statement
                "LipSDP: never above the product of norms, never below local LipSDP, with pooling and sums"
                80
                network
                (fun case ->
                    let product = (Global.bound context case.Network).Bound
                    let neuron, layer = bound PerNeuron case.Network, bound PerLayer case.Network

                    for found in [ neuron; layer ] do
                        Expect.isNonEmpty found.Explanation "explanation"

                        if Double.IsFinite product.Value then
                            Expect.isLessThanOrEqual found.Result.Bound.Value product.Value "value"

                    if Double.IsFinite product.Value then
                        Expect.isLessThanOrEqual
                            neuron.Result.Bound.Value
                            (layer.Result.Bound.Value * (1.0 + solverGap layer.Slopes))
                            case.Text)

            statement "LipSDP: never above SeqLip" 60 network (fun case ->
                match SeqLip.bound context Relaxed case.Network None with
                | Ok seqLip when seqLip.Bound.Rigor = Certified ->
                    for mode in [ PerNeuron; PerLayer ] do
                        Expect.isLessThanOrEqual
                            (LipSdp.bound context mode case.Network None).Result.Bound.Value
                            seqLip.Bound.Value
                            case.Text
                | _ -> ())

            statement "LipSDP: the order of neurons does not matter" 40 Draw (fun draw ->
                let inputs, hidden, outputs = draw.Int(1, 5), draw.Int(1, 8), draw.Int(1, 4)

                let first, second =
                    weightMatrix draw hidden inputs, weightMatrix draw outputs hidden

                let order = Array.init hidden id |> Array.sortBy (fun _ -> draw.Real(0.0, 1.0))

                let permuted =
                    [
                        order |> Array.collect (fun i -> Array.sub first (i * inputs) inputs)
                        Array.init (outputs * hidden) (fun k -> second[k / hidden * hidden + order[k % hidden]])
                    ]

                let widths = [ inputs; hidden; outputs ]

                for mode in modes do
                    let one = value mode (dense widths [ first; second ])
                    let other = value mode (dense widths permuted)
                    // Both searches stop within 1e-5 of the same optimum.
                    Expect.isWithin (one * solverGap hidden) other one "other")

            statement "LipSDP: scaling a layer scales the bound" 40 Draw (fun draw ->
                let widths = List.init (draw.Int(3, 4)) (fun _ -> draw.Int(1, 6))

                let weights =
                    List.pairwise widths
                    |> List.map (fun (inputs, outputs) -> draw.Gaussians(inputs * outputs))

                let at = draw.Int(0, weights.Length - 1)
                let factor = draw.Power(-60.0, 60.0)

                let scaled =
                    weights
                    |> List.mapi (fun i values ->
                        if i = at then
                            Array.map (fun w -> factor * w) values
                        else
                            values)

                for mode in modes do
                    let one, other = value mode (dense widths weights), value mode (dense widths scaled)
                    Expect.isWithin (one * solverGap (List.sum widths)) (other / factor) one "other / factor")

            testCase "LipSDP: neurons that feed nothing do not loosen what a layer shares" (fun () ->
                for seed in 1..20 do
                    let draw = Draw seed
                    let first, second = draw.Gaussians 12, draw.Gaussians 8
                    let one = dense [ 3; 4; 2 ] [ first; second ]

                    // A fifth neuron with large weights that no output takes.
                    let other =
                        dense
                            [ 3; 5; 2 ]
                            [
                                Array.append first [| 1e3; -1e3; 1e3 |]
                                second
                                |> Array.chunkBySize 4
                                |> Array.collect (fun row -> Array.append row [| 0.0 |])
                            ]

                    let bound = value PerLayer one
                    Expect.isWithin (bound * solverGap 5) (value PerLayer other) bound $"seed {seed}")

            testCase
                "LipSDP: tighter than the product of norms, and one multiplier a neuron tighter than one a layer"
                (fun () ->
                    let ratios =
                        [
                            for seed in 1..10 do
                                let draw = Draw seed

                                let network =
                                    dense [ 6; 10; 10; 3 ] [ draw.Gaussians 60; draw.Gaussians 100; draw.Gaussians 30 ]

                                let neuron, layer = value PerNeuron network, value PerLayer network
                                layer / (Global.bound context network).Bound.Value, neuron / layer
                        ]

                    Expect.isLessThan (ratios |> List.averageBy fst) 0.9 "ratios |> List.averageBy fst"
                    Expect.isLessThan (ratios |> List.averageBy snd) 0.97 "ratios |> List.averageBy snd")

            statement
                "LipSDP: one layer, or one neuron a layer, has the product of norms for its constant"
                40
                Draw
                (fun draw ->
                    let widths =
                        if draw.Chance 0.5 then
                            [ draw.Int(1, 6); draw.Int(1, 6) ]
                        else
                            draw.Int(1, 4) :: List.replicate (draw.Int(1, 4)) 1 @ [ draw.Int(1, 3) ]

                    let weights =
                        List.pairwise widths
                        |> List.map (fun (inputs, outputs) -> weightMatrix draw outputs inputs)

                    let network = dense widths weights
                    let product = (Global.bound context network).Bound.Value

                    for mode in modes do
                        let bound = value mode network
                        Expect.isLessThanOrEqual bound product "bound"
                        Expect.isGreaterThanOrEqual bound (product * (1.0 - 1e-7)) "bound")

            testCase "LipSDP: a network that is too large is cut into pieces" (fun () ->
                let draw = Draw 7
                let widths = [ 20; 1000; 900; 30; 2 ]

                let weights =
                    List.pairwise widths
                    |> List.map (fun (inputs, outputs) ->
                        draw.Gaussians(inputs * outputs) |> Array.map (fun w -> w / sqrt (float inputs)))

                // A sum in front: no chain, whose layers would be taken together.
                let network =
                    build
                        [ 20 ]
                        [
                            Sum
                                [
                                    Step("same", Identity)
                                    Step("twice", Layer.linear (Diagonal(Tensor.create [ 20 ] 2.0)))
                                ]
                            Series(denseBlocks widths weights)
                        ]

                // The first step of the search says for how many slopes multipliers are sought: those of all layers but the first.
                use source = new Threading.CancellationTokenSource()
                let searches = ResizeArray<string>()

                let watched =
                    { context with
                        Cancellation = source.Token
                        Report =
                            fun line ->
                                if line.Contains "multipliers, step 1:" then
                                    searches.Add(line.Split(' ')[0])

                                    source.Cancel()
                    }

                Expect.thrown<OperationCanceledException>(fun () ->
                    LipSdp.bound watched PerNeuron network None |> ignore)
                |> ignore

                Expect.equal (String.Join(" ", searches)) "930" "searches")

            testCase
                "LipSDP: a deep chain is taken with all layers together, and one multiplier a neuron is tighter than one a layer"
                (fun () ->
                    let draw = Draw 11
                    let widths = 4 :: List.replicate 20 16 @ [ 3 ]

                    let weights =
                        List.pairwise widths
                        |> List.map (fun (inputs, outputs) ->
                            draw.Gaussians(inputs * outputs) |> Array.map (fun w -> w / sqrt (float inputs)))

                    let network = dense widths weights
                    let neuron, layer = bound PerNeuron network, bound PerLayer network

                    for found in [ neuron; layer ] do
                        Expect.stringContains found.Explanation "320 slopes of all layers together" "explanation"
                        Expect.equal found.Result.Bound.Rigor Certified "rigor"

                    Expect.isLessThan neuron.Result.Bound.Value (0.5 * layer.Result.Bound.Value) "value"

                    Expect.isLessThan
                        layer.Result.Bound.Value
                        (0.1 * (Global.bound context network).Bound.Value)
                        "value")

            testCase "LipSDP: without time it is the product of norms that take none" (fun () ->
                let network = dense [ 3; 5; 2 ] [ Array.create 15 1.0; Array.create 10 1.0 ]
                let found = LipSdp.bound context PerNeuron network (Some TimeSpan.Zero)

                let product =
                    (Global.bound (Context.within (Some TimeSpan.Zero) context) network).Bound

                Expect.equal found.Result.Bound.Value product.Value "value"
                Expect.stringContains found.Explanation "the time was over" "explanation")
        ]
