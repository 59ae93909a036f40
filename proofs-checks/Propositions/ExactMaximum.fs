/// The constant in the maximum norm (METHODS section 11): branch and bound, enumeration and bounds against each other.
module LipVerify.Propositions.ExactMaximum

open System
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.LowerBounds
open LipVerify.Core.Bounds.Jacobian
open LipVerify.Core.Bounds.Exact.Euclidean
open LipVerify.Core.Bounds.Exact.Maximum
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.Oracles
open LipVerify.Propositions.Exact
open LipVerify.Propositions.NormedBalls
open Expecto
open LipVerify.Propositions.Expectations

let private enumerated (case: NetworkCase) =
    match ExactPatterns.within context Maximum case.Network case.Input case.Radius with
    | Ok bracket -> bracket
    | Error problem -> failwith problem

let private search definition (case: NetworkCase) limit =
    ExactMaximum.bound context definition case.Network case.Input case.Radius 1e-6 limit

/// Rounding, relative to the size of what the constant is computed from: `‖J‖∞ ≤ √n·‖J‖₂`.
let private noise (case: NetworkCase) =
    sqrt (float case.Input.Length) * Exact.noise case

let private covers what (bound: float) (constant: float) (case: NetworkCase) =
    Expect.isGreaterThanOrEqual bound (constant - noise case) $"{what} at {case.Text}"

/// `max_j Σ_k |J_jk|` at a point.
let private rowSum (network: Network) (x: Tensor) =
    let inputs, outputs = x.Length, Shape.size network.OutputShape
    let linear = Linearization.at context network 1 x.Storage

    let columns =
        Array.init inputs (fun j ->
            let pushed =
                linear.Pushforward(HostStorage(Array.init inputs (fun i -> if i = j then 1.0 else 0.0)))

            Tensor.values (Tensor.ofStorage [ outputs ] pushed))

    Array.init outputs (fun i -> columns |> Array.sumBy (fun column -> abs column[i]))
    |> Array.max

/// Two or three hidden layers whose ReLUs mostly change sign in the box, with at most 14 of them.
let private unsettled seed =
    let draw = Draw seed
    let inputs = draw.Int(1, 3)

    let widths =
        draw.Pick
            [
                [ inputs; 7; 6; 1 ]
                [ inputs; 5; 8; 2 ]
                [ inputs; 4; 4; 4; 1 ]
                [ inputs; 3; 5; 4; 2 ]
            ]

    let dense (columns, rows) =
        Step(
            "dense",
            Layer.dense
                (Tensor.ofArray [ rows; columns ] (draw.Gaussians(rows * columns)))
                (Tensor.vector (draw.Gaussians rows))
        )

    {
        Seed = seed
        Network =
            List.pairwise widths
            |> List.collect (fun pair -> [ Step("relu", Layer.relu); dense pair ])
            |> List.tail
            |> build [ inputs ]
        Input = Tensor.vector (draw.Gaussians inputs)
        Radius = radius (draw.Power(-1.0, 0.5))
    }

