/// Multipliers of all layers of a chain together (METHODS section 15), held against exact constants, slopes, products of norms and the multipliers
/// that one matrix gives. Proved in proofs-checks/coq/statements/ChainLipSdp.v.
module LipVerify.Propositions.ChainLipSdp

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Core.Bounds.Analytic
open LipVerify.Core.Bounds.Multipliers.Solver
open LipVerify.Core.Bounds.Multipliers.DeepChains
open LipVerify.Core.Bounds.Structured
open LipVerify.Core.Bounds.Multipliers
open LipVerify.Core.Bounds.Exact.Euclidean
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Propositions.Oracles
open Expecto
open LipVerify.Propositions.Expectations

let private found perLayer network =
    match ChainLipSdp.bound context perLayer network with
    | Ok bound -> bound
    | Error problem -> failwith problem

let private value network = (found false network).Bound.Value

/// A search stops where a stage gains less than 1e-4; what is left is a multiple of that.
let private gap = 1e-3

/// Matrices by their rows, with a ReLU between each two.
let private chain (maps: float[][] list) =
    maps
    |> List.collect (fun rows ->
        [
            Step("relu", Layer.relu)
            Step(
                "dense",
                Layer.linear (Dense(Dense.create (Tensor.ofArray [ rows.Length; rows[0].Length ] (Array.concat rows))))
            )
        ])
    |> List.tail
    |> build [ maps.Head[0].Length ]

/// Weights between layers of these widths: with zero rows and duplicates, some layers dead.
let private weights (draw: Draw) widths =
    List.pairwise widths
    |> List.map (fun (inputs, outputs) -> weightMatrix draw outputs inputs |> Array.chunkBySize inputs)

let private widths (draw: Draw) most =
    [
        draw.Int(1, 4)
        for _ in 1 .. draw.Int(1, most) do
            draw.Int(1, 4)
        draw.Int(1, 3)
    ]

/// Row `i` times `2^rows[i]`, column `j` times `2^columns[j]`.
let private shift (rows: int[]) (columns: int[]) (map: float[][]) =
    map
    |> Array.mapi (fun i -> Array.mapi (fun j w -> Math.ScaleB(w, rows[i] + columns[j])))

/// Neurons in units from 2^-300 to 2^300, the same function otherwise.
let private inUnits (draw: Draw) (maps: float[][] list) =
    let last = maps.Length - 1

    let units =
        maps
        |> List.mapi (fun k map ->
            Array.init map.Length (fun _ ->
                if k = last || draw.Chance 0.5 then
                    0
                else
                    draw.Int(-300, 300)))

    let before = Array.zeroCreate maps.Head[0].Length :: units

    List.map3
        (fun rows columns map -> shift rows (Array.map (~-) columns) map)
        units
        (List.take maps.Length before)
        maps

/// Layers times powers of two, 2^-300 to 2^300, and the exponent of their product.
let private scaled (draw: Draw) (maps: float[][] list) =
    let exponents =
        maps |> List.map (fun _ -> if draw.Chance 0.5 then 0 else draw.Int(-300, 300))

    let maps =
        List.map2 (fun e -> Array.map (Array.map (fun (w: float) -> Math.ScaleB(w, e)))) exponents maps

    struct (maps, List.sum exponents)

/// What multipliers prove by one matrix; none where nothing moves the outputs.
let private byOneMatrix perLayer network =
    match LipSdp.represent context network with
    | Error problem -> failwith problem
    | Ok(struct (lfr, layers)) ->
        let ties = if perLayer then Some layers else None

        MultiplierSearch.prove context lfr ties None (fun _ -> false)
        |> Option.bind (fun (struct (_, proved)) -> proved)
        |> Option.map _.Value

/// A chain in its units with the closed form; none where nothing moves the outputs.
let private started network =
    match MultiplierChain.ofNetwork engine network with
    | Ok chain when chain.Maps.Length > 0 ->
        ChainRegion.closedForm context ChainUnits.OfNeurons chain network AllInputs
        |> Option.filter (fun started -> started.Chain.Open > 0)
    | _ -> None

/// A chain in its units with what the search finds.
let private searched network =
    started network
    |> Option.bind (fun started ->
        ChainDescent.run context false started.Chain started.Weights
        |> Option.map (fun found -> struct (started.Chain, found)))

