/// The ends of the method exact where rounding and branching are put to the test (METHODS section 11): kinks on the input and beside it,
/// weights many powers of ten apart, slivers between kinks, and networks whose kinks all meet in the input.
module LipVerify.Propositions.ExactEnds

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Bounds.Exact.Euclidean
open LipVerify.Core.Bounds.Exact.Maximum
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open Expecto
open LipVerify.Propositions.Expectations

let private chain (layers: (float list list * float list) list) =
    let dense (rows: float list list, bias: float list) =
        Step(
            "dense",
            Layer.dense
                (Tensor.ofArray [ rows.Length; rows.Head.Length ] (rows |> Seq.concat |> Array.ofSeq))
                (Tensor.vector (Array.ofList bias))
        )

    layers
    |> List.collect (fun layer -> [ Step("relu", Layer.relu); dense layer ])
    |> List.tail
    |> build [ (fst layers.Head).Head.Length ]

/// Both ends by the method exact, in the 2-norm and in the maximum norm.
let private ends definition network (input: float list) distance =
    let input = Tensor.vector (Array.ofList input)
    let goal, limit = 1e-3, Some(TimeSpan.FromSeconds 60.0)

    [
        Euclidean, ExactSearch.bound context definition network input (radius distance) goal limit
        Maximum, ExactMaximum.bound context definition network input (radius distance) goal limit
    ]

let private assertEnds what (constant: float) (found: (Norm * ExactSearchResult) list) =
    for norm, result in found do
        let text = $"{what}, {norm}: {result.Explanation}"
        Expect.isGreaterThanOrEqual result.Result.Bound.Value constant text
        Expect.isWithin (0.002 * constant) result.Result.Bound.Value constant text
        Expect.isWithin (0.002 * constant) result.Lower.Value constant text

