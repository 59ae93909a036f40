/// Enclosed rounding against exact rational arithmetic.
module LipVerify.Tests.CoreEnclosureTests

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Tests.DyadicNumbers
open LipVerify.Propositions.Generators
open Expecto
open LipVerify.Propositions.Expectations

/// `W x + b` exactly.
let private affine (weights: float[]) (bias: float[]) (x: Dyadic[]) =
    bias
    |> Array.mapi (fun i b ->
        (Dyadic.ofFloat b, Seq.indexed x)
        ||> Seq.fold (fun sum (j, xj) ->
            Dyadic.add sum (Dyadic.multiply (Dyadic.ofFloat weights[i * x.Length + j]) xj)))

[<Tests>]
let tests =
    testList
        "CoreEnclosure"
        [
            statement
                "exact values of deep networks lie inside the enclosure of the computed ones"
                150
                Draw
                (fun draw ->
                    let scale = draw.Pick [ 1.0; 1e-150; 1e150; draw.Power(-20.0, 20.0) ]
                    let sizes = List.init (draw.Int(2, 6)) (fun _ -> draw.Int(1, 12))

                    let weight () =
                        draw.Pick
                            [
                                0.0
                                1.0
                                draw.Real(-1.0, 1.0)
                                draw.Real(-1.0, 1.0) * draw.Power(-12.0, 12.0)
                            ]

                    let layers =
                        List.pairwise sizes
                        |> List.mapi (fun i (inputs, outputs) ->
                            let factor = if i = 0 then scale else 1.0

                            Array.init (outputs * inputs) (fun _ -> factor * weight ()),
                            Array.init outputs (fun _ -> factor * weight ()))

                    let blocks =
                        layers
                        |> List.collect (fun (weights, bias) ->
                            let tensor = Tensor.ofArray [ bias.Length; weights.Length / bias.Length ] weights

                            [
                                Step("fc", Layer.dense tensor (Tensor.vector bias))
                                Step("relu", Layer.relu)
                            ])

                    match Network.create [ sizes.Head ] (Series blocks) with
                    | Error problem -> failwith problem
                    | Ok network ->
                        let input = Array.init sizes.Head (fun _ -> weight ())

                        let enclosed =
                            (EnclosedTensor.exact (Tensor.vector input), Network.layers network)
                            ||> List.fold (fun enclosed layer -> EnclosedTensor.apply engine layer enclosed)

                        let exact =
                            (Array.map Dyadic.ofFloat input, layers)
                            ||> List.fold (fun x (weights, bias) -> affine weights bias x |> Array.map Dyadic.rectify)

                        Array.iteri2
                            (fun i value error ->
                                Expect.isTrue
                                    (Dyadic.isWithin error value exact[i])
                                    $"output {i}: {value:R} ± {error:R}")
                            (Tensor.values enclosed.Value)
                            (Tensor.values enclosed.Error))

            statement "errors stay near the unit roundoff of the magnitudes" 50 Draw (fun draw ->
                let n = draw.Int(1, 60)
                let weights = draw.Gaussians(n * n)

                let layer =
                    Layer.dense (Tensor.ofArray [ n; n ] weights) (Tensor.vector (draw.Gaussians n))

                match Network.create [ n ] (Step("fc", layer)) with
                | Error problem -> failwith problem
                | Ok network ->
                    let input = draw.Gaussians n

                    let enclosed =
                        EnclosedTensor.apply
                            engine
                            (Network.layers network).Head
                            (EnclosedTensor.exact (Tensor.vector input))

                    // γ_n Σ|w||x| with Σ|w||x| of the order of n, and 2u|y|.
                    let ceiling = 10.0 * float (n * n + 10) * Rounding.unitRoundoff

                    Expect.isLessThan
                        (Tensor.values enclosed.Error |> Array.max)
                        ceiling
                        "Tensor.values enclosed.Error |> Array.max")

            testCase "outputs that rounding cannot lift above zero are exactly zero after a ReLU" (fun () ->
                let layer =
                    Layer.dense (Tensor.ofArray [ 2; 1 ] [| -1.0; 0.0 |]) (Tensor.vector [| 0.0; 0.0 |])

                match Network.create [ 1 ] (Series [ Step("fc", layer); Step("relu", Layer.relu) ]) with
                | Error problem -> failwith problem
                | Ok network ->
                    let enclosed =
                        (EnclosedTensor.exact (Tensor.vector [| 0.3 |]), Network.layers network)
                        ||> List.fold (fun enclosed layer -> EnclosedTensor.apply engine layer enclosed)

                    Expect.all (Tensor.values enclosed.Error) ((=) 0.0) "no error"
                    Expect.all (Tensor.values enclosed.Value) ((=) 0.0) "value")

            testCase "products that underflow in the enclosure itself are not taken for zero" (fun () ->
                // The sum of a thousand products of 2^-1075 is 250·2^-1074·2: positive, though every product rounds to 0.
                let n = 1000
                let tiny, input = Math.ScaleB(1.0, -576), Math.ScaleB(1.0, -499)
                let layer = Layer.linear (Dense(Dense.create (Tensor.create [ 1; n ] tiny)))

                match Network.create [ n ] (Step("fc", layer)) with
                | Error problem -> failwith problem
                | Ok network ->
                    let enclosed = EnclosedTensor.evaluate context network (Tensor.create [ n ] input)
                    let upper = (Tensor.values (EnclosedTensor.upperEnd enclosed))[0]
                    Expect.isGreaterThanOrEqual upper (500.0 * Double.Epsilon) "upper")
        ]
