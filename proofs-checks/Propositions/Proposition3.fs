/// Proved in proofs-checks/coq/statements/Proposition3.v; here it is held against the program.
module LipVerify.Propositions.Proposition3

open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Core.Bounds
open LipVerify.Core.Bounds.Analytic
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.Oracles
open Expecto
open LipVerify.Propositions.Expectations

/// Two networks, the second over the outputs of the first.
let private pair seed =
    let first = network seed
    let second = networkOver first.Network.OutputShape (seed ^^^ 0x2545F491)
    first, second.Network

let private blocks (network: Network) =
    let rec block node =
        match node with
        | Leaf placed -> Step(placed.Name, placed.Layer)
        | Chain nodes -> Series(List.map block nodes)
        | Branches nodes -> Sum(List.map block nodes)

    block network.Node

[<Tests>]
let tests =
    testList
        "Proposition3"
        [
            statement
                "Proposition 3: the product over two networks bounds the slopes of their composition"
                100
                pair
                (fun (first, second) ->
                    let center = Tensor.values first.Input

                    let inner =
                        (Analytic.bound context Nominal first.Network first.Input first.Radius).Bound

                    let reach = Propositions.radiusTransfer (Bound.certified first.Radius.Value) inner

                    if System.Double.IsFinite reach.Value then
                        let middle = Network.evaluate context first.Network first.Input

                        let outer =
                            (Analytic.bound context Nominal second middle (radius reach.Value)).Bound

                        let whole = build first.Network.InputShape [ blocks first.Network; blocks second ]

                        slopes whole center (candidates (Draw first.Seed) whole center first.Radius.Value)
                        |> assertBounds "composition" (Propositions.composition inner outer).Value)

            statement
                "Proposition 3: the bound of a chain of multiples of isometries is the product of the factors"
                60
                Draw
                (fun draw ->
                    // Quarter turns and swaps have entries 0 and ±1: the product is exact but for the factors' rounding.
                    let n = draw.Int(1, 5)
                    let factors = List.init (draw.Int(1, 6)) (fun _ -> draw.Power(-2.0, 2.0))

                    let turn (factor: float) =
                        let order = Array.init n id |> Array.sortBy (fun _ -> draw.Gaussian())
                        let signs = Array.init n (fun _ -> draw.Pick [ -1.0; 1.0 ])

                        let weights =
                            Array.init (n * n) (fun k -> if order[k / n] = k % n then factor * signs[k / n] else 0.0)

                        Step("turn", Layer.linear (Dense(Dense.create (Tensor.ofArray [ n; n ] weights))))

                    let chain = build [ n ] (List.map turn factors)
                    let product = List.reduce (*) factors
                    let input = Tensor.create [ n ] 1.0

                    for bound in
                        [
                            (Analytic.bound context Nominal chain input (radius 1.0)).Bound
                            (Global.bound context chain).Bound
                        ] do
                        Expect.equal bound.Rigor Certified "rigor"
                        Expect.isGreaterThanOrEqual bound.Value (product * (1.0 - 1e-14)) "value"
                        Expect.isLessThanOrEqual bound.Value (product * (1.0 + 1e-8)) "value")

            statement "Proposition 3: a network's bound is the product of its layers'" 60 network (fun case ->
                let rec isChain node =
                    match node with
                    | Branches _ -> false
                    | Leaf _ -> true
                    | Chain nodes -> List.forall isChain nodes

                if isChain case.Network.Node then
                    let report = Analytic.bound context Nominal case.Network case.Input case.Radius

                    let product =
                        report.Layers
                        |> List.map _.Lipschitz
                        |> List.fold Propositions.composition Bound.one

                    Expect.equal report.Bound.Value product.Value "value")
        ]
