/// LipSDP (METHODS section 12) against slopes and exact constants from below, local LipSDP, and the product of norms from above.
module LipVerify.Propositions.LipSdp

open System
open LipVerify.Compute
open LipVerify.Core
open LipVerify.Propositions.Generators
open LipVerify.Propositions.Oracles
open NUnit.Framework

let private bound mode network = LipSdp.bound context mode network None

let private value mode network = (bound mode network).Result.Bound.Value

let private modes = [ PerNeuron; PerLayer ]

/// Searches stop within 1e-5 of the best multipliers up to 64 slopes, beyond that at 5e-3 where they hardly move any more.
let private solverGap slopes = if slopes <= 64 then 1e-4 else 1e-2

[<Test>]
let ``LipSDP: the bound covers the slope between any two inputs`` () =
    check 120 network (fun case ->
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

[<Test>]
let ``LipSDP: the bound covers what gradient ascent reaches in balls of any size`` () =
    check 40 network (fun case ->
        let reached =
            LowerBounds.best
                { context with Seed = case.Seed }
                Uniform
                case.Network
                (RestrictedBall.whole case.Input case.Radius)
                { Starts = 6; Rounds = 2; Steps = 6 }

        // Both sides enclose their rounding, so that no tolerance is needed.
        if reached.Rigor = Certified then
            for mode in modes do
                Assert.That(reached.Value, Is.LessThanOrEqualTo(value mode case.Network)))

[<Test>]
let ``LipSDP: exact over all inputs ≤ one multiplier a neuron ≤ one a layer ≤ product of norms`` () =
    check 100 Exact.small (fun case ->
        let neuron, layer = bound PerNeuron case.Network, bound PerLayer case.Network
        let product = (Global.bound context case.Network).Bound.Value

        match ExactPatterns.``global`` context case.Network with
        | Ok bracket ->
            // Patterns of which nothing is known widen the bracket; its lower end is attained.
            Exact.assertCovers "one multiplier a neuron" neuron.Result.Bound.Value bracket.Lower case
        | Error problem -> failwith problem

        Assert.That(
            neuron.Result.Bound.Value,
            Is.LessThanOrEqualTo(layer.Result.Bound.Value * (1.0 + solverGap layer.Slopes)),
            case.Text
        )

        Assert.That(layer.Result.Bound.Value, Is.LessThanOrEqualTo product))

[<Test>]
let ``LipSDP: exact in a ball ≤ local ≤ one multiplier a neuron`` () =
    check 60 Exact.small (fun case ->
        let neuron = value PerNeuron case.Network

        let local =
            LocalLipSdp.bound context Uniform case.Network case.Input case.Radius None

        Exact.assertCovers "one multiplier a neuron" neuron (Exact.exact case).Lower case

        Assert.That(
            local.Result.Bound.Value,
            Is.LessThanOrEqualTo(neuron * (1.0 + solverGap local.Uncertain)),
            case.Text
        ))

[<Test>]
let ``LipSDP: never above the product of norms, never below local LipSDP, with pooling and sums`` () =
    check 80 network (fun case ->
        let product = (Global.bound context case.Network).Bound
        let neuron, layer = bound PerNeuron case.Network, bound PerLayer case.Network

        for found in [ neuron; layer ] do
            Assert.That(found.Explanation, Is.Not.Empty)

            if Double.IsFinite product.Value then
                Assert.That(found.Result.Bound.Value, Is.LessThanOrEqualTo product.Value)

        if Double.IsFinite product.Value then
            Assert.That(
                neuron.Result.Bound.Value,
                Is.LessThanOrEqualTo(layer.Result.Bound.Value * (1.0 + solverGap layer.Slopes)),
                case.Text
            ))
