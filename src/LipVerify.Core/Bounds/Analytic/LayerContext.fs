/// The part of one layer in the computation of a network's bound.
module internal LipVerify.Core.Bounds.Analytic.LayerContext

open LipVerify.Core.Computation
open LipVerify.Core.Spectral
open LipVerify.Core.Networks

/// Shares the failure probability out among the layers that have a spectral norm.
let share (network: Network) context =
    let norms =
        Network.layers network
        |> List.filter (fun placed ->
            match placed.Layer with
            | Affine _ -> true
            | Activation _
            | MaxPooling _
            | Reshape _
            | Identity -> false)

    Context.share norms.Length context

/// Runs `work` with random draws of the layer's own, and names the layer where it cannot be certified.
let run (layer: PlacedLayer) (work: Context -> 'a) context =
    let place = $"layer {layer.Index} ({layer.Name})"
    context.Report place

    let report (text: string) = context.Report $"{place}: {text}"

    try
        work (Context.forComputation layer.Index { context with Report = report })
    with :? Spectral.NotCertifiableException as failure ->
        raise (Spectral.NotCertifiableException $"{place}: {failure.Message}")
