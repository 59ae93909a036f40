/// The structured bound (METHODS section 14), held against slopes, lower ends and coarser bounds.
/// Proved in proofs-checks/coq/statements/Structured.v.
module LipVerify.Propositions.Structured

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.LowerBounds
open LipVerify.Core.Bounds.Analytic
open LipVerify.Core.Bounds.Structured
open LipVerify.Core.Bounds.Exact.Euclidean
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.Oracles
open Expecto
open LipVerify.Propositions.Expectations

let private boundOf definition (case: NetworkCase) =
    Structured.bound context definition case.Network case.Input case.Radius

let private dense (rows: float list list) (bias: float list) =
    Step(
        "dense",
        Layer.dense
            (Tensor.ofArray [ rows.Length; rows.Head.Length ] (rows |> Seq.concat |> Array.ofSeq))
            (Tensor.vector (Array.ofList bias))
    )

let private relu = Step("relu", Layer.relu)

let private assertCovers definition (case: NetworkCase) (bound: float) =
    match definition with
    | Nominal -> assertCoversSamples bound case
    | Uniform -> assertCoversPairs bound case

/// Dense chains whose nominal input lies on kinks, ties and dead neurons, with layers from 2^-480 to 2^480.
let private hardChain seed =
    let draw = Draw seed
    let widths = [ draw.Int(1, 3); draw.Int(1, 5); draw.Int(1, 4); draw.Int(1, 3) ]
    let input = nominalInput draw [ widths.Head ]
    let distance = draw.Power(-6.0, 1.0)
    let mutable value = Tensor.values input

    let layers =
        [
            for inputs, outputs in List.pairwise widths do
                let scale =
                    if draw.Chance 0.4 then
                        Math.ScaleB(1.0, draw.Int(-480, 480))
                    else
                        1.0

                let weights = weightMatrix draw outputs inputs |> Array.map (fun w -> scale * w)

                let y =
                    weights
                    |> Array.chunkBySize inputs
                    |> Array.map (fun row -> Array.map2 (*) row value |> Array.sum)

                let size = y |> Array.fold (fun best x -> max best (abs x)) (scale * distance)

                let bias =
                    y
                    |> Array.map (fun y ->
                        match draw.Int(0, 4) with
                        | 0 -> -y
                        | 1 -> 0.0
                        | 2 -> -y - size * draw.Real(0.0, 2.0)
                        | _ -> size * draw.Gaussian())

                value <- Array.map2 (fun y b -> max 0.0 (y + b)) y bias

                if List.forall Double.IsFinite (List.ofArray bias) then
                    Step("dense", Layer.dense (Tensor.ofArray [ outputs; inputs ] weights) (Tensor.vector bias))
                else
                    Step(
                        "dense",
                        Layer.dense (Tensor.ofArray [ outputs; inputs ] weights) (Tensor.create [ outputs ] 0.0)
                    )
        ]

    {
        Seed = seed
        Network = build [ widths.Head ] (layers |> List.collect (fun layer -> [ relu; layer ]) |> List.tail)
        Input = input
        Radius = radius distance
    }

