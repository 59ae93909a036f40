/// Every method in every norm and definition, on networks that are hard on arithmetic: no upper end is below a slope that is attained, or
/// below a lower end. Slopes are evaluated without rounding, so that nothing is allowed for it.
module LipVerify.Tests.EveryMethodTests

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Methods
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Networks
open LipVerify.Core.Enclosures
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks
open LipVerify.Tests.DyadicNumbers
open Expecto

/// `LIPVERIFY_TEST_NETWORKS` networks, or as many as take some seconds.
let private count =
    match Environment.GetEnvironmentVariable "LIPVERIFY_TEST_NETWORKS" |> Option.ofObj with
    | Some number when number <> "" -> Int32.Parse number
    | _ -> 150

/// The bias of a pre-activation `y` at the input: its kink far off, on the input, beside it by rounding, or at 1e-15 to 1e-3 of the radius.
let private biasBeside (draw: Draw) radius (row: float[]) y =
    let speed = sqrt (row |> Array.sumBy (fun w -> w * w))

    match draw.Int(0, 9) with
    | 0
    | 1 -> 0.0
    | 2 -> -y
    | 3
    | 4
    | 5 ->
        let distance = radius * draw.Power(-15.0, -3.0)
        -y + draw.Pick [ 1.0; -1.0 ] * distance * speed
    | _ -> speed * draw.Gaussian()

let private chain (draw: Draw) widths (input: float[]) radius =
    let isExtreme = draw.Chance 0.3

    let rec layers (value: float[]) pairs =
        match pairs with
        | [] -> []
        | (inputs, outputs) :: rest ->
            let scale =
                if isExtreme then
                    Math.ScaleB(1.0, draw.Int(-480, 480))
                else
                    1.0

            let weights = weightMatrix draw outputs inputs |> Array.map (fun w -> scale * w)
            let rows = weights |> Array.chunkBySize inputs

            let y =
                rows
                |> Array.map (fun row -> Array.fold2 (fun sum w x -> sum + w * x) 0.0 row value)

            let bias =
                Array.map2 (biasBeside draw radius) rows y
                |> Array.map (fun b -> if Double.IsFinite b then b else 0.0)

            let dense =
                Step("dense", Layer.dense (Tensor.ofArray [ outputs; inputs ] weights) (Tensor.vector bias))

            if rest.IsEmpty then
                [ dense ]
            else
                dense
                :: Step("relu", Layer.relu)
                :: layers (Array.map2 (fun y b -> max 0.0 (y + b)) y bias) rest

    layers input (List.pairwise widths)

/// A chain of dense layers, or any network whose values can be told without rounding.
let private hardNetwork seed =
    let draw = Draw seed

    if draw.Chance 0.2 then
        network seed
    else
        let inputs = draw.Int(1, 4)
        let hidden = List.init (draw.Int(0, 2)) (fun _ -> draw.Int(1, 5))
        let input = nominalInput draw [ inputs ]

        let distance =
            match draw.Int(0, 9) with
            | 0 -> 0.0
            | 1
            | 2
            | 3 -> draw.Power(-12.0, 10.0)
            | _ -> draw.Power(-2.0, 0.5)

        {
            Seed = seed
            Network =
                build [ inputs ] (chain draw (inputs :: hidden @ [ draw.Int(1, 3) ]) (Tensor.values input) distance)
            Input = input
            Radius = radius distance
        }

let private exact = Dyadic.ofFloat

let private magnitude d =
    if Dyadic.sign d < 0 then Dyadic.negate d else d

let private larger a b = if Dyadic.isAtMost b a then b else a

/// The norm of a vector, or its square in the 2-norm.
let private size norm (v: Dyadic[]) =
    match norm with
    | Euclidean -> Dyadic.squares v
    | Maximum -> (Dyadic.zero, v) ||> Array.fold (fun best x -> larger best (magnitude x))
    | Taxicab -> (Dyadic.zero, v) ||> Array.fold (fun sum x -> Dyadic.add sum (magnitude x))

/// Whether `‖change‖ ≤ bound·‖step‖`.
let private covers norm (bound: float) (change: Dyadic[]) (step: Dyadic[]) =
    let factor =
        match norm with
        | Euclidean -> Dyadic.multiply (exact bound) (exact bound)
        | Maximum
        | Taxicab -> exact bound

    Dyadic.isAtMost (Dyadic.multiply factor (size norm step)) (size norm change)