[<Tests>]
let tests =
    testList
        "ExactEnds"
        [
            testCase "Exact ends: a ramp beside the input is crossed, however short" (fun () ->
                // relu(x) − relu(x − d): slope 1 from 0 to d and 0 beyond.
                for d in [ 1e-3; 1e-9; 1e-12; 1e-15; 1e-30; 1e-60 ] do
                    let ramp = chain [ [ [ 1.0 ]; [ 1.0 ] ], [ 0.0; -d ]; [ [ 1.0; -1.0 ] ], [ 0.0 ] ]

                    for distance in [ d / 2.0; 1.0; 1e10 ] do
                        ends Nominal ramp [ 0.0 ] distance |> assertEnds $"a ramp of {d}" 1.0

                    // From a step further off the ramp is less steep.
                    ends Nominal ramp [ -d ] (8.0 * d) |> assertEnds $"before a ramp of {d}" 0.5)

            testCase "Exact ends: kinks on the input are not crossed" (fun () ->
                // relu(x) − relu(2x)/2 is 0; with kinks beside the input its slope would be 1.
                let nothing =
                    chain [ [ [ 1.0 ]; [ 2.0 ] ], [ 0.0; 0.0 ]; [ [ 1.0; -0.5 ] ], [ 0.0 ] ]

                for _, result in ends Nominal nothing [ 0.0 ] 1.0 do
                    Expect.isLessThan result.Result.Bound.Value 1e-12 "value")

            testCase "Exact ends: neurons that are equal after rounding are not taken for one" (fun () ->
                // relu(x + 1 + d) − relu(x + 1), around 1: where the kinks lie, at −1 − d and −1, the sums round to the same numbers.
                let d = 1e-17
                let sliver = chain [ [ [ 1.0 ]; [ 1.0 ] ], [ d; 0.0 ]; [ [ 1.0; -1.0 ] ], [ 0.0 ] ]

                ends Uniform sliver [ 1.0 ] 2.0
                |> List.iter (fun (norm, result) ->
                    Expect.isGreaterThanOrEqual result.Result.Bound.Value 1.0 $"{norm}"))

            testCase "Exact ends: scales far from 1 change the constant by their product alone" (fun () ->
                let draw = Draw 5

                for _ in 1..20 do
                    let rows outputs inputs =
                        List.init outputs (fun _ -> List.init inputs (fun _ -> draw.Gaussian()))

                    let first, second = rows 4 2, rows 2 4
                    let bias = List.init 4 (fun _ -> 0.3 * draw.Gaussian())
                    let input = [ draw.Gaussian(); draw.Gaussian() ]
                    let a, b = draw.Int(-480, 480), draw.Int(-480, 480)

                    let scaled exponent =
                        List.map (List.map (fun x -> Math.ScaleB(x, exponent)))

                    let plain = chain [ first, bias; second, [ 0.0; 0.0 ] ]

                    let extreme =
                        chain
                            [
                                scaled a first, bias |> List.map (fun x -> Math.ScaleB(x, a))
                                scaled b second, [ 0.0; 0.0 ]
                            ]

                    for definition in [ Nominal; Uniform ] do
                        for (norm, expected), (_, found) in
                            List.zip (ends definition plain input 0.5) (ends definition extreme input 0.5) do
                            let unit x = Math.ScaleB(x, -a - b)

                            Expect.isWithin
                                (0.002 * expected.Result.Bound.Value)
                                (unit found.Result.Bound.Value)
                                expected.Result.Bound.Value
                                $"{norm} {definition}"

                            Expect.isGreaterThanOrEqual
                                (unit found.Result.Bound.Value)
                                (expected.Lower.Value * (1.0 - 1e-9))
                                $"{norm} {definition}")

            testCase "Exact ends: networks whose kinks all meet in the input close" (fun () ->
                for seed in 1..12 do
                    let draw = Draw seed
                    let inputs, widths = draw.Pick [ 2, [ 6 ]; 3, [ 7 ]; 2, [ 5; 4 ]; 3, [ 5; 3 ] ]

                    let rows outputs inputs =
                        List.init outputs (fun _ -> List.init inputs (fun _ -> draw.Gaussian()))

                    let network =
                        (inputs :: widths @ [ 2 ])
                        |> List.pairwise
                        |> List.map (fun (inputs, outputs) -> rows outputs inputs, List.replicate outputs 0.0)
                        |> chain

                    for definition in [ Nominal; Uniform ] do
                        for norm, result in ends definition network (List.replicate inputs 0.0) 1.0 do
                            Expect.isLessThan
                                result.Gap
                                2e-3
                                $"seed {seed}, {norm}, {definition}: {result.Explanation}")

            testCase "Exact ends: layers that do not fold into one without rounding are not branched" (fun () ->
                // relu(x − 3·(1e16 + 2) + 3e16) is relu(x − 6), with a slope of 1 up to 7; 3e16 + 6 is no double.
                let step rows bias =
                    Step(
                        "dense",
                        Layer.dense
                            (Tensor.ofArray
                                [ List.length rows; List.length (List.head rows) ]
                                (rows |> List.concat |> Array.ofList))
                            (Tensor.vector (Array.ofList bias))
                    )

                let network =
                    build
                        [ 1 ]
                        [
                            step [ [ 1.0 ]; [ 0.0 ] ] [ 0.0; 1e16 + 2.0 ]
                            step [ [ 1.0; -3.0 ] ] [ 3e16 ]
                            Step("relu", Layer.relu)
                            step [ [ 1.0 ] ] [ 0.0 ]
                        ]

                for norm, result in ends Uniform network [ 0.0 ] 7.0 do
                    Expect.isGreaterThanOrEqual result.Result.Bound.Value 1.0 $"{norm}: {result.Explanation}")

            testCase
                "Exact ends: a kink beside the input that no double tells from one on it is not taken for it"
                (fun () ->
                    let e, t = Math.ScaleB(1.0, -52), Math.ScaleB(1.0, -1060)

                    let network =
                        chain
                            [
                                [
                                    [ 1.0; 0.0; 0.0 ]
                                    [ 0.0; 1.0; 0.0 ]
                                    [ 0.0; 0.0; 1.0 + e ]
                                    [ 0.0; 0.0; 1.0 ]
                                ],
                                [ 3.0; 3.0; 0.0; e ]
                                [ [ 1.0; 0.0; t; -t ]; [ 0.0; 1.0; t; -t ] ], [ -3.0; -3.0 ]
                                [ [ 1.0; -1.0 ] ], [ 0.0 ]
                            ]

                    // At the input both ReLUs of the second layer are on, if by 2⁻¹¹¹² alone: the Jacobian is (1, −1, 0).
                    for norm, result in ends Nominal network [ 0.0; 0.0; 1.0 + e ] 0.5 do
                        let constant = if norm = Maximum then 2.0 else sqrt 2.0
                        Expect.isGreaterThanOrEqual result.Result.Bound.Value constant $"{norm}: {result.Explanation}")

            testCase "Exact ends: neurons along one direction, with a kink beside the input" (fun () ->
                for seed in 1..60 do
                    let draw = Draw seed
                    let along, weights = draw.Gaussians 4, draw.Gaussians 4
                    let speed = sqrt (along |> Array.sumBy (fun x -> x * x))
                    let kink = draw.Pick [ 1.0; -1.0 ] * draw.Power(-14.0, -6.0)

                    let rows =
                        weights
                        |> Array.map (fun w -> along |> Array.map (fun x -> w * x) |> List.ofArray)
                        |> List.ofArray
                    // Only the first neuron changes sign in the ball.
                    let bias =
                        [
                            kink * weights[0] * speed
                            9.0 * weights[1]
                            9.0 * weights[2]
                            -9.0 * weights[3]
                        ]

                    let outputs = draw.Gaussians 4
                    let network = chain [ rows, bias; [ List.ofArray outputs ], [ 0.0 ] ]

                    // On either side the network is affine and as steep as its weights say.
                    let slope isOn =
                        Array.init 4 (fun i -> if isOn i then outputs[i] * weights[i] * speed else 0.0)
                        |> Array.sum
                        |> abs

                    let rest i = i > 0 && bias[i] > 0.0
                    let steepest = max (slope rest) (slope (fun i -> i = 0 || rest i))
                    let _, result = ends Nominal network [ 0.0; 0.0; 0.0; 0.0 ] 0.1 |> List.head
                    let text = $"seed {seed}: {result.Explanation}"
                    Expect.isGreaterThanOrEqual result.Result.Bound.Value (steepest * (1.0 - 1e-4)) text
                    Expect.isLessThanOrEqual result.Result.Bound.Value (steepest * (1.0 + 2e-3)) text)

            testCase "Exact ends: far from a kink beside the input, both ends of a line through it are tried" (fun () ->
                // All rows go along one direction. From the kink, 2e-14 radii off, the steeper side begins.
                let network =
                    chain
                        [
                            [
                                [
                                    0.33247337214755157
                                    0.6998319486013733
                                    2.2589823622634944
                                    -0.05225790354937014
                                ]
                                [
                                    0.028566729098707368
                                    0.060130859687143684
                                    0.19409595651136868
                                    -0.004490096046845864
                                ]
                                [
                                    0.4004029181011504
                                    0.8428186371450072
                                    2.7205280349125673
                                    -0.0629350162386241
                                ]
                                [
                                    -0.3037084354969281
                                    -0.6392838766232453
                                    -2.063539689288928
                                    0.04773665339516259
                                ]
                            ],
                            [ 0.3900927946902717; -0.14433835242614942; 0.7087210647200777; 0.0 ]
                            [
                                [
                                    0.04238491359051933
                                    -0.3006571919738881
                                    -0.041492648917705224
                                    -1.3536552157528374
                                ]
                                [
                                    -0.045228921637027124
                                    0.3208311501297315
                                    0.044276786418442564
                                    1.4444848529910135
                                ]
                            ],
                            [ 0.0; 0.0 ]
                        ]

                let _, result =
                    ends Nominal network [ 1.0; 2.0; 0.0; 1.0 ] 0.12752504018574345 |> List.head

                Expect.isWithin 1e-8 result.Result.Bound.Value (0.116742088) "value")
        ]
