/// Multipliers of a chain layer by layer (METHODS section 15) with slopes over a ball and in intervals of any kind: held against exact constants,
/// slopes that are attained, products of slopes, Algorithm 1 and the multipliers of one matrix.
module LipVerify.Propositions.Eclipse

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Core.LowerBounds
open LipVerify.Core.Bounds.Analytic
open LipVerify.Core.Bounds.Multipliers.DeepChains
open LipVerify.Core.Bounds.Multipliers
open LipVerify.Core.Bounds.Exact.Euclidean
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.Oracles
open Expecto
open LipVerify.Propositions.Expectations

let private both = [ InClosedForm; AllTogether ]

let private definitions = [ Nominal; Uniform ]

/// A search stops where a stage gains less than 1e-4; what is left is a multiple of that.
let private gap = 1e-3

let private chainOf network =
    match MultiplierChain.ofNetwork engine network with
    | Ok chain -> chain
    | Error problem -> failwith problem

/// What multipliers prove by themselves, with slopes that rest on what they prove of the layers before and on nothing else; none where values
/// leave the range of doubles.
let private alone multipliers definition (case: NetworkCase) =
    let chain = chainOf case.Network

    let norms =
        (Global.bound context case.Network).Layers
        |> List.map (fun layer -> layer.Index, layer.Lipschitz.Value)
        |> Map.ofList

    let ball =
        InBall
            {
                Definition = definition
                Input = case.Input
                Radius = case.Radius
                Enclosures = Map.empty
                Norms = fun index -> norms[index]
            }

    match multipliers with
    | InClosedForm -> ChainLipSdp.closedForm context chain case.Network ball
    | AllTogether -> ChainLipSdp.together context false chain case.Network ball
    |> Result.toOption
    |> Option.map (fun found ->
        Expect.equal found.Bound.Rigor Certified "rigor"
        found.Bound.Value)

let private local multipliers definition (case: NetworkCase) =
    match Eclipse.local context multipliers definition case.Network case.Input case.Radius with
    | Ok found -> found
    | Error problem -> failwith problem

let private everywhere multipliers network =
    match Eclipse.``global`` context multipliers network with
    | Ok found -> found
    | Error problem -> failwith problem

/// Chains of up to seven layers, of widths from 1: zero rows, duplicates, layers that are never active, inputs on kinks, scales.
let private deeper seed =
    let draw = Draw seed
    let inputs = draw.Int(1, 3)
    let input = nominalInput draw [ inputs ]

    let widths =
        inputs :: [ for _ in 1 .. draw.Int(1, 6) -> draw.Int(1, 5) ]
        @ [ draw.Int(1, 3) ]

    {
        Seed = seed
        Network = Exact.ugly draw widths (Tensor.values input)
        Input = input
        Radius =
            radius (
                match draw.Int(0, 9) with
                | 0 -> 1e-6
                | 1 -> 1e3
                | _ -> draw.Power(-2.5, 1.0)
            )
    }

/// Dense layers with biases of their own.
let private chain (layers: (float[][] * float[]) list) =
    let inputs = layers |> List.head |> fst |> Array.head |> Array.length

    layers
    |> List.collect (fun (rows, bias) ->
        [
            Step("relu", Layer.relu)
            Step(
                "dense",
                Layer.dense (Tensor.ofArray [ rows.Length; rows[0].Length ] (Array.concat rows)) (Tensor.vector bias)
            )
        ])
    |> List.tail
    |> build [ inputs ]

/// `A B` by rows.
let private product (a: float[][]) (b: float[][]) =
    a
    |> Array.map (fun row ->
        Array.init b[0].Length (fun j -> Array.fold2 (fun sum x (other: float[]) -> sum + x * other[j]) 0.0 row b))

let private rowsOf (map: ChainMatrix) =
    Array.chunkBySize map.Columns map.Values