/// Normal weights over the square root of the inputs, as they are drawn for deep networks.
let private deep (draw: Draw) width depth =
    2 :: List.replicate depth width @ [ 1 ]
    |> List.pairwise
    |> List.map (fun (inputs, outputs) ->
        draw.Gaussians(inputs * outputs)
        |> Array.map (fun w -> w / sqrt (float inputs))
        |> Array.chunkBySize inputs)
    |> chain

[<Tests>]
let tests =
    testList
        "ChainLipSdp"
        [
            statement "chains: never below the exact constant" 150 Draw (fun draw ->
                let network = weights draw (widths draw 4) |> inUnits draw |> chain

                for perLayer in [ false; true ] do
                    match ChainLipSdp.bound context perLayer network, ExactPatterns.``global`` context network with
                    | Ok chain, Ok exact ->
                        Expect.equal chain.Bound.Rigor Certified "rigor"
                        Expect.isGreaterThanOrEqual chain.Bound.Value (exact.Lower * (1.0 - 1e-9)) "value"
                    // In units far apart one multiplier a layer may not be found.
                    | Error _, _ when perLayer -> ()
                    | Error problem, _
                    | _, Error problem -> failwith problem)

            statement "chains: no slope between two inputs is above the bound" 100 Draw (fun draw ->
                let maps = weights draw (widths draw 8)
                let network = chain maps
                let bound = value network

                for _ in 1..3 do
                    let x, y = draw.Gaussians maps.Head[0].Length, draw.Gaussians maps.Head[0].Length
                    slopes network x [| y |] |> assertBounds "a pair" bound
                    pieceSlopes network x y |> assertBounds "a piece" bound)

            testCase
                "chains: never above the product of norms, and one multiplier a neuron not above one a layer"
                (fun () ->
                    let mutable tighter = 0

                    check 100 Draw (fun draw ->
                        let network = weights draw (widths draw 6) |> chain
                        let product = (Global.bound context network).Bound.Value
                        let neuron, layer = value network, (found true network).Bound.Value
                        Expect.isLessThanOrEqual neuron (product * (1.0 + gap)) "neuron"
                        Expect.isLessThanOrEqual layer (product * (1.0 + gap)) "layer"
                        Expect.isLessThanOrEqual neuron (layer * (1.0 + gap)) "neuron"

                        if neuron < 0.8 * product then
                            tighter <- tighter + 1)

                    Expect.isGreaterThan tighter 20 "tighter")

            testCase "chains: the same as by one matrix" (fun () ->
                let mutable compared = 0

                check 60 Draw (fun draw ->
                    let network = weights draw (widths draw 4) |> chain

                    for perLayer in [ false; true ] do
                        match byOneMatrix perLayer network with
                        | None -> ()
                        | Some one ->
                            let layers = (found perLayer network).Bound.Value
                            Expect.isWithin (gap * one) layers one "layers"
                            compared <- compared + 1)

                Expect.isGreaterThan compared 60 "compared")

            statement
                "chains: units of neurons do not matter, and powers of two come out as they went in"
                60
                Draw
                (fun draw ->
                    let maps = weights draw (widths draw 4)
                    let bound = value (chain maps)

                    Expect.isWithin
                        (2.0 * gap * bound)
                        (value (chain (inUnits draw maps)))
                        bound
                        "value (chain (inUnits draw maps))"

                    let struct (maps, exponent) = scaled draw maps
                    let expected = Math.ScaleB(bound, exponent)
                    let found = value (chain maps)

                    if Double.IsFinite expected && expected > 1e-300 then
                        Expect.isWithin (2.0 * gap * expected) found expected "found"
                    else
                        // Beyond the largest double, or not below what is as small as the least ones.
                        Expect.isGreaterThanOrEqual found (min expected Double.MaxValue * (1.0 - gap)) "found")

            testCase "chains: dead layers give 0, and ReLUs at the ends do not matter" (fun () ->
                let dead =
                    chain [ [| [| 1.0; 2.0 |] |]; [| [| 0.0 |]; [| 0.0 |] |]; [| [| 1.0; 1.0 |] |] ]

                let found = found false dead
                Expect.equal found.Bound (Bound.certified 0.0) "bound"
                Expect.equal found.Slopes 0 "slopes"
                let parallel' = chain [ [| [| 1.0; 0.0 |]; [| 0.0; 0.0 |] |]; [| [| 0.0; 1.0 |] |] ]
                Expect.equal (value parallel') 0.0 "value parallel'"

                let maps =
                    [
                        Step("first", Layer.linear (Dense(Dense.create (Tensor.ofArray [ 2; 1 ] [| 1.0; -1.0 |]))))
                        Step("relu", Layer.relu)
                        Step("second", Layer.linear (Dense(Dense.create (Tensor.ofArray [ 1; 2 ] [| 1.0; 1.0 |]))))
                    ]

                // |x|, and 2 where the signs of both ReLUs are free.
                for blocks in
                    [
                        maps
                        Step("relu", Layer.relu) :: maps
                        @ [ Step("relu", Layer.relu); Step("relu", Layer.relu) ]
                    ] do
                    let bound = value (build [ 1 ] blocks)
                    Expect.isGreaterThanOrEqual bound 1.0 "bound"
                    Expect.isLessThanOrEqual bound 2.001 "bound")

            statement "chains: maps other than dense ones give the constant of their matrices" 40 Draw (fun draw ->
                let first, second =
                    linearMap draw [ draw.Int(1, 3); draw.Int(1, 5); draw.Int(1, 5) ], draw.Int(1, 3)

                let between = LinearMap.outputs first
                let last = draw.Gaussians(second * between) |> Array.chunkBySize between

                let network =
                    build
                        (LinearMap.inputShape first)
                        [
                            Step("first", Layer.linear first)
                            Step("relu", Layer.relu)
                            Step("flat", Reshape [ between ])
                            Step(
                                "second",
                                Layer.linear (
                                    Dense(Dense.create (Tensor.ofArray [ second; between ] (Array.concat last)))
                                )
                            )
                        ]

                match ChainLipSdp.bound context false network with
                | Ok bound ->
                    let expected = value (chain [ matrix first; last ])
                    Expect.isWithin (2.0 * gap * expected + 1e-300) bound.Bound.Value expected "value"
                | Error problem -> Expect.stringContains problem "range" "problem")

            testCase "chains: what is proved is just above what multipliers show, and not below" (fun () ->
                let mutable proofs = 0

                check 60 Draw (fun draw ->
                    match weights draw (widths draw 6) |> chain |> searched with
                    | None -> ()
                    | Some(struct (chain, found)) ->
                        let constant = exp (0.5 * found.Level)
                        let proved = (ChainProof.tryProve context chain found.Weights).Value
                        Expect.isLessThanOrEqual proved (constant * (1.0 + 1e-6)) "proved"
                        Expect.isGreaterThanOrEqual proved (constant * (1.0 - 1e-9)) "proved"
                        proofs <- proofs + 1)

                Expect.isGreaterThan proofs 30 "proofs")

            testCase "chains: a claim that is lowered does not follow, nor from one before that is raised" (fun () ->
                let mutable refusals = 0

                check 60 Draw (fun draw ->
                    match weights draw (widths draw 4) |> chain |> started with
                    | None -> ()
                    | Some started ->
                        let chain, offsets = started.Chain, started.Chain.Offsets
                        let scaleBy (factor: float) = Array.map (fun x -> factor * x)

                        let rec step k before =
                            if k < chain.Slopes.Length then
                                let weights = started.Weights[offsets[k] .. offsets[k + 1] - 1]
                                let image = ChainImage.create engine chain.Maps[k] before
                                let claim = (ChainProof.tryClaim context image chain.Slopes[k] weights).Value
                                let follows = ChainProof.follows context

                                Expect.isTrue (follows image chain.Slopes[k] weights claim) "claim"

                                for factor in [ 1.0 - 1e-6; 0.9; 0.0; -1.0; nan; infinity ] do
                                    Expect.isFalse
                                        (follows image chain.Slopes[k] weights (scaleBy factor claim))
                                        $"{factor}"

                                let raised =
                                    ChainImage.create engine chain.Maps[k] (before |> Option.map (scaleBy 1.001))

                                if before.IsSome then
                                    Expect.isFalse (follows raised chain.Slopes[k] weights claim) "raised"

                                refusals <- refusals + 1
                                step (k + 1) (Some claim)

                        step 0 None)

                Expect.isGreaterThan refusals 60 "refusals")

            testCase "chains: whatever multipliers are, what is proved is not below the exact constant" (fun () ->
                let mutable proofs = 0
                let mutable refusals = 0

                check 100 Draw (fun draw ->
                    let network = weights draw (widths draw 3) |> chain

                    match searched network, ExactPatterns.``global`` context network with
                    | Some(struct (chain, found)), Ok exact ->
                        for spread in [ 1e-4; 1e-2; 0.3; 1.0; 3.0 ] do
                            let changed =
                                found.Weights |> Array.map (fun d -> d * exp (spread * draw.Gaussian()))

                            match ChainProof.tryProve context chain changed with
                            | Some lipschitz ->
                                let constant = Math.ScaleB(lipschitz, chain.Exponent)
                                Expect.isGreaterThanOrEqual constant (exact.Lower * (1.0 - 1e-9)) "constant"
                                proofs <- proofs + 1
                            | None -> refusals <- refusals + 1
                    | _ -> ())

                Expect.isGreaterThan proofs 100 "proofs"
                Expect.isGreaterThan refusals 20 "refusals")

            statement "chains: derivatives are those of the determinant" 40 Draw (fun draw ->
                let maps =
                    List.pairwise (widths draw 4)
                    |> List.map (fun (inputs, outputs) -> draw.Gaussians(inputs * outputs) |> Array.chunkBySize inputs)

                match started (chain maps) with
                | None -> failwith "no start"
                | Some started ->
                    // Slopes in intervals of all kinds, some of one slope.
                    let slopes =
                        started.Chain.Slopes
                        |> Array.map (
                            Array.map (fun slope ->
                                match draw.Int(0, 3) with
                                | 0 -> slope
                                | 1 ->
                                    {
                                        Center = draw.Real(-1.0, 1.0)
                                        Width = 0.0
                                    }
                                | _ ->
                                    {
                                        Center = draw.Real(-1.0, 1.0)
                                        Width = draw.Real(0.0, 0.5)
                                    })
                        )

                    let chain = { started.Chain with Slopes = slopes }
                    // Large enough for slopes that are not those of the closed form.
                    let start = started.Weights |> Array.map (fun d -> 2.0 * d)

                    let at weights level =
                        (ChainRecursion.tryEvaluate context chain weights level).Value

                    let level = (at start (log 1e6)).Least + 0.5

                    let struct (slopes, curvatures, trace) =
                        ChainRecursion.derivatives context chain (at start level)

                    let moved j h =
                        (at (start |> Array.mapi (fun i d -> if i = j then d * exp h else d)) level).Barrier

                    let near (actual: float) (expected: float) =
                        Expect.isWithin (1e-4 * (1.0 + abs expected)) actual expected "derivative"

                    for j in 0 .. start.Length - 1 do
                        // Errors of differences: h² of the first ones, 1e-16/h² and h² of the second ones.
                        near slopes[j] ((moved j 1e-5 - moved j -1e-5) / 2e-5)
                        near curvatures[j] ((moved j 1e-3 + moved j -1e-3 - 2.0 * moved j 0.0) / 1e-6)

                    let shifted h = (at start (level + h)).Barrier
                    near trace ((shifted -1e-5 - shifted 1e-5) / 2e-5))

            testCase "chains: 200 layers, with a bound far below the product of norms" (fun () ->
                let network = deep (Draw 3) 8 200
                let found = found false network
                Expect.isFalse found.IsCut "is cut"
                Expect.equal found.Slopes 1600 "slopes"
                Expect.isLessThan found.Bound.Value (1e-20 * (Global.bound context network).Bound.Value) "value"

                let structured = Structured.``global`` context network
                Expect.equal structured.Result.Bound found.Bound "bound"
                Expect.stringContains structured.Explanation "all layers together" "explanation")

            testCase "chains: time ends a search, and cancellation everything" (fun () ->
                let network = deep (Draw 4) 20 60
                let whole = value network

                match ChainLipSdp.bound (Context.within (Some(TimeSpan.FromSeconds 1.0)) context) false network with
                | Ok early -> Expect.isGreaterThanOrEqual early.Bound.Value (whole * (1.0 - gap)) "value"
                | Error problem -> Expect.stringContains problem "time" "problem"

                let none =
                    ChainLipSdp.bound (Context.within (Some TimeSpan.Zero) context) false network

                Expect.isTrue (none |> Result.isError) "none |> Result.isError"

                use source = new Threading.CancellationTokenSource()

                let watched =
                    { context with
                        Cancellation = source.Token
                        Report =
                            fun line ->
                                if line.Contains "so far" then
                                    source.Cancel()
                    }

                Expect.thrown<OperationCanceledException>(fun () -> ChainLipSdp.bound watched false network |> ignore)
                |> ignore)
        ]
