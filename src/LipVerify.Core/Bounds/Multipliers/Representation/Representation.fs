/// The linear fractional representation of a network, or of its last layers, over a ball (METHODS section 7).
module internal LipVerify.Core.Bounds.Multipliers.Representation.Representation

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Activations
open LipVerify.Core.Networks
open LipVerify.Core.Bounds
open LipVerify.Core.LowerBounds
open LipVerify.Core.Enclosures
open LipVerify.Core.Bounds.Analytic

/// What a representation is built for.
[<ReferenceEquality>]
type Purpose =
    {
        Context: Context
        Definition: Definition
        /// Enclosures of pre-activations over the ball, by the index of the layer, beside what the representation itself tells.
        Enclosures: Map<int, Enclosure>
        /// Narrows the reach of entries whose sign is open; `id` to take them as they are.
        Tighten: UncertainSlopes -> Signal -> Signal
    }

let private enclosed purpose (layer: PlacedLayer) signal =
    match Map.tryFind layer.Index purpose.Enclosures with
    | Some enclosure -> Signal.within enclosure signal
    | None -> signal

/// Max pooling with narrowed reaches.
let private pool purpose slopes geometry rectified signal =
    Tournament.maxPooling purpose.Context purpose.Definition slopes (purpose.Tighten slopes) geometry rectified signal

let private activate purpose activations slopes signal =
    Signal.activate purpose.Context purpose.Definition activations slopes signal

let private preActivation purpose (slopes: UncertainSlopes) (layers: PlacedLayer list) map signal =
    purpose.Context.Report
        $"layer {layers.Head.Index} ({layers.Head.Name}), {slopes.Count} slopes that are not known so far"

    Signal.affine purpose.Context slopes layers map signal
    |> enclosed purpose layers.Head
    |> purpose.Tighten slopes

let rec private stage purpose (slopes: UncertainSlopes) signal stage =
    match stage with
    | AffineStage(layers, map, _) -> Signal.affine purpose.Context slopes layers map signal
    | ActivationStage(layer, activations) ->
        enclosed purpose layer signal
        |> purpose.Tighten slopes
        |> activate purpose activations slopes
    | MaxPoolingStage(layer, geometry) -> enclosed purpose layer signal |> pool purpose slopes geometry false
    | SumStage branches ->
        branches
        |> List.map (series purpose slopes signal)
        |> List.reduce (Signal.add slopes)

and private series purpose (slopes: UncertainSlopes) (signal: Signal) stages : Signal =
    match stages with
    | [] -> signal
    | AffineStage(layers, map, Some activations) :: MaxPoolingStage(_, geometry) :: rest when
        EntryActivations.passMaxima activations
        ->
        // With the maximum first, a window takes one activation instead of one a member.
        let after =
            preActivation purpose slopes layers map signal
            |> pool purpose slopes geometry activations.IsRelu
            |> activate purpose activations slopes

        series purpose slopes after rest
    | AffineStage(layers, map, Some activations) :: rest ->
        let after =
            preActivation purpose slopes layers map signal
            |> activate purpose activations slopes

        series purpose slopes after rest
    | next :: rest -> series purpose slopes (stage purpose slopes signal next) rest

/// What comes behind the layers that Algorithm 1 takes: its stages and the ball that they start from.
[<ReferenceEquality>]
type Suffix =
    {
        Stages: Stage list
        /// Layers before it.
        Before: PlacedLayer list
        /// The constant of what comes before.
        Lipschitz: Bound
        /// The radius of the ball around the nominal value.
        Radius: Bound
        Nominal: EnclosedTensor
        Fall: float[]
        Rise: float[]
    }

/// The whole network.
let startOf (network: Network) (input: Tensor) (radius: Radius) =
    let center = Tensor.reshape network.InputShape input
    let reach = Array.create center.Length radius.Value

    {
        Stages = Stage.ofNetwork network
        Before = []
        Lipschitz = Bound.one
        Radius = Bound.certified radius.Value
        Nominal = EnclosedTensor.exact center
        Fall = reach
        Rise = reach
    }

