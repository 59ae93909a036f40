namespace LipVerify.Core.Loops.Operator

open System
open System.Collections.Generic
open LipVerify.Compute
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Activations
open LipVerify.Core.Networks
open LipVerify.Core.LowerBounds

/// A place where a network bends, with its nominal values.
[<ReferenceEquality>]
type internal Place =
    /// Activations, before them.
    | ActivationPlace of nominal: EnclosedTensor * activations: EntryActivations
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
            /// How far the computed values together lie from the exact ones, in the 2-norm.
            Off: float
        }

    /// The values of an affine stage, and how far they lie from the exact ones together.
    let private evaluate (context: Context) (layers: PlacedLayer list) (norm: float) (walk: Walk) =
        let after: NominalWalk =
            NominalWalk.affine context.Engine layers norm { At = walk.At; Off = walk.Off }

        struct (after.At, after.Off)

    /// The places so far, and those among them that layers are entered by.
    [<ReferenceEquality>]
    type private Record =
        {
            Places: ResizeArray<Place>
            Entered: Dictionary<int, int>
        }

    /// A maximum moves by no more than one of its members, and a member is in so many windows at most.
    let private pooledOff (geometry: PoolingGeometry) off (pooled: EnclosedTensor) =
        Rounding.mulUp off (Rounding.sqrtUp (float geometry.MaxOverlap))
        |> min (NominalWalk.lengthUp pooled.Error)

    /// The values behind activations, and how far they together lie from the exact ones.
    let private activate (context: Context) activations (before: EnclosedTensor) off =
        let after =
            NominalWalk.activate context.Engine activations { At = before; Off = off }

        struct (after.At, after.Off)

    let rec private series (context: Context) norm (record: Record) (walk: Walk) stages : Walk =
        Context.check context

        let bend place =
            record.Places.Add place
            Bent(record.Places.Count - 1)

        /// The layer is entered by the next place.
        let enter (layer: PlacedLayer) =
            record.Entered[layer.Index] <- record.Places.Count

        match stages with
        | [] -> walk
        | AffineStage(layers, map, Some activations) :: MaxPoolingStage(_, geometry) :: rest when
            EntryActivations.passMaxima activations
            ->
            // With the maximum first, a window bends once instead of once a member.
            let struct (before, off) = evaluate context layers (norm map) walk
            enter layers.Head
            let struct (rounds, pooled) = pool bend geometry activations.IsRelu before
            let activation = bend (ActivationPlace(pooled, activations))

            let struct (after, off) =
                activate context activations pooled (pooledOff geometry off pooled)

            series
                context
                norm
                record
                {
                    Off = off
                    Done = (activation :: List.rev rounds) @ Mapped(layers.Head.Index, map) :: walk.Done
                    At = after
                }
                rest
        | AffineStage(layers, map, activations) :: rest ->
            let struct (before, off) = evaluate context layers (norm map) walk
            let mapped = Mapped(layers.Head.Index, map) :: walk.Done

            let walk =
                match activations with
                | Some activations ->
                    enter layers.Head
                    let struct (after, off) = activate context activations before off

                    {
                        Done = bend (ActivationPlace(before, activations)) :: mapped
                        At = after
                        Off = off
                    }
                | None ->
                    {
                        Done = mapped
                        At = before
                        Off = off
                    }

            series context norm record walk rest
        | ActivationStage(layer, activations) :: rest ->
            enter layer
            let struct (after, off) = activate context activations walk.At walk.Off

            series
                context
                norm
                record
                {
                    Off = off
                    Done = bend (ActivationPlace(walk.At, activations)) :: walk.Done
                    At = after
                }
                rest
        | MaxPoolingStage(layer, geometry) :: rest ->
            enter layer
            let struct (rounds, pooled) = pool bend geometry false walk.At

            series
                context
                norm
                record
                {
                    Off = pooledOff geometry walk.Off pooled
                    Done = List.rev rounds @ walk.Done
                    At = pooled
                }
                rest
        | SumStage branches :: rest ->
            let ends: Walk list =
                branches |> List.map (series context norm record { walk with Done = [] })

            let sum = ends |> List.map _.At |> List.reduce EnclosedTensor.add

            // Sums of sums round what they have come to, which is no longer than their terms together.
            let rounding =
                ends
                |> List.map (fun branch -> NominalWalk.lengthUp branch.At.Value)
                |> List.reduce Rounding.addUp
                |> Rounding.mulUp (Rounding.gamma (2 * ends.Length))

            series
                context
                norm
                record
                {
                    Off =
                        ends
                        |> List.map _.Off
                        |> List.fold Rounding.addUp rounding
                        |> min (NominalWalk.lengthUp sum.Error)
                    Done = Added(ends |> List.map (fun branch -> List.rev branch.Done)) :: walk.Done
                    At = sum
                }
                rest

    let private ofStages (context: Context) norm (network: Network) (input: Tensor) stages : LoopPlan =
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
                Off = 0.0
            }

        let walk: Walk = series context norm record start stages

        {
            Steps = List.rev walk.Done
            Places = record.Places.ToArray()
            Entered = record.Entered |> Seq.map (|KeyValue|) |> Map.ofSeq
            Inputs = center.Length
            Outputs = Shape.size network.OutputShape
            Nominal = walk.At
        }

    /// The plan of a network around a nominal input, and norms of its maps, which may together fail with the given probability.
    let ofNetwork
        (context: Context)
        failure
        (network: Network)
        (input: Tensor)
        : struct (LoopPlan * StepNorms.MapNormTable) =
        let stages = Stage.ofNetwork network

        let norms =
            LoopNorms.ofStages
                { context with
                    Certification =
                        { context.Certification with
                            FailureProbability = failure
                        }
                }
                stages

        struct (ofStages context (norms >> _.Norm) network input stages, norms)
