/// SeqLip (METHODS section 12) on random networks: against sampled slopes, ascents and enumerated constants.
module LipVerify.Propositions.SeqLip

open LipVerify.Core.Numbers
open LipVerify.Core.Networks
open LipVerify.Core.LowerBounds
open LipVerify.Core.Bounds.Analytic
open LipVerify.Core.Bounds.SeqLip
open LipVerify.Core.Bounds.Exact.Euclidean
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.Oracles
open Expecto
open LipVerify.Propositions.Expectations

let tryBound maximum network =
    SeqLip.bound context maximum network None

let bound maximum network =
    match tryBound maximum network with
    | Ok found -> found.Bound
    | Error problem -> failwith problem

let productOfNorms network =
    (Global.bound context network).Bound.Value

/// Looseness of certificates (1e-8 at most, each in its own way), relative to what they are computed from.
let private noise network = 1e-8 * productOfNorms network

let private assertBelow what (smaller: float) (larger: float) (case: NetworkCase) =
    Expect.isLessThanOrEqual smaller (larger + noise case.Network) $"{what} at {case.Text}"

[<Tests>]
let tests =
    testList
        "SeqLip"
        [
            testCase
                "SeqLip: the bound covers the slope between any two inputs, wherever the network is a chain"
                (fun () ->
                    let mutable chains = 0

                    check 150 network (fun case ->
                        match tryBound Relaxed case.Network with
                        | Error problem -> Expect.stringContains problem "sums of branches" case.Text
                        | Ok found ->
                            chains <- chains + 1
                            let draw, size = Draw case.Seed, case.Input.Length

                            for _ in 1..4 do
                                let scale = draw.Power(-2.0, 3.0)

                                let point () =
                                    draw.Gaussians size |> Array.map (fun v -> scale * v)

                                let x, y = point (), point ()
                                slopes case.Network x [| y |] |> assertBounds "a pair" found.Bound.Value
                                pieceSlopes case.Network x y |> assertBounds "a piece" found.Bound.Value)

                    Expect.isGreaterThan chains 20 "chains")

            statement "SeqLip: it is certified and never above the product of norms" 100 network (fun case ->
                match tryBound Relaxed case.Network with
                | Error _ -> ()
                | Ok found ->
                    Expect.equal found.Bound.Rigor Certified case.Text
                    Expect.isLessThanOrEqual found.Bound.Value (productOfNorms case.Network) case.Text)

            statement
                "SeqLip: what is attained ≤ exact constants ≤ seqlip-exact ≤ seqlip ≤ the product of norms; greedy ≤ seqlip-exact"
                60
                Exact.small
                (fun case ->
                    let enumerated = bound Enumerated case.Network
                    let relaxed = bound Relaxed case.Network
                    let greedy = bound Greedy case.Network
                    Expect.equal enumerated.Rigor Certified case.Text
                    Expect.equal greedy.Rigor Estimate case.Text
                    assertBelow "a Jacobian over the ball" (Exact.exact case).Lower enumerated.Value case
                    assertBelow "vertices and multipliers" enumerated.Value relaxed.Value case
                    assertBelow "greedy slopes and vertices" greedy.Value enumerated.Value case
                    assertBelow "multipliers and norms" relaxed.Value (productOfNorms case.Network) case

                    match ExactPatterns.``global`` context case.Network with
                    | Ok bracket -> assertBelow "a Jacobian" bracket.Lower enumerated.Value case
                    | Error _ -> ())

            statement "SeqLip: ascent between pairs stays below all of its bounds" 40 Exact.small (fun case ->
                let ball = RestrictedBall.whole case.Input case.Radius

                let attained =
                    LowerBounds.best
                        { context with Seed = case.Seed }
                        Euclidean
                        Uniform
                        case.Network
                        ball
                        { Starts = 8; Rounds = 2; Steps = 10 }

                assertBelow "ascent" attained.Value (bound Enumerated case.Network).Value case)
        ]
