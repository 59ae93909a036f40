/// Proved in proofs-checks/coq/statements/SumRule.v; here it is held against the program.
module LipVerify.Propositions.SumRule

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

/// Dense branches that share their input and the shape of their output.
let private branches seed =
    let draw = Draw seed
    let inputs, outputs = draw.Int(1, 5), draw.Int(1, 5)

    let branch _ =
        let weights = weightMatrix draw outputs inputs

        let affine =
            Layer.dense (Tensor.ofArray [ outputs; inputs ] weights) (Tensor.vector (draw.Gaussians outputs))

        Series(
            Step("affine", affine)
            :: (if draw.Chance 0.5 then [ Step("relu", Layer.relu) ] else [])
        )

    let blocks = List.init (draw.Int(1, 4)) branch
    seed, blocks, nominalInput draw [ inputs ], radius (draw.Power(-2.0, 1.0))

[<Tests>]
let tests =
    testList
        "SumRule"
        [
            statement
                "Sum rule: the sum of the branches' bounds is the bound of their sum, and covers its slopes"
                120
                branches
                (fun (seed, blocks, input, radius) ->
                    let sum = build input.Shape [ Sum blocks ]
                    let center = Tensor.values input

                    for definition in [ Nominal; Uniform ] do
                        let bound blocks =
                            (Analytic.bound context definition (build input.Shape blocks) input radius).Bound

                        let alone = blocks |> List.map (fun block -> bound [ block ])
                        let together = bound [ Sum blocks ]
                        Expect.equal together.Value (Propositions.sumOfBranches alone).Value "value"

                        slopes sum center (candidates (Draw seed) sum center radius.Value)
                        |> assertBounds "a sum" together.Value)

            statement "Sum rule: equal branches attain it" 60 branches (fun (_, blocks, input, radius) ->
                let bound count =
                    (Analytic.bound
                        context
                        Nominal
                        (build input.Shape [ Sum(List.replicate count blocks.Head) ])
                        input
                        radius)
                        .Bound.Value

                Expect.isWithin (1e-14 * bound 3) (bound 3) (3.0 * bound 1) "bound 3")

            statement "Sum rule: a residual connection adds one" 60 branches (fun (_, _, input, radius) ->
                let n = input.Length
                let draw = Draw n

                let layer =
                    Layer.linear (Dense(Dense.create (Tensor.ofArray [ n; n ] (weightMatrix draw n n))))

                let bound blocks =
                    (Analytic.bound context Nominal (build input.Shape blocks) input radius).Bound.Value

                let alone = bound [ Step("affine", layer) ]
                let residual = bound [ Sum [ Step("affine", layer); Series [] ] ]
                Expect.isGreaterThanOrEqual residual (1.0 + alone) "residual"
                Expect.isLessThanOrEqual residual ((1.0 + alone) * (1.0 + 1e-15)) "residual")

            testCase "Sum rule: the radius after a sum is that of the sum" (fun () ->
                // x + x over [−1, 1], then a neuron that only twice the radius reaches.
                let neuron =
                    Layer.dense (Tensor.ofArray [ 1; 1 ] [| 1.0 |]) (Tensor.vector [| -1.5 |])

                let network =
                    build
                        [ 1 ]
                        [
                            Sum [ Series []; Series [] ]
                            Step("neuron", neuron)
                            Step("relu", Layer.relu)
                        ]

                let bound =
                    (Analytic.bound context Nominal network (Tensor.vector [| 0.0 |]) (radius 1.0)).Bound.Value

                // relu(2 − 1.5) / 1.
                Expect.isWithin (1e-8) bound (0.5) "bound")
        ]
