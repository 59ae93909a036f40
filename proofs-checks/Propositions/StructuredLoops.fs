/// Loops of random networks (METHODS section 14a): their increments by simulation, and their passes in exact arithmetic.
/// Proved in proofs-checks/coq/statements/Structured.v.
module internal LipVerify.Propositions.StructuredLoops

open System
open System.Collections.Generic
open System.Numerics
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Spectral
open LipVerify.Core.Networks
open LipVerify.Core.Loops.Operator
open LipVerify.Propositions.Generators
open LipVerify.Propositions.RandomNetworks

/// Norms of maps for the bounds on rounding.
let norms: StepNorms.MapNormTable =
    let table = Dictionary<LinearMap, StepNorms.MapNorms>(HashIdentity.Reference)

    fun map ->
        match table.TryGetValue map with
        | true, found -> found
        | _ ->
            let found = StepNorms.ofMap engine map (Spectral.coarseNorm context map).Value
            table[map] <- found
            found

/// A loop of a network, for reaches that nothing proves.
[<NoComparison; NoEquality>]
type LoopCase =
    {
        Plan: LoopPlan
        Operator: LoopOperator
    }

/// The plan of a network around an input.
let planOf network input =
    let struct (plan, _) = LoopPlan.ofNetwork context 1e-12 network input
    plan

/// A loop for reaches of all sizes around the nominal values, with factors and an output scale of several sizes.
let randomLoop (case: NetworkCase) : LoopCase =
    let draw = Draw(case.Seed + 7)
    let plan = planOf case.Network case.Input

    let reach (value: float) =
        match draw.Int(0, 4) with
        | 0 -> 0.0
        | 1 -> Double.PositiveInfinity
        | _ -> abs value * draw.Power(-1.0, 1.0)

    let reaches =
        plan.Places
        |> Array.map (fun place ->
            match place with
            | ActivationPlace(nominal, _) ->
                {
                    Entries = Tensor.values nominal.Value |> Array.map reach
                    Pairs = [||]
                }
            | RoundPlace(nominal, pairs, _) ->
                let values = Tensor.values nominal.Value

                {
                    Entries = values |> Array.map reach
                    Pairs = pairs |> Array.map (fun struct (a, b) -> reach (values[a] - values[b]))
                })

    let struct (loop, _) = LoopSlopes.loop (draw.Pick [ Nominal; Uniform ]) plan reaches

    let factors = Array.init loop.Channels (fun _ -> draw.Power(-2.0, 2.0))

    {
        Plan = plan
        Operator = LoopOperator.create loop factors (draw.Pick [ 0.0; 1.0; draw.Power(-2.0, 2.0) ])
    }

/// The increments of a network along its plan, from the nominal input to another: `dz` before each place, and what the place makes of it.
[<NoComparison; NoEquality>]
type Increments =
    {
        Before: float[][]
        After: float[][]
        Outputs: float[]
    }

/// A pair of a rectified round that cannot become positive has the increment 0, and a member that cannot is passed over: what the ReLU behind
/// the round makes of it is the same.
let private roundOf (values: float[]) (dz: float[]) (bend: Bend) (pairs: struct (int * int)[]) =
    let slopes = Tensor.values bend.Slopes
    let hasChannel = HashSet bend.Into

    pairs
    |> Array.mapi (fun output struct (a, b) ->
        if slopes[output] = 0.0 then
            0.0
        elif hasChannel.Contains output then
            max (values[a] + dz[a]) (values[b] + dz[b]) - max values[a] values[b]
        else
            dz[a])

/// Follows the increments from the nominal input by `dx`.
let simulate (plan: LoopPlan) (loop: Loop) (dx: float[]) : Increments =
    let before = plan.Places |> Array.map (fun _ -> [||])
    let after = plan.Places |> Array.map (fun _ -> [||])

    let rec run (dz: float[]) step =
        match step with
        | Mapped(_, map) ->
            let y = engine.Allocate(LinearMap.outputs map)
            LinearMap.apply engine map 1 (HostStorage(Array.copy dz)) y
            Array.copy (Tensor.values (Tensor.ofStorage [ y.Length ] y))
        | Bent place ->
            before[place] <- dz

            after[place] <-
                match plan.Places[place] with
                | ActivationPlace(nominal, _) ->
                    Array.map2 (fun z d -> max 0.0 (z + d) - max 0.0 z) (Tensor.values nominal.Value) dz
                | RoundPlace(nominal, pairs, _) -> roundOf (Tensor.values nominal.Value) dz loop.Bends[place] pairs

            after[place]
        | Added branches -> branches |> List.map (List.fold run dz) |> List.reduce (Array.map2 (+))

    let outputs = List.fold run dx plan.Steps

    {
        Before = before
        After = after
        Outputs = outputs
    }

let private exact = Dyadic.ofFloat

/// `1/n` to 300 bits: exact, as far as doubles can tell.
let private reciprocal (n: float) =
    {
        Mantissa = (BigInteger.One <<< 300) / BigInteger n
        Exponent = -300
    }

