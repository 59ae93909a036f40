/// Proved in proofs-checks/coq/statements/Lemma1.v; here it is held against the program.
module LipVerify.Propositions.Lemma1

open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.LowerBounds
open LipVerify.Core.Bounds.Analytic
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.Oracles
open Expecto
open LipVerify.Propositions.Expectations

/// Networks of one or two inputs, whose pieces along a line can be listed.
let private small seed = networkOver [ 1 + seed % 2 ] seed

/// `‖J(x)‖` at each point, densely.
let private jacobianNorms (network: Network) (points: float[][]) =
    let inputs, outputs = Shape.size network.InputShape, Shape.size network.OutputShape

    points
    |> Array.map (fun x ->
        let linear = Linearization.at context network 1 (HostStorage x)

        let columns =
            Array.init inputs (fun j ->
                let pushed =
                    linear.Pushforward(HostStorage(Array.init inputs (fun i -> if i = j then 1.0 else 0.0)))

                Tensor.values (Tensor.ofStorage [ outputs ] pushed))

        spectralNorm columns)

let private ends (case: NetworkCase) =
    let draw, center = Draw case.Seed, Tensor.values case.Input
    samples draw 6 center (Array.create center.Length 1.0) (min 1e6 case.Radius.Value)

[<Tests>]
let tests =
    testList
        "Lemma1"
        [
            statement
                "Lemma 1: the slope between two points is at most the largest norm of the pieces between them"
                120
                small
                (fun case ->
                    for x, y in Array.pairwise (ends case) do
                        let knots = knotPoints case.Network x y

                        let middles =
                            knots
                            |> Array.pairwise
                            |> Array.map (fun (a, b) -> Array.map2 (fun p q -> (p + q) / 2.0) a b)

                        let largest = jacobianNorms case.Network middles |> Array.fold max 0.0
                        slopes case.Network x [| y |] |> assertBounds "the largest piece" largest)

            statement
                "Lemma 1: on a line, a piece's norm is the slope across it"
                120
                (fun seed -> networkOver [ 1 ] seed)
                (fun case ->
                    for x, y in Array.pairwise (ends case) do
                        for s, t in knots case.Network x y |> Array.pairwise do
                            // The knots are rounded: the inner half of a piece that is not too short surely lies on one piece.
                            if t - s > 1e-6 then
                                let at w =
                                    [| x[0] + (s + w * (t - s)) * (y[0] - x[0]) |]

                                let norm = (jacobianNorms case.Network [| at 0.5 |])[0]

                                for slope in slopes case.Network (at 0.25) [| at 0.75 |] do
                                    Expect.isWithin (1e-12 * norm + slope.Noise) slope.Value norm "value")

            statement "Lemma 1: the uniform bound covers the Jacobian of every piece in the ball" 120 small (fun case ->
                let bound =
                    (Analytic.bound context Uniform case.Network case.Input case.Radius).Bound.Value

                let center = Tensor.values case.Input

                for x in ends case do
                    let opposite = Array.map2 (fun c p -> 2.0 * c - p) center x

                    if norm (Array.map2 (-) opposite center) <= case.Radius.Value then
                        pieceSlopes case.Network opposite x |> assertBounds "a piece" bound)
        ]
