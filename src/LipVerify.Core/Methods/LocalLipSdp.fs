/// Local LipSDP with slope intervals (METHODS section 7).
module LipVerify.Core.LocalLipSdp

open System
open LipVerify.Compute

let rec private stage context definition (slopes: UncertainSlopes) (enclosures: Map<int, Enclosure>) signal stage =
    match stage with
    | AffineStage(layers, map, _) -> Signal.affine context slopes layers map signal
    | ReluStage _ -> Signal.relu context definition slopes signal
    | MaxPoolingStage(_, geometry) -> Signal.maxPooling context definition slopes geometry false signal
    | SumStage branches ->
        branches
        |> List.map (series context definition slopes enclosures signal)
        |> List.reduce (Signal.add slopes)

and private series context definition (slopes: UncertainSlopes) enclosures (signal: Signal) stages : Signal =
    let enclosed (layer: PlacedLayer) signal =
        match Map.tryFind layer.Index enclosures with
        | Some enclosure -> Signal.within enclosure signal
        | None -> signal

    match stages with
    | [] -> signal
    | AffineStage(layers, map, true) :: MaxPoolingStage(_, geometry) :: rest ->
        // The ReLU is monotone: the maximum first takes one ReLU a window instead of one a member.
        let before =
            Signal.affine context slopes layers map signal |> enclosed layers.Head

        let pooled = Signal.maxPooling context definition slopes geometry true before
        let after = Signal.relu context definition slopes pooled
        context.Report $"layer {layers.Head.Index}: {slopes.Count} uncertain slopes so far"
        series context definition slopes enclosures after rest
    | AffineStage(layers, map, true) :: rest ->
        let before =
            Signal.affine context slopes layers map signal |> enclosed layers.Head

        let after = Signal.relu context definition slopes before
        context.Report $"layer {layers.Head.Index}: {slopes.Count} uncertain slopes so far"
        series context definition slopes enclosures after rest
    | next :: rest ->
        let after = stage context definition slopes enclosures signal next
        series context definition slopes enclosures after rest

/// The linear fractional representation.
let represent context definition (network: Network) (input: Tensor) (radius: Radius) (enclosures: Map<int, Enclosure>) =
    let center = Tensor.reshape network.InputShape input
    let slopes = UncertainSlopes(center.Length, radius.Value)

    let start =
        Signal.create
            slopes
            (EnclosedTensor.exact center)
            (Array.create center.Length radius.Value)
            (Array.create center.Length radius.Value)
            (AffineForms.identity center.Length)

    let output =
        series context definition slopes enclosures start (Stage.ofNetwork network)

    slopes.Represent output.Forms