/// The first neurons whose weights are not all 0, with their biases, where the first layer is dense.
let private firstNeurons (case: NetworkCase) =
    let n = case.Input.Length

    match Network.layers case.Network with
    | { Layer = Affine(Dense dense, bias) } :: _ ->
        Array.zip (Tensor.values dense.Weights |> Array.chunkBySize n) (Tensor.values bias)
        |> Array.truncate 6
        |> Array.filter (fst >> Array.exists (fun w -> w <> 0.0))
    | _ -> [||]

/// How far along a direction the kinks of these neurons lie, the nearest first.
let private kinks (center: float[]) neurons (direction: float[]) =
    neurons
    |> Array.map (fun (row: float[], bias) ->
        let height =
            Dyadic.add (Dyadic.combination row (Array.map exact center)) (exact bias)

        -(Dyadic.toFloat height) / (Array.map2 (*) row direction |> Array.sum))
    |> Array.filter (fun distance -> distance > 0.0 && Double.IsFinite distance)
    |> Array.sort
    |> Array.truncate 3

/// Directions along which slopes are steep: across the kinks of the first layer, to corners, along the axes, at random.
let private directions (draw: Draw) norm (case: NetworkCase) neurons =
    let n = case.Input.Length

    let rows =
        neurons
        |> Array.collect (fun (row: float[], _: float) -> [| row; Array.map (~-) row |])

    let unit (v: float[]) =
        let largest = v |> Array.fold (fun largest x -> max largest (abs x)) 0.0
        let v = v |> Array.map (fun x -> x / largest)

        match norm with
        | Euclidean ->
            let length = sqrt (v |> Array.sumBy (fun x -> x * x))
            v |> Array.map (fun x -> x / length)
        | Maximum -> v |> Array.map (fun x -> float (sign x))
        | Taxicab ->
            let k = Array.init n id |> Array.maxBy (fun k -> abs v[k])
            Array.init n (fun i -> if i = k then float (sign v[k]) else 0.0)

    Array.append rows (Array.init 8 (fun _ -> draw.Gaussians n))
    |> Array.map unit
    |> Array.filter (Array.forall Double.IsFinite)

/// Points of the ball, near its centre and far from it.
let private points norm (case: NetworkCase) =
    let draw = Draw(case.Seed + 1)
    let center, distance = Tensor.values case.Input, case.Radius.Value

    let isInside (x: float[]) =
        let step = Array.map2 (fun x c -> Dyadic.subtract (exact x) (exact c)) x center

        let limit =
            match norm with
            | Euclidean -> Dyadic.multiply (exact distance) (exact distance)
            | Maximum
            | Taxicab -> exact distance

        Array.forall Double.IsFinite x && Dyadic.isAtMost limit (size norm step)

    let neurons = firstNeurons case

    [|
        for direction in directions draw norm case neurons do
            let along t =
                Array.map2 (fun c d -> c + t * d) center direction

            for share in [ 1.0; 1.0 - 1e-12; draw.Power(-3.0, 0.0); draw.Power(-16.0, -3.0) ] do
                along (share * distance)

            for t in kinks center neurons direction do
                along t
                along (1.5 * t)
    |]
    |> Array.filter isInside

/// What is asked of a method.
[<NoComparison; NoEquality>]
type private Row =
    {
        Method: BoundMethod
        Norm: Norm
        Definition: Definition
        Enclosure: EnclosureKind
        /// Over all inputs, where a method bounds there too.
        IsGlobal: bool
    }

let private rows: Row list =
    [
        // A greedy estimate is no upper end.
        for method in BoundMethods.all |> List.filter (fun method -> method.Name <> "seqlip-greedy") do
            for norm in method.Norms do
                for isGlobal, definition in
                    (match method.Scope with
                     | InBall _ -> [ false, Nominal; false, Uniform ]
                     | InBallOrForAll _ -> [ false, Nominal; false, Uniform; true, Uniform ]
                     | ForAllInputs _
                     | OfOneOutput _ -> [ false, Uniform ]) do
                    for enclosure in
                        (if method.TakesEnclosure then
                             [ Ball; Interval; Crown; Probes ]
                         else
                             [ Ball ]) do
                        {
                            Method = method
                            Norm = norm
                            Definition = definition
                            Enclosure = enclosure
                            IsGlobal = isGlobal
                        }
    ]

let private run (case: NetworkCase) (row: Row) =
    let query =
        {
            Context =
                { context with Seed = case.Seed }
                |> Context.within (Some(TimeSpan.FromSeconds 0.5))
            Network = case.Network
            Norm = row.Norm
            Definition = row.Definition
            Enclosure = row.Enclosure
            NeedsWitness = false
            Solvers = LipVerify.Solvers.InstalledSolvers.all
        }

    let ball = if row.IsGlobal then None else Some(case.Input, case.Radius)
    BoundMethod.run row.Method query ball (Some 0)