[<Tests>]
let tests =
    testList
        "ExactMaximum"
        [
            statement
                "Exact in the maximum norm: the enumerated upper end covers Jacobians of samples, the lower end is attained"
                120
                small
                (fun case ->
                    let bracket = enumerated case

                    for x in pointsIn Maximum (Draw case.Seed) 40 (Tensor.values case.Input) case.Radius.Value do
                        covers "a sample" bracket.Upper (rowSum case.Network (Tensor.vector x)) case

                    match bracket.Attained with
                    | None -> Expect.equal bracket.Lower 0.0 "lower"
                    | Some x ->
                        Expect.isWithin (noise case) (rowSum case.Network x) (bracket.Lower) "rowSum case.Network x"

                        let distance =
                            sizeIn Maximum (Array.map2 (-) (Tensor.values x) (Tensor.values case.Input))

                        Expect.isLessThanOrEqual distance (case.Radius.Value * (1.0 + 1e-9) + 1e-14) "distance")

            statement
                "Exact in the maximum norm: both ends of branch and bound meet the constant that enumeration finds"
                120
                small
                (fun case ->
                    let bracket = enumerated case
                    let found = search Uniform case None
                    covers "the upper end" found.Result.Bound.Value bracket.Lower case
                    covers "enumeration" bracket.Upper found.Lower.Value case

                    // Where enumeration leaves no gap, neither does the search, up to what it was asked for.
                    if bracket.Gap < 1e-9 then
                        Expect.isLessThanOrEqual
                            found.Result.Bound.Value
                            (bracket.Upper * (1.0 + 1e-5) + noise case)
                            case.Text

                        Expect.isGreaterThanOrEqual
                            found.Lower.Value
                            (bracket.Lower * (1.0 - 1e-5) - noise case)
                            case.Text)

            statement "Exact in the maximum norm: ended at once, the ends still hold the constant" 80 small (fun case ->
                let bracket = enumerated case
                let found = search Uniform case (Some TimeSpan.Zero)
                covers "the upper end" found.Result.Bound.Value bracket.Lower case
                covers "enumeration" bracket.Upper found.Lower.Value case)

            statement
                "Exact in the maximum norm: never above FastLip, and what samples attain is never above it"
                100
                small
                (fun case ->
                    for definition in [ Nominal; Uniform ] do
                        let found = search definition case None

                        match FastLip.bound context Maximum definition case.Network case.Input case.Radius with
                        | Error problem -> failwith problem
                        | Ok fastLip -> Expect.isLessThanOrEqual found.Result.Bound.Value fastLip.Value "value"

                        covers "the upper end" found.Result.Bound.Value found.Lower.Value case

                    let uniform, nominal = search Uniform case None, search Nominal case None
                    covers "the uniform constant" uniform.Result.Bound.Value nominal.Lower.Value case
                    let center = Tensor.values case.Input
                    let points = pointsIn Maximum (Draw(case.Seed + 1)) 30 center case.Radius.Value

                    slopesIn Maximum case.Network center points
                    |> assertBounds "a slope from the input" (nominal.Result.Bound.Value + noise case)

                    for x, y in Array.pairwise points do
                        slopesIn Maximum case.Network x [| y |]
                        |> assertBounds "a slope" (uniform.Result.Bound.Value + noise case))

            statement
                "Exact in the maximum norm: in general position the nominal ends agree, and are never above the uniform constant"
                120
                small
                (fun case ->
                    let nominal, uniform = search Nominal case None, enumerated case
                    covers "the uniform constant" uniform.Upper nominal.Lower.Value case
                    let upper, lower = nominal.Result.Bound.Value, nominal.Lower.Value

                    // The lower end is a slope less its rounding, which counts the more the smaller the box.
                    let rounding =
                        100.0 * (evaluationErrors case.Network [| Tensor.values case.Input |])[0]
                        / case.Radius.Value

                    // Patterns of which it is not known whether they have a region count in the upper end alone.
                    if uniform.Gap < 1e-9 then
                        Expect.isLessThanOrEqual
                            upper
                            (lower * (1.0 + 1e-5) + 1e3 * noise case + rounding)
                            $"{case.Text}: {nominal.Explanation}")

            statement
                "Exact in the maximum norm: on one input, the nominal constant is the largest slope to a knot or an end"
                150
                (smallOver [ 1 ])
                (fun case ->
                    let center, distance = (Tensor.values case.Input)[0], case.Radius.Value
                    let points = knotPoints case.Network [| center - distance |] [| center + distance |]
                    let slopes = slopesIn Maximum case.Network [| center |] points

                    let largest =
                        slopes
                        |> Array.fold (fun best slope -> max best (slope.Value - slope.Noise)) 0.0

                    let found = search Nominal case None
                    covers "the upper end" found.Result.Bound.Value largest case
                    slopes |> assertBounds "a knot" (found.Result.Bound.Value + noise case))

            statement
                "Exact in the maximum norm: enclosures of deep layers keep every slope that occurs"
                200
                unsettled
                (fun case ->
                    let bracket = enumerated case

                    for limit in [ Some TimeSpan.Zero; None ] do
                        let found = search Uniform case limit
                        covers "the upper end" found.Result.Bound.Value bracket.Lower case
                        covers "enumeration" bracket.Upper found.Lower.Value case)

            testCase "Exact in the maximum norm: within one percent on networks 7-20-30-10 at radius 0.1" (fun () ->
                for seed in 1..3 do
                    let network, input = BranchAndBound.random seed

                    let found = ExactMaximum.bound context Uniform network input (radius 0.1) 1e-2 None

                    stdout.WriteLine
                        $"seed {seed}: [{found.Lower.Value}, {found.Result.Bound.Value}], {found.Explanation}"

                    Expect.isLessThanOrEqual found.Gap 0.01 $"seed {seed}"
                    Expect.isGreaterThanOrEqual found.Result.Bound.Value found.Lower.Value "value")
        ]
