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
