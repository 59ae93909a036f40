/// Nominal values of plans, held against exact arithmetic (METHODS section 14).
module LipVerify.Propositions.StructuredNominal

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.LowerBounds
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.StructuredLoops
open Expecto
open LipVerify.Propositions.Expectations

let private larger a b = if Dyadic.isAtMost a b then a else b

let private maxima geometry (x: Dyadic[]) =
    let found = ResizeArray<Dyadic>()

    PoolingWindows.iterate geometry (fun _ members ->
        found.Add(members |> Seq.map (fun i -> x[i]) |> Seq.reduce larger))

    found.ToArray()

let private applied (layer: Layer) (x: Dyadic[]) =
    match layer with
    | Affine(map, bias) ->
        (exactMatrix map, Tensor.values bias)
        ||> Array.map2 (fun row b -> Dyadic.add (inner row x) (Dyadic.ofFloat b))
    | Activation _ -> Array.map Dyadic.rectify x
    | MaxPooling geometry -> maxima geometry x
    | Reshape _
    | Identity -> x

let rec private evaluated node (x: Dyadic[]) =
    match node with
    | Leaf placed -> applied placed.Layer x
    | Chain nodes -> List.fold (fun x node -> evaluated node x) x nodes
    | Branches nodes ->
        nodes
        |> List.map (fun node -> evaluated node x)
        |> List.reduce (Array.map2 Dyadic.add)

let private assertEncloses (enclosed: EnclosedTensor) (exact: Dyadic[]) text =
    let values, errors = Tensor.values enclosed.Value, Tensor.values enclosed.Error

    exact
    |> Array.iteri (fun i exact ->
        if Double.IsFinite values[i] && Double.IsFinite errors[i] then
            let off = Dyadic.subtract (Dyadic.ofFloat values[i]) exact
            let off = if Dyadic.sign off < 0 then Dyadic.negate off else off

            if not (Dyadic.isAtMost (Dyadic.ofFloat errors[i]) off) then
                failwith $"output {i} is {Dyadic.toFloat off:R} off where {errors[i]:R} is the bound: {text}")

[<Tests>]
let tests =
    testList
        "StructuredNominal"
        [
            statement "Structured: nominal values are no further off than they say" 120 network (fun case ->
                let exact =
                    Tensor.values case.Input
                    |> Array.map Dyadic.ofFloat
                    |> evaluated case.Network.Node

                assertEncloses (planOf case.Network case.Input).Nominal exact case.Text)

            testCase
                "Structured: behind many wide layers norms know the nominal values better than intervals, and rightly"
                (fun () ->
                    for seed in 1..2 do
                        let struct (network, input) =
                            generalChain (Draw seed) (50 :: List.replicate 8 200 @ [ 3 ])

                        let plan = planOf network input

                        let exact =
                            Tensor.values input |> Array.map Dyadic.ofFloat |> evaluated network.Node

                        assertEncloses plan.Nominal exact $"seed {seed}"

                        let intervals = EnclosedTensor.evaluate context network input

                        let sum (enclosed: EnclosedTensor) =
                            Array.sum (Tensor.values enclosed.Error)

                        Expect.isLessThan (sum plan.Nominal) (0.1 * sum intervals) $"seed {seed}")
        ]