/// The matrix of a map, row factors that no double is equal to excepted.
let rec exactMatrix map : Dyadic[][] =
    match map with
    | Scaled(scale, map) ->
        Array.map2 (fun s row -> row |> Array.map (Dyadic.multiply (exact s))) (Tensor.values scale) (exactMatrix map)
    | Rounded(_, map) -> exactMatrix map
    | AveragePooling pooling ->
        Array.map2
            (fun divisor row -> row |> Array.map (fun a -> if a = 0.0 then Dyadic.zero else reciprocal divisor))
            (AveragePooling.divisors pooling)
            (Oracles.matrix map)
    | _ -> Oracles.matrix map |> Array.map (Array.map exact)

let private product (a: Dyadic) (b: Dyadic) =
    if Dyadic.sign a = 0 || Dyadic.sign b = 0 then
        Dyadic.zero
    else
        Dyadic.multiply a b

/// `⟨a, b⟩`.
let inner (a: Dyadic[]) (b: Dyadic[]) =
    Array.fold2 (fun sum x y -> Dyadic.add sum (product x y)) Dyadic.zero a b

let private entries (tensor: Tensor) = Tensor.values tensor |> Array.map exact

let private addAt (target: Dyadic[]) i value = target[i] <- Dyadic.add target[i] value

/// What a pass gives, and what it sees on the way.
[<NoComparison; NoEquality>]
type ExactPass =
    {
        Result: Dyadic[]
        Seen: Dictionary<LoopPoint, Dyadic[]>
    }

let private leaders (bend: Bend) =
    bend.Leaders |> Option.defaultValue (Array.init bend.Outputs id)

let private mean (bend: Bend) j =
    if bend.Mean.Length = 0 then
        Dyadic.zero
    else
        exact bend.Mean[j]

/// `K x`.
let pushExactly (operator: LoopOperator) (x: float[]) : ExactPass =
    let loop = operator.Loop
    let x = Array.map exact x
    let u, v = x[loop.Inputs ..], Array.create loop.Channels Dyadic.zero
    let seen = Dictionary()

    let rec run (x: Dyadic[]) step =
        match step with
        | Mapped(layer, map) ->
            seen[BeforeMap layer] <- x
            exactMatrix map |> Array.map (fun row -> inner row x)
        | Bent b ->
            seen[BeforeBend b] <- x
            let bend = loop.Bends[b]

            let ins, outs =
                Tensor.values operator.Gains[b].In, Tensor.values operator.Gains[b].Out

            let y =
                Array.map2 (fun slope leader -> product slope x[leader]) (entries bend.Slopes) (leaders bend)

            bend.Into
            |> Array.iteri (fun j into ->
                let d =
                    if bend.Minus.Length > 0 then
                        Dyadic.subtract x[bend.Plus[j]] x[bend.Minus[j]]
                    else
                        x[bend.Plus[j]]

                addAt y into (product (mean bend j) d)
                addAt y into (product (exact ins[j]) u[bend.First + j])
                addAt v (bend.First + j) (product (exact outs[j]) d))

            y
        | Added branches -> branches |> List.map (List.fold run x) |> List.reduce (Array.map2 Dyadic.add)

    let df = List.fold run x[.. loop.Inputs - 1] loop.Steps

    {
        Result = Array.append (df |> Array.map (product (exact operator.Scale))) v
        Seen = seen
    }

/// `Kᵀ y`.
let pullExactly (operator: LoopOperator) (y: float[]) : ExactPass =
    let loop = operator.Loop
    let y = Array.map exact y
    let v, u = y[loop.Outputs ..], Array.create loop.Channels Dyadic.zero
    let seen = Dictionary()

    let rec run step (y: Dyadic[]) =
        match step with
        | Mapped(layer, map) ->
            let matrix = exactMatrix map

            let x =
                Array.init (LinearMap.inputs map) (fun i -> inner (matrix |> Array.map (fun row -> row[i])) y)

            seen[BeforeMap layer] <- x
            x
        | Bent b ->
            let bend = loop.Bends[b]

            let ins, outs =
                Tensor.values operator.Gains[b].In, Tensor.values operator.Gains[b].Out

            let x = Array.create bend.Inputs Dyadic.zero

            Array.iteri2
                (fun i slope leader -> addAt x leader (product slope y[i]))
                (entries bend.Slopes)
                (leaders bend)

            bend.Into
            |> Array.iteri (fun j into ->
                let d =
                    Dyadic.add (product (mean bend j) y[into]) (product (exact outs[j]) v[bend.First + j])

                addAt x bend.Plus[j] d

                if bend.Minus.Length > 0 then
                    addAt x bend.Minus[j] (Dyadic.negate d)

                addAt u (bend.First + j) (product (exact ins[j]) y[into]))

            seen[BeforeBend b] <- x
            x
        | Added branches ->
            branches
            |> List.map (fun steps -> List.foldBack run steps y)
            |> List.reduce (Array.map2 Dyadic.add)

    let dx =
        List.foldBack run loop.Steps (y[.. loop.Outputs - 1] |> Array.map (product (exact operator.Scale)))

    {
        Result = Array.append dx u
        Seen = seen
    }
