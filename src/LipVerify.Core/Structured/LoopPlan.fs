namespace LipVerify.Core

open System
open System.Collections.Generic
open LipVerify.Compute

/// A place where a network bends, with its nominal values.
[<ReferenceEquality>]
type internal Place =
    /// A ReLU, before it.
    | ReluPlace of nominal: EnclosedTensor
    /// One round of a tournament that finds the maxima of pooling windows: pairs of entries, of which the first is the nominal winner; it stands
    /// twice where it has no opponent. `rectified` where a ReLU follows the tournament, so that values that are not positive count as 0.
    | RoundPlace of nominal: EnclosedTensor * pairs: struct (int * int)[] * rectified: bool

/// A network as steps between places where it bends.
[<ReferenceEquality>]
type internal LoopPlan =
    {
        Steps: LoopStep list
        Places: Place[]
        /// The places whose entries are the inputs of ReLUs and of max pooling, by the index of the layer as in enclosures. Pooling whose
        /// ReLU is moved behind it has none.
        Entered: Map<int, int>
        Inputs: int
        Outputs: int
        /// The nominal outputs.
        Nominal: EnclosedTensor
    }

/// How far increments reach at a place.
[<NoEquality; NoComparison>]
type internal PlaceReach =
    {
        /// `|dz_i|`, one an entry.
        Entries: float[]
        /// `|dz_l − dz_a|` for each pair of a round; empty at ReLUs.
        Pairs: float[]
    }

/// What a bend rests on: bounds on increments over all permitted inputs.
[<NoEquality; NoComparison>]
type internal Claims =
    {
        /// The entry `i`, or the difference of pair `k` as `−1 − k`.
        At: int[]
        /// `|dz| ≤ Bound`.
        Bound: float[]
    }