[<Tests>]
let tests =
    testList
        "Eclipse"
        [
            statement
                "eclipse: multipliers by themselves cover the exact uniform constant in a ball"
                150
                Exact.small
                (fun case ->
                    let exact = Exact.exact case

                    for multipliers in both do
                        alone multipliers Uniform case
                        |> Option.iter (fun bound -> Exact.assertCovers $"{multipliers}" bound exact.Lower case))

            statement
                "eclipse: multipliers by themselves cover the exact nominal constant"
                120
                (Exact.smallOver [ 1; 2; 3 ])
                (fun case ->
                    match ExactPairs.local context case.Network case.Input case.Radius with
                    | Error problem -> Expect.stringContains problem "faces" "problem"
                    | Ok exact ->
                        for multipliers in both do
                            alone multipliers Nominal case
                            |> Option.iter (fun bound -> Exact.assertCovers $"{multipliers}" bound exact.Lower case))

            testCase
                "eclipse: multipliers by themselves cover samples, lines and their knots, and prove a bound of almost all chains"
                (fun () ->
                    let mutable proofs = 0

                    check 150 deeper (fun case ->
                        for multipliers in both do
                            alone multipliers Nominal case
                            |> Option.iter (fun bound ->
                                proofs <- proofs + 1
                                assertCoversSamples bound case)

                            alone multipliers Uniform case
                            |> Option.iter (fun bound ->
                                proofs <- proofs + 1
                                assertCoversPairs bound case))

                    Expect.isGreaterThan proofs 570 "proofs")

            statement "eclipse: bounds cover what gradient ascent reaches" 40 deeper (fun case ->
                for definition in definitions do
                    let reached =
                        LowerBounds.best
                            { context with Seed = case.Seed }
                            Euclidean
                            definition
                            case.Network
                            (RestrictedBall.whole case.Input case.Radius)
                            { Starts = 6; Rounds = 2; Steps = 6 }

                    // Both sides enclose their rounding, so that no tolerance is needed.
                    if reached.Rigor = Certified then
                        for multipliers in both do
                            Expect.isLessThanOrEqual
                                reached.Value
                                (local multipliers definition case).Result.Bound.Value
                                case.Text

                            Expect.isLessThanOrEqual
                                reached.Value
                                (everywhere multipliers case.Network).Result.Bound.Value
                                case.Text)

            testCase
                "eclipse: never above Algorithm 1, the product of norms, the closed form and the bound over all inputs"
                (fun () ->
                    let mutable tighter = 0

                    check 80 deeper (fun case ->
                        let product = (Global.bound context case.Network).Bound.Value

                        let fast, together =
                            everywhere InClosedForm case.Network, everywhere AllTogether case.Network

                        Expect.isLessThanOrEqual fast.Result.Bound.Value product "closed form"
                        // Closed forms are among what the search begins with.
                        Expect.isLessThanOrEqual together.Result.Bound.Value fast.Result.Bound.Value "together"

                        for definition in definitions do
                            let fast, together =
                                local InClosedForm definition case, local AllTogether definition case

                            let analytic =
                                (Analytic.bound context definition case.Network case.Input case.Radius).Bound.Value

                            for found in [ fast; together ] do
                                Expect.isLessThanOrEqual found.Result.Bound.Value (analytic * (1.0 + 1e-7)) case.Text

                            Expect.isLessThanOrEqual
                                together.Result.Bound.Value
                                ((everywhere AllTogether case.Network).Result.Bound.Value * (1.0 + gap))
                                case.Text

                            // Slopes of the closed form rest on coarser enclosures.
                            Expect.isLessThanOrEqual
                                together.Result.Bound.Value
                                (fast.Result.Bound.Value * (1.0 + 1e-9))
                                case.Text

                            if together.Result.Bound.Value < 0.9 * fast.Result.Bound.Value then
                                tighter <- tighter + 1)

                    Expect.isGreaterThan tighter 15 "tighter")

            statement "eclipse: with one hidden layer the same as local LipSDP by one matrix" 60 Draw (fun draw ->
                let inputs, hidden, outputs = draw.Int(1, 4), draw.Int(1, 8), draw.Int(1, 3)
                let struct (network, input) = generalChain draw [ inputs; hidden; outputs ]

                let case =
                    {
                        Seed = 0
                        Network = network
                        Input = input
                        Radius = radius (draw.Power(-1.5, 1.0))
                    }

                for definition in definitions do
                    let one =
                        (LocalLipSdp.bound context definition network input case.Radius None).Result.Bound.Value

                    let layers = (local AllTogether definition case).Result.Bound.Value
                    Expect.isWithin (gap * one) layers one case.Text)

            testCase
                "eclipse: slopes in intervals of any kind: never below the norm of a product of such slopes"
                (fun () ->
                    let mutable proofs = 0

                    check 120 Draw (fun draw ->
                        let struct (network, _) =
                            generalChain
                                draw
                                [
                                    draw.Int(1, 4)
                                    for _ in 1 .. draw.Int(1, 5) do
                                        draw.Int(1, 5)
                                    draw.Int(1, 3)
                                ]

                        let maps = (chainOf network).Maps

                        let intervals =
                            maps[.. maps.Length - 2]
                            |> Array.map (fun map ->
                                Array.init map.Rows (fun _ ->
                                    {
                                        Center = draw.Pick [ 0.0; 1.0; draw.Real(-1.0, 1.0) ]
                                        Width = draw.Pick [ 0.0; 1e-9; 0.5; draw.Real(0.0, 1.0) ]
                                    }))

                        for units in [ ChainUnits.OfLayers; ChainUnits.OfNeurons ] do
                            let started =
                                (ClosedForm.run context units maps (fun k rows _ ->
                                    rows |> Array.map (fun row -> intervals[k][row])))
                                    .Value

                            let searched =
                                if started.Chain.Open > 0 then
                                    ChainDescent.run context false started.Chain started.Weights
                                    |> Option.bind (fun found ->
                                        ChainProof.tryProve context started.Chain found.Weights)
                                    |> Option.map (fun proved -> Math.ScaleB(proved, started.Chain.Exponent))
                                else
                                    None

                            let bounds = Option.toList searched @ [ started.Proved.Value.Value ]
                            proofs <- proofs + bounds.Length

                            for _ in 1..20 do
                                let jacobian =
                                    (rowsOf maps[0], Array.indexed maps[1..])
                                    ||> Array.fold (fun before (k, map) ->
                                        intervals[k]
                                        |> Array.map2
                                            (fun row slope ->
                                                let factor =
                                                    slope.Center
                                                    + slope.Width * draw.Pick [ -1.0; 1.0; draw.Real(-1.0, 1.0) ]

                                                Array.map (fun x -> factor * x) row)
                                            before
                                        |> product (rowsOf map))

                                let attained = spectralNorm jacobian

                                for bound in bounds do
                                    Expect.isGreaterThanOrEqual bound (attained * (1.0 - 1e-12)) "bound"

                            let steepest =
                                maps
                                |> Array.mapi (fun k map ->
                                    let slope =
                                        if k < intervals.Length then
                                            intervals[k] |> Array.map _.Steepest |> Array.max
                                        else
                                            1.0

                                    slope * spectralNorm (rowsOf map))
                                |> Array.fold (*) 1.0

                            if units = ChainUnits.OfLayers && started.Chain.Open = started.Chain.Neurons then
                                Expect.isLessThanOrEqual
                                    (List.last bounds)
                                    (steepest * Math.Pow(1.25, float intervals.Length) * (1.0 + 1e-2))
                                    "product")

                    Expect.isGreaterThan proofs 300 "proofs")

            testCase "eclipse: a layer that is never active gives 0, and a ball that is a point Algorithm 1" (fun () ->
                let network =
                    chain
                        [
                            [| [| 1.0; 2.0 |]; [| -1.0; 1.0 |] |], [| 0.0; 0.0 |]
                            [| [| 1.0; 1.0 |]; [| 2.0; -1.0 |] |], [| -100.0; -100.0 |]
                            [| [| 1.0; 1.0 |] |], [| 3.0 |]
                        ]

                let case =
                    {
                        Seed = 0
                        Network = network
                        Input = Tensor.vector [| 1.0; 0.5 |]
                        Radius = radius 1.0
                    }

                for multipliers in both do
                    for definition in definitions do
                        Expect.equal (alone multipliers definition case) (Some 0.0) "inactive"

                        let point = local multipliers definition { case with Radius = radius 0.0 }
                        Expect.stringContains point.Explanation "the ball is a point" "explanation"
                        Expect.equal point.Slopes 0 "slopes")

            testCase "eclipse: all slopes known give the norm of the Jacobian" (fun () ->
                check 60 Draw (fun draw ->
                    let struct (network, input) = generalChain draw [ 3; 5; 4; 2 ]

                    let case =
                        {
                            Seed = 0
                            Network = network
                            Input = input
                            Radius = radius 1e-9
                        }

                    let linear = Linearization.at context network 1 input.Storage

                    let jacobian =
                        Array.init 3 (fun j ->
                            linear.Pushforward(
                                LipVerify.Compute.HostStorage(Array.init 3 (fun i -> if i = j then 1.0 else 0.0))
                            )
                            |> Tensor.ofStorage [ 2 ]
                            |> Tensor.values)

                    let norm = spectralNorm jacobian

                    for definition in definitions do
                        match alone InClosedForm definition case with
                        | Some bound -> Expect.isWithin (1e-8 * (norm + 1.0)) bound norm "norm"
                        | None -> failwith "no bound"))

            testCase "eclipse: 60 layers over a ball, far below Algorithm 1" (fun () ->
                let draw = Draw 5
                let widths = 3 :: List.replicate 60 8 @ [ 2 ]

                let network =
                    List.pairwise widths
                    |> List.map (fun (inputs, outputs) ->
                        draw.Gaussians(inputs * outputs)
                        |> Array.map (fun w -> w / sqrt (float inputs))
                        |> Array.chunkBySize inputs,
                        draw.Gaussians outputs |> Array.map (fun b -> 0.1 * b))
                    |> chain

                let case =
                    {
                        Seed = 5
                        Network = network
                        Input = Tensor.vector (draw.Gaussians 3)
                        Radius = radius 0.1
                    }

                for definition in definitions do
                    let analytic =
                        (Analytic.bound context definition network case.Input case.Radius).Bound.Value

                    let fast, together =
                        local InClosedForm definition case, local AllTogether definition case

                    Expect.isLessThan fast.Result.Bound.Value (1e-3 * analytic) "closed form"
                    Expect.isLessThanOrEqual together.Result.Bound.Value fast.Result.Bound.Value "together"
                    Expect.equal together.Result.Bound.Rigor Certified "rigor"
                    assertCoversSamples together.Result.Bound.Value case)

            testCase "eclipse: what is no chain is declined in one line" (fun () ->
                let sum =
                    build
                        [ 2 ]
                        [
                            Sum
                                [
                                    Step("same", Identity)
                                    Step("twice", Layer.linear (Diagonal(Tensor.create [ 2 ] 2.0)))
                                ]
                        ]

                for multipliers in both do
                    match Eclipse.``global`` context multipliers sum with
                    | Ok _ -> failwith "a sum is no chain"
                    | Error problem ->
                        Expect.stringContains problem "chains of affine maps and activations" "problem"
                        Expect.isFalse (problem.Contains '\n') "lines")
        ]