/// A name for what is left.
let describe suffix =
    match suffix.Before with
    | [] -> "the whole network"
    | before -> $"what follows layer {(List.last before).Index} ({(List.last before).Name})"

let private layersOf stage =
    match stage with
    | AffineStage(layers, _, _) -> layers
    | ActivationStage(layer, _)
    | MaxPoolingStage(layer, _) -> [ layer ]
    | SumStage _ -> []

/// How far the outputs of a stage lie from their nominal values at most, from the enclosure of what it bends.
let private reachBehind (enclosures: Map<int, Enclosure>) stage (nominal: EnclosedTensor) suffix =
    let unknown = Array.create nominal.Value.Length Double.PositiveInfinity

    match stage with
    | AffineStage(layers, _, Some activations) when enclosures.ContainsKey layers.Head.Index ->
        let enclosure = enclosures[layers.Head.Index]

        let fall, rise = Tensor.values enclosure.Fall, Tensor.values enclosure.Rise
        let ends = Relaxation.Deviations.create enclosure.Nominal fall rise

        /// What is constant does not move, and what moves goes no further than the largest slope takes it.
        let behind own other =
            Array.mapi2
                (fun i own other ->
                    let activation = activations[i]

                    if activation.Settled(Relaxation.Deviations.excursion ends i) = ValueSome 0.0 then
                        0.0
                    else
                        let moved = if activation.IsNondecreasing then own else max own other
                        Rounding.mulUp (SlopeIntervals.size activation.Global) moved)
                own
                other

        behind fall rise, behind rise fall
    | MaxPoolingStage(_, geometry) ->
        let largest (reach: float[]) =
            let pooled = Array.zeroCreate<float> geometry.OutputSize

            PoolingWindows.iterate geometry (fun output members ->
                for i in members do
                    pooled[output] <- max pooled[output] reach[i])

            pooled

        largest suffix.Fall, largest suffix.Rise
    | _ -> unknown, unknown

/// One stage more for Algorithm 1; none where there is none that it can take.
let private advance (context: Context) enclosures (lines: LayerBound list) suffix =
    match suffix.Stages with
    | []
    | [ _ ]
    | SumStage _ :: _ -> None
    | first :: rest ->
        let layers = layersOf first
        let line = lines |> List.find (fun line -> line.Index = layers.Head.Index)

        let applied =
            (suffix.Nominal, layers)
            ||> List.fold (fun enclosed layer -> EnclosedTensor.apply context.Engine layer enclosed)

        let nominal =
            match first with
            | AffineStage(_, _, Some activations) -> EnclosedTensor.activate context.Engine activations applied
            | _ -> applied

        let fall, rise = reachBehind enclosures first nominal suffix

        Some
            {
                Stages = rest
                Before = suffix.Before @ layers
                Lipschitz = Propositions.composition suffix.Lipschitz line.Lipschitz
                Radius = Propositions.radiusTransfer suffix.Radius line.Lipschitz
                Nominal = nominal
                Fall = fall
                Rise = rise
            }

/// The representation of a suffix, with its outputs replaced by `read` of them, and what it was built from.
let represent purpose read suffix =
    let live =
        [|
            for i in 0 .. suffix.Fall.Length - 1 do
                if suffix.Fall[i] > 0.0 || suffix.Rise[i] > 0.0 then
                    i
        |]

    if live.Length = 0 then
        raise (TooLargeException "nothing moves there")

    let slopes = UncertainSlopes(live.Length, suffix.Radius.Value)

    let start =
        AffineForms.identity live suffix.Fall.Length
        |> Signal.create slopes suffix.Nominal suffix.Fall suffix.Rise

    let output = series purpose slopes start suffix.Stages
    struct (slopes, slopes.Represent(read output.Forms))

/// The representation that leaves the fewest layers to Algorithm 1, or what was too large in the last one tried.
let rec representWhatFits purpose lines read suffix =
    try
        let struct (_, lfr) = represent purpose read suffix
        Ok(suffix, lfr)
    with :? TooLargeException as reason ->
        match advance purpose.Context purpose.Enclosures lines suffix with
        | Some shorter -> representWhatFits purpose lines read shorter
        | None -> Error $"the network is too large for multipliers ({reason.Message})"