[<Tests>]
let tests =
    testList
        "Structured"
        [
            testCase "Structured: no slope is above the bound, and Algorithm 1's is not below it" (fun () ->
                let mutable finer = 0

                check 60 network (fun case ->
                    for definition in [ Nominal; Uniform ] do
                        let found = boundOf definition case
                        assertCovers definition case found.Result.Bound.Value

                        let analytic =
                            (Analytic.bound context definition case.Network case.Input case.Radius).Bound.Value

                        // The two analytic bounds have draws of their own where norms are random.
                        Expect.isTrue
                            (found.Result.Bound.Value <= analytic * (1.0 + 1e-2)
                             || found.Result.Bound.Value.Equals analytic)
                            case.Text

                        if found.Result.Bound.Value < 0.99 * analytic then
                            finer <- finer + 1)

                Expect.isGreaterThan finer 10 "finer")

            statement "Structured: the bound is above both ends of other methods" 40 hardChain (fun case ->
                for definition in [ Nominal; Uniform ] do
                    let bound = (boundOf definition case).Result.Bound.Value

                    let ascent =
                        LowerBounds.gradientAscent
                            context
                            Euclidean
                            definition
                            case.Network
                            (RestrictedBall.whole case.Input case.Radius)
                            { Effort.thorough with
                                Starts = 8
                                Rounds = 3
                                Steps = 20
                            }

                    if not (Double.IsNaN bound) then
                        Expect.isGreaterThanOrEqual bound ascent.Value $"{definition} of {case.Text}"

                    let exact =
                        ExactSearch.bound
                            context
                            definition
                            case.Network
                            case.Input
                            case.Radius
                            1e-2
                            (Some(TimeSpan.FromSeconds 0.3))

                    Expect.isGreaterThanOrEqual bound (exact.Lower.Value) $"{definition} of {case.Text}")

            statement
                "Structured: over all inputs no pair is above the bound, and the product of layers is not below it"
                40
                network
                (fun case ->
                    let bound = (Structured.``global`` context case.Network).Result.Bound.Value
                    assertCoversPairs bound case
                    let product = (Global.bound context case.Network).Bound.Value
                    Expect.isTrue (bound <= product * (1.0 + 1e-2) || bound.Equals product) case.Text)

            testCase "Structured: weights whose squares underflow still reach their kinks" (fun () ->
                // 1e170·relu(1e-170 x − 1e-171) is 0 at 0 and rises with slope 1 from 0.1 on; x/2 rises everywhere.
                let network =
                    build
                        [ 1 ]
                        [
                            Sum
                                [
                                    Series [ dense [ [ 1e-170 ] ] [ -1e-171 ]; relu; dense [ [ 1e170 ] ] [ 0.0 ] ]
                                    Series [ dense [ [ 0.5 ] ] [ 0.0 ] ]
                                ]
                        ]

                for definition, slope in [ Nominal, 1.4; Uniform, 1.5 ] do
                    let found =
                        Structured.bound context definition network (Tensor.vector [| 0.0 |]) (radius 1.0)

                    Expect.isGreaterThanOrEqual found.Result.Bound.Value (slope * (1.0 - 1e-12)) $"{definition}")

            testCase "Structured: one linear map is its norm, and a point is Algorithm 1's" (fun () ->
                let network = build [ 2 ] [ dense [ [ 3.0; 0.0 ]; [ 0.0; 4.0 ] ] [ 1.0; -1.0 ] ]
                let at = Tensor.vector [| 1.0; 2.0 |]

                for definition in [ Nominal; Uniform ] do
                    for distance in [ 0.0; 1e-300; 1.0; 1e300 ] do
                        let value =
                            (Structured.bound context definition network at (radius distance)).Result.Bound.Value

                        Expect.isGreaterThanOrEqual value 4.0 "value"
                        Expect.isWithin 0.1 value (4.0) "value")

            testCase "Structured: behind thirty layers with shortcuts the bound is near what is attained" (fun () ->
                for seed in 1..4 do
                    let struct (network, input) = residualChain (Draw seed)
                    let radius = radius 1e-6

                    let found =
                        (Structured.bound context Nominal network input radius).Result.Bound.Value

                    let ball = RestrictedBall.whole input radius

                    match NominalJacobian.lowerBound context Euclidean network ball with
                    | Error _ -> failtest $"seed {seed} has its input on a kink"
                    | Ok attained ->
                        Expect.isGreaterThanOrEqual found attained.Value $"seed {seed}"
                        Expect.isLessThanOrEqual found (1.01 * attained.Value) $"seed {seed}")

            testCase "Structured: networks without maps, without open slopes and without live ones" (fun () ->
                let at = Tensor.vector [| 1.0; -1.0; 0.0 |]

                for name, blocks, slope in
                    [
                        "a relu alone", [ relu ], 1.0
                        "two relus", [ relu; relu ], 1.0
                        "dead", [ dense [ [ 1.0; 1.0; 1.0 ] ] [ -100.0 ]; relu ], 0.0
                        "dead on the kink", [ dense [ [ 0.0; 0.0; 0.0 ] ] [ 0.0 ]; relu ], 0.0
                        "a sum with the identity", [ Sum [ Series [ relu ]; Series [ Step("same", Identity) ] ] ], 2.0
                    ] do
                    for definition in [ Nominal; Uniform ] do
                        let network = build [ 3 ] blocks

                        let value =
                            (Structured.bound context definition network at (radius 0.5)).Result.Bound.Value

                        Expect.isGreaterThanOrEqual value slope $"{name}, {definition}"
                        Expect.isLessThanOrEqual value (slope + 0.01) $"{name}, {definition}"

                    let everywhere =
                        (Structured.``global`` context (build [ 3 ] blocks)).Result.Bound.Value

                    Expect.isGreaterThanOrEqual everywhere slope name)

            testCase "Structured: a lead that rounding may have made up certifies nothing" (fun () ->
                let network = build [ 2 ] [ dense [ [ 1.0; 0.0 ]; [ 0.0; 1.0 ] ] [ 0.0; 0.0 ] ]

                for rival in [ 1.0; Math.BitDecrement 1.0 ] do
                    let input = Tensor.vector [| 1.0; rival |]

                    Expect.equal
                        (StructuredMargins.lost context Nominal network input (radius 1e-300) 0)
                        None
                        "StructuredMargins.lost context Nominal network input (radius 1e-300) 0"

                let input = Tensor.vector [| 1.0; 0.5 |]
                let lost = StructuredMargins.lost context Nominal network input (radius 0.1) 0
                Expect.isGreaterThanOrEqual lost.Value (0.2 * sqrt 2.0) "value"
                Expect.isLessThan lost.Value 0.3 "value")
        ]
