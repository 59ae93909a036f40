/// Proved in proofs-checks/coq/statements/ZeroPropagation.v; here it is held against the program.
module LipVerify.Propositions.ZeroPropagation

open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Core.Bounds
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.Oracles
open Expecto
open LipVerify.Propositions.Expectations

let private points (case: MapCase) =
    samples (Draw case.Seed) 24 (Tensor.values case.Ball.Center) (Tensor.values case.Ball.Mask) case.Ball.Radius.Value

let private preActivations (case: MapCase) bias =
    let nominal =
        LinearMap.applyTo engine case.Map case.Ball.Center
        |> Tensor.map2 (fun b y -> y + b) bias

    Propositions.affineUpperBound engine case.Map nominal case.Ball

[<Tests>]
let tests =
    testList
        "ZeroPropagation"
        [
            statement
                "Zero propagation: outputs off after affine-ReLU are zero at every point of the ball"
                250
                linearMapCase
                (fun case ->
                    let bias = biasOf case
                    let mask = Propositions.zerosAfterRelu (preActivations case bias) |> Tensor.values

                    let affine =
                        build (LinearMap.inputShape case.Map) [ Step("affine", Affine(case.Map, bias)) ]

                    let points = points case

                    if points.Length > 0 then
                        let values, errors = evaluateAll affine points, evaluationErrors affine points

                        for k in 0 .. points.Length - 1 do
                            for i in 0 .. mask.Length - 1 do
                                if mask[i] = 0.0 then
                                    // The pre-activation may pass zero by its rounding alone.
                                    Expect.isLessThanOrEqual (values[k][i]) (2.0 * errors[k]) $"output {i}")

            statement
                "Zero propagation: an output that some point of the ball turns on is on"
                250
                linearMapCase
                (fun case ->
                    let y = preActivations case (biasOf case)
                    let mask = Propositions.zerosAfterRelu y |> Tensor.values

                    Array.map2 (+) (Tensor.values y.Nominal) (Tensor.values y.Reach)
                    |> Array.iteri (fun i upper ->
                        if upper > 0.0 then
                            Expect.equal mask[i] 1.0 $"output {i}"))

            statement
                "Zero propagation: an output that no point of the ball turns on is off"
                250
                linearMapCase
                (fun case ->
                    let y = preActivations case (biasOf case)
                    let mask = Propositions.zerosAfterRelu y |> Tensor.values

                    Array.map2
                        (fun nominal reach -> nominal + reach * (1.0 + 1e-12))
                        (Tensor.values y.Nominal)
                        (Tensor.values y.Reach)
                    |> Array.iteri (fun i upper ->
                        if upper < 0.0 then
                            Expect.equal mask[i] 0 $"output {i}"))

            testCase "Zero propagation: values that left the range of doubles stay on" (fun () ->
                let mask nominal reach =
                    Propositions.zerosAfterRelu
                        {
                            Nominal = Tensor.vector [| nominal |]
                            Reach = Tensor.vector [| reach |]
                        }
                    |> Tensor.values

                for nominal, reach in [ nan, 1.0; nan, infinity; -infinity, infinity; -1.0, infinity ] do
                    Expect.equal ((mask nominal reach)[0]) 1.0 $"{nominal} {reach}")

            statement
                "Zero propagation: a pooled output is off exactly where its whole window is"
                250
                Proposition5.geometry
                (fun g ->
                    let draw = Draw(g.GetHashCode())
                    let inputs = mask draw g.InputSize

                    let pooled =
                        Propositions.zerosAfterMaxPooling engine g (Tensor.ofArray [ g.InputSize ] inputs)
                        |> Tensor.values

                    let expected =
                        windows g
                        |> Array.map (fun w ->
                            if w |> Array.exists (fun i -> inputs[i] = 1.0) then
                                1.0
                            else
                                0.0)

                    Expect.isTrue (pooled = expected) $"{pooled} for {expected}")

            testCase "Zero propagation: a bare affine map turns nothing off" (fun () ->
                Expect.allEqual
                    (Propositions.zerosAfterAffine [ 2; 3 ] |> Tensor.values)
                    1.0
                    "Propositions.zerosAfterAffine [ 2; 3 ] |> Tensor.values")

            testCase "Zero propagation: a sum is off where every branch is" (fun () ->
                let sum =
                    [ [| 0.0; 1.0; 0.0; 1.0 |]; [| 0.0; 0.0; 1.0; 1.0 |] ]
                    |> List.map Tensor.vector
                    |> Propositions.zerosAfterSum

                Expect.isTrue
                    (Tensor.values sum = [| 0.0; 1.0; 1.0; 1.0 |])
                    "Tensor.values sum = [| 0.0; 1.0; 1.0; 1.0 |]")
        ]
