/// Branch and bound (METHODS section 11) against the enumeration of patterns.
module LipVerify.Propositions.BranchAndBound

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Bounds.Multipliers
open LipVerify.Core.Bounds.Exact.Euclidean
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.Exact
open Expecto
open LipVerify.Propositions.Expectations

let private search definition (case: NetworkCase) limit =
    ExactSearch.bound context definition case.Network case.Input case.Radius 1e-6 limit

/// A network 7-20-30-10 and an input.
let random seed =
    let draw = Draw seed

    let dense inputs outputs =
        let scale = 1.0 / sqrt (float inputs)

        let values count =
            Array.init count (fun _ -> draw.Real(-scale, scale))

        Step(
            "dense",
            Layer.dense
                (Tensor.ofArray [ outputs; inputs ] (values (inputs * outputs)))
                (Tensor.vector (values outputs))
        )

    let network =
        build
            [ 7 ]
            [
                dense 7 20
                Step("relu", Layer.relu)
                dense 20 30
                Step("relu", Layer.relu)
                dense 30 10
            ]

    network, Tensor.vector (draw.Gaussians 7)

[<Tests>]
let tests =
    testList
        "BranchAndBound"
        [
            statement "Branch and bound: both ends meet the constant that enumeration finds" 60 small (fun case ->
                let bracket = exact case
                let found = search Uniform case None
                assertCovers "the upper end" found.Result.Bound.Value bracket.Lower case
                assertCovers "enumeration" bracket.Upper found.Lower.Value case

                // Where enumeration leaves no gap, neither does the search, up to what it was asked for.
                if bracket.Gap < 1e-9 then
                    Expect.isLessThanOrEqual
                        found.Result.Bound.Value
                        (bracket.Upper * (1.0 + 1e-5) + noise case)
                        "value")

            statement "Branch and bound: ended at once, the ends still hold the constant" 60 small (fun case ->
                let bracket = exact case
                let found = search Uniform case (Some TimeSpan.Zero)
                assertCovers "the upper end" found.Result.Bound.Value bracket.Lower case
                assertCovers "enumeration" bracket.Upper found.Lower.Value case)

            statement
                "Branch and bound: the nominal ends lie between what is attained and local LipSDP"
                40
                small
                (fun case ->
                    let found = search Nominal case None
                    let bracket = exact case

                    let localLipSdp =
                        (LocalLipSdp.bound context Nominal case.Network case.Input case.Radius None).Result.Bound.Value

                    Expect.isLessThanOrEqual found.Result.Bound.Value (localLipSdp * (1.0 + 1e-9)) "value"
                    assertCovers "the upper end" found.Result.Bound.Value found.Lower.Value case
                    assertCovers "enumeration" bracket.Upper found.Lower.Value case)

            statement "Branch and bound: networks of any kind have sound ends" 40 network (fun case ->
                for definition in [ Nominal; Uniform ] do
                    let found =
                        ExactSearch.bound
                            context
                            definition
                            case.Network
                            case.Input
                            case.Radius
                            1e-2
                            (Some TimeSpan.Zero)

                    if Double.IsFinite found.Result.Bound.Value then
                        assertCovers "the upper end" found.Result.Bound.Value found.Lower.Value case)

            testCase "Branch and bound: within one percent on networks 7-20-30-10 at radius 0.1" (fun () ->
                for seed in 1..3 do
                    let network, input = random seed
                    let found = ExactSearch.bound context Uniform network input (radius 0.1) 1e-2 None

                    stdout.WriteLine
                        $"seed {seed}: [{found.Lower.Value}, {found.Result.Bound.Value}], {found.Explanation}"

                    Expect.isLessThanOrEqual found.Gap 0.01 $"seed {seed}"
                    Expect.isGreaterThanOrEqual found.Result.Bound.Value found.Lower.Value "value")
        ]