/// The slopes of output 0 alone, where a method bounds that.
let private outputs (row: Row) (values: Dyadic[]) =
    if BoundMethod.isOfOneOutput row.Method then
        values[..0]
    else
        values

let private describe (case: NetworkCase) (row: Row) =
    $"{row.Method.Name}, {row.Norm}, {row.Definition}, {row.Enclosure} at {case.Text}"

let private checkSlopes (case: NetworkCase) (row: Row) (bound: Bound) =
    let center = Tensor.values case.Input
    let points = points row.Norm case
    let value = evaluateExactly case.Network
    let difference = Array.map2 (fun (a: Dyadic) b -> Dyadic.subtract a b)
    let known = points |> Array.map (fun x -> x, outputs row (value x))

    let pairs =
        match row.Definition with
        | Nominal -> known |> Array.map (fun point -> (center, outputs row (value center)), point)
        | Uniform -> Array.append [| center, outputs row (value center) |] known |> Array.pairwise

    for (x, fx), (y, fy) in pairs do
        let step = Array.map2 (fun x y -> Dyadic.subtract (exact x) (exact y)) x y

        if not (covers row.Norm bound.Value (difference fx fy) step) then
            failwith
                $"{describe case row}: {bound.Value:R} ({bound.Rigor}) is below the slope from {List.ofArray x} to {List.ofArray y}"

let private checkRow (case: NetworkCase) (row: Row) =
    let found =
        try
            run case row
        with failure ->
            failwith $"{describe case row}: {failure}"

    match found with
    | Error _ -> None
    | Ok found ->
        let bound = found.Result.Bound

        if Double.IsNaN bound.Value then
            failwith $"{describe case row}: not a number"

        if Double.IsFinite bound.Value && isDyadic case.Network then
            checkSlopes case row bound

        Some(row, found)

/// No upper end is below a lower end of a constant that it bounds.
let private checkEnds (case: NetworkCase) (found: (Row * BoundFound) list) =
    for lowerRow, lower in found do
        match lower.Lower with
        | None -> ()
        | Some ends ->
            for row, upper in found do
                let isOfAll = not (BoundMethod.isOfOneOutput row.Method)

                let holds = row.Definition = Uniform || lowerRow.Definition = Nominal

                if isOfAll && holds && row.Norm = lowerRow.Norm then
                    let upper = upper.Result.Bound.Value

                    if upper < ends.Bound.Value then
                        failwith
                            $"{describe case row}: {upper:R} is below the lower end {ends.Bound.Value:R} of {lowerRow.Method.Name}, {lowerRow.Definition}"

[<Tests>]
let tests =
    testList
        "EveryMethod"
        [
            testCase "Every method: no upper end is below an attained slope or a lower end" (fun () ->
                let mutable bounds = 0
                let failures = ResizeArray<string>()

                // A failure names its seed; `LIPVERIFY_TEST_NETWORK` takes that network alone.
                let count, grow =
                    match Environment.GetEnvironmentVariable "LIPVERIFY_TEST_NETWORK" |> Option.ofObj with
                    | Some seed when seed <> "" -> 1, (fun _ -> hardNetwork (Int32.Parse seed))
                    | _ -> count, hardNetwork

                check count grow (fun case ->
                    let draw = Draw(case.Seed + 2)
                    let isExact row = row.Method.Name = "exact"

                    // The exact ends in one norm, some of the other methods, and one of the structured bounds.
                    let norm = draw.Pick [ Euclidean; Maximum ]
                    let others = rows |> List.filter (isExact >> not)
                    let structured = rows |> List.filter (fun row -> row.Method.Name = "structured")

                    try
                        let found =
                            (rows |> List.filter (fun row -> isExact row && row.Norm = norm))
                            @ List.init 5 (fun _ -> draw.Pick others)
                            @ [ draw.Pick structured ]
                            |> List.choose (checkRow case)

                        bounds <- bounds + found.Length
                        checkEnds case found
                    with failure ->
                        failures.Add failure.Message)

                stdout.WriteLine $"{bounds} bounds on {count} networks, {failures.Count} failures"

                if failures.Count > 0 then
                    let shown = failures |> Seq.truncate 20 |> String.concat "\n"
                    failtest $"{failures.Count} of {count} networks:\n{shown}")
        ]