module internal LoopPlan =

    /// The pairs of a round, strongest with strongest, so that most meet none who could win; and where each window's winners stand afterwards.
    let private pairUp (values: float[]) (windows: int[][]) =
        let pairs =
            windows
            |> Array.map (fun window ->
                window
                |> Array.sortBy (fun i -> -values[i])
                |> Array.chunkBySize 2
                |> Array.map (fun pair -> struct (pair[0], pair[pair.Length - 1])))

        let winners =
            (0, pairs)
            ||> Array.mapFold (fun first window -> Array.init window.Length (fun k -> first + k), first + window.Length)
            |> fst

        struct (Array.concat pairs, winners)

    /// The maxima of pairs.
    let private winnersOf (nominal: EnclosedTensor) (pairs: struct (int * int)[]) =
        let pick (tensor: Tensor) =
            let values = Tensor.values tensor

            pairs
            |> Array.map (fun struct (a, b) -> max values[a] values[b])
            |> Tensor.vector

        {
            Value = pick nominal.Value
            Error = pick nominal.Error
        }

    /// Adds the rounds of a tournament; gives their steps and the maxima.
    let rec private tournament bend rectified (nominal: EnclosedTensor) (windows: int[][]) =
        if windows |> Array.forall (fun window -> window.Length = 1) then
            struct ([], nominal)
        else
            let struct (pairs, winners) = pairUp (Tensor.values nominal.Value) windows
            let step = bend (RoundPlace(nominal, pairs, rectified))

            let struct (rest, maxima) =
                tournament bend rectified (winnersOf nominal pairs) winners

            struct (step :: rest, maxima)

    let private pool bend (geometry: PoolingGeometry) rectified nominal =
        let windows = Array.zeroCreate<int[]> geometry.OutputSize
        PoolingWindows.iterate geometry (fun output members -> windows[output] <- members.ToArray())

        let struct (rounds, maxima) =
            if windows |> Array.forall (fun window -> window.Length = 1) then
                // Windows of one member: their values, in another order at most.
                let pairs = windows |> Array.map (fun window -> struct (window[0], window[0]))
                struct ([ bend (RoundPlace(nominal, pairs, rectified)) ], winnersOf nominal pairs)
            else
                tournament bend rectified nominal windows

        let shape = [ geometry.Channels; geometry.Rows.Output; geometry.Columns.Output ]

        struct (rounds,
                {
                    Value = Tensor.reshape shape maxima.Value
                    Error = Tensor.reshape shape maxima.Error
                })

    /// The walk through a network: steps (last first), places so far, and the value that it has come to.
    [<ReferenceEquality>]
    type private Walk =
        {
            Done: LoopStep list
            At: EnclosedTensor
        }

    let private evaluate (context: Context) (layers: PlacedLayer list) (at: EnclosedTensor) =
        (at, layers)
        ||> List.fold (fun enclosed layer -> EnclosedTensor.apply context.Engine layer enclosed)

    /// The places so far, and those among them that layers are entered by.
    [<ReferenceEquality>]
    type private Record =
        {
            Places: ResizeArray<Place>
            Entered: Dictionary<int, int>
        }

    let rec private series (context: Context) (record: Record) (walk: Walk) stages : Walk =
        Context.check context

        let bend place =
            record.Places.Add place
            Bent(record.Places.Count - 1)

        /// The layer is entered by the next place.
        let enter (layer: PlacedLayer) =
            record.Entered[layer.Index] <- record.Places.Count

        match stages with
        | [] -> walk
        | AffineStage(layers, map, true) :: MaxPoolingStage(_, geometry) :: rest ->
            // The ReLU is monotone: with the maximum first, a window bends once instead of once a member.
            let before = evaluate context layers walk.At
            enter layers.Head
            let struct (rounds, pooled) = pool bend geometry true before
            let relu = bend (ReluPlace pooled)

            series
                context
                record
                {
                    Done = (relu :: List.rev rounds) @ Mapped(layers.Head.Index, map) :: walk.Done
                    At = EnclosedTensor.rectify context.Engine pooled
                }
                rest
        | AffineStage(layers, map, rectified) :: rest ->
            let before = evaluate context layers walk.At
            let mapped = Mapped(layers.Head.Index, map) :: walk.Done

            let walk =
                if rectified then
                    enter layers.Head

                    {
                        Done = bend (ReluPlace before) :: mapped
                        At = EnclosedTensor.rectify context.Engine before
                    }
                else
                    { Done = mapped; At = before }

            series context record walk rest
        | ReluStage layer :: rest ->
            enter layer

            series
                context
                record
                {
                    Done = bend (ReluPlace walk.At) :: walk.Done
                    At = EnclosedTensor.rectify context.Engine walk.At
                }
                rest
        | MaxPoolingStage(layer, geometry) :: rest ->
            enter layer
            let struct (rounds, pooled) = pool bend geometry false walk.At

            series
                context
                record
                {
                    Done = List.rev rounds @ walk.Done
                    At = pooled
                }
                rest
        | SumStage branches :: rest ->
            let ends: Walk list =
                branches |> List.map (series context record { walk with Done = [] })

            series
                context
                record
                {
                    Done = Added(ends |> List.map (fun branch -> List.rev branch.Done)) :: walk.Done
                    At = ends |> List.map _.At |> List.reduce EnclosedTensor.add
                }
                rest

    /// The plan of a network around a nominal input.
    let ofNetwork (context: Context) (network: Network) (input: Tensor) : LoopPlan =
        let record =
            {
                Places = ResizeArray()
                Entered = Dictionary()
            }

        let center = Tensor.reshape network.InputShape input

        let start =
            {
                Done = []
                At = EnclosedTensor.exact center
            }

        let walk: Walk = series context record start (Stage.ofNetwork network)

        {
            Steps = List.rev walk.Done
            Places = record.Places.ToArray()
            Entered = record.Entered |> Seq.map (|KeyValue|) |> Map.ofSeq
            Inputs = center.Length
            Outputs = Shape.size network.OutputShape
            Nominal = walk.At
        }
        : LoopPlan

    /// Reaches of 0 everywhere: with them, the loop of the plan is the linearisation at the nominal input, up to ties.
    let still (plan: LoopPlan) : PlaceReach[] =
        plan.Places
        |> Array.map (fun place ->
            match place with
            | ReluPlace nominal ->
                {
                    Entries = Array.zeroCreate nominal.Value.Length
                    Pairs = [||]
                }
            | RoundPlace(nominal, pairs, _) ->
                {
                    Entries = Array.zeroCreate nominal.Value.Length
                    Pairs = Array.zeroCreate pairs.Length
                })

    let private low (nominal: EnclosedTensor) i =
        let values, errors = Tensor.values nominal.Value, Tensor.values nominal.Error
        let value, error = values[i], errors[i]

        if error = 0.0 then
            value
        else
            Math.BitDecrement(value - error)

    let private high (nominal: EnclosedTensor) i =
        let values, errors = Tensor.values nominal.Value, Tensor.values nominal.Error
        Rounding.addUp values[i] errors[i]

    /// What is known of one increment: the interval of its slope, and the largest reach for which that is so. Where every slope is possible, no
    /// reach is claimed.
    let private decide definition nominalLow nominalHigh reach =
        if
            not (
                Double.IsFinite nominalLow
                && Double.IsFinite nominalHigh
                && Double.IsFinite reach
            )
        then
            struct ({ Lower = 0.0; Upper = 1.0 }, Double.PositiveInfinity)
        elif nominalHigh + reach <= 0.0 then
            struct (SlopeIntervals.none, -nominalHigh)
        elif nominalLow >= reach && nominalLow > 0.0 then
            struct (SlopeIntervals.all, nominalLow)
        else
            let excursion =
                {
                    NominalLow = nominalLow
                    NominalHigh = nominalHigh
                    Down = reach
                    Up = reach
                }

            let interval = SlopeIntervals.ofExcursion definition excursion
            let isFree = interval.Lower = 0.0 && interval.Upper = 1.0
            struct (interval, (if isFree then Double.PositiveInfinity else reach))

    let private reluBend definition (nominal: EnclosedTensor) (reach: PlaceReach) first : struct (Bend * Claims) =
        let n = nominal.Value.Length
        let slopes = Array.zeroCreate<float> n
        let bounds = Array.zeroCreate<float> n
        let into, widths = ResizeArray<int>(), ResizeArray<float>()

        for i in 0 .. n - 1 do
            let struct (interval, bound) =
                decide definition (low nominal i) (high nominal i) reach.Entries[i]

            let struct (center, width) = SlopeIntervals.centered interval
            slopes[i] <- center
            bounds[i] <- bound

            if width > 0.0 then
                into.Add i
                widths.Add width

        let into = into.ToArray()

        struct ({
                    Inputs = n
                    Outputs = n
                    Leaders = None
                    Slopes = Tensor.vector slopes
                    First = first
                    Into = into
                    Plus = into
                    Minus = [||]
                    Mean = [||]
                    Width = widths.ToArray()
                },
                { At = Array.init n id; Bound = bounds })

    /// `max(z_a, z_b) = z_a + relu(z_b − z_a)` for each pair.
    let private roundBend
        definition
        (nominal: EnclosedTensor)
        (pairs: struct (int * int)[])
        rectified
        (reach: PlaceReach)
        first
        =
        let values, errors = Tensor.values nominal.Value, Tensor.values nominal.Error
        let slopes = Array.create pairs.Length 1.0
        let into, plus, minus = ResizeArray<int>(), ResizeArray<int>(), ResizeArray<int>()
        let means, widths = ResizeArray<float>(), ResizeArray<float>()
        let claimed, bounds = ResizeArray<int>(), ResizeArray<float>()

        let claim at bound =
            claimed.Add at
            bounds.Add bound

        let isDead i =
            rectified && high nominal i + reach.Entries[i] <= 0.0

        let neverPositive i = claim i -(high nominal i)

        pairs
        |> Array.iteri (fun output struct (a, b) ->
            if isDead a && isDead b then
                slopes[output] <- 0.0
                neverPositive a

                if a <> b then
                    neverPositive b
            elif a <> b then
                if isDead b then
                    neverPositive b
                else
                    let difference = values[b] - values[a]
                    let rounding = 2.0 * Rounding.unitRoundoff * abs difference
                    let error = Rounding.addUp (Rounding.addUp errors[b] errors[a]) rounding

                    let low, high =
                        Math.BitDecrement(difference - error), Rounding.addUp difference error

                    let struct (interval, bound) = decide definition low high reach.Pairs[output]
                    let struct (mean, width) = SlopeIntervals.centered interval
                    claim (-1 - output) bound

                    if mean > 0.0 || width > 0.0 then
                        into.Add output
                        plus.Add b
                        minus.Add a
                        means.Add mean
                        widths.Add width)

        struct ({
                    Inputs = nominal.Value.Length
                    Outputs = pairs.Length
                    Leaders = Some(pairs |> Array.map (fun struct (a, _) -> a))
                    Slopes = Tensor.vector slopes
                    First = first
                    Into = into.ToArray()
                    Plus = plus.ToArray()
                    Minus = minus.ToArray()
                    Mean = means.ToArray()
                    Width = widths.ToArray()
                },
                {
                    At = claimed.ToArray()
                    Bound = bounds.ToArray()
                })

    /// The reach that each claim is about.
    let claimed (claims: Claims) (reach: PlaceReach) =
        claims.At
        |> Array.map (fun at -> if at >= 0 then reach.Entries[at] else reach.Pairs[-1 - at])

    /// The loop over all inputs for which increments reach no further than this, and what has to be shown of them.
    let loop definition (plan: LoopPlan) (reaches: PlaceReach[]) : struct (Loop * Claims[]) =
        let bends =
            ((0, []), Array.zip plan.Places reaches)
            ||> Array.fold (fun (first, before) (place, reach) ->
                let struct (bend, claims) =
                    match place with
                    | ReluPlace nominal -> reluBend definition nominal reach first
                    | RoundPlace(nominal, pairs, rectified) -> roundBend definition nominal pairs rectified reach first

                first + Bend.channels bend, struct (bend, claims) :: before)

        let channels, bends = bends
        let bends = bends |> List.rev |> Array.ofList

        struct ({
                    Steps = plan.Steps
                    Bends = bends |> Array.map (fun struct (bend, _) -> bend)
                    Inputs = plan.Inputs
                    Outputs = plan.Outputs
                    Channels = channels
                },
                bends |> Array.map (fun struct (_, claims) -> claims))
