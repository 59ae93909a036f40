/// The global Lipschitz bound: the product of the layers' own constants (sums over branches), for any two inputs.
module LipVerify.Core.Bounds.Analytic.Global

open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.LinearMaps
open LipVerify.Core.Activations
open LipVerify.Core.Spectral
open LipVerify.Core.Networks
open LipVerify.Core.Bounds

/// A layer's line: without a ball, every output may differ from zero.
let private reported (layer: PlacedLayer) kind lipschitz witness size =
    [
        {
            Index = layer.Index
            Name = layer.Name
            Kind = kind
            Lipschitz = lipschitz
            Witness = witness
            RadiusIn = None
            RadiusOut = None
            Active = size
            Size = size
        }
    ]

/// The map with the largest slopes of the activations behind it.
let private stretched map (activations: EntryActivations option) =
    match activations with
    | Some activations when SlopeIntervals.size activations.Global <> 1.0 || activations.Only.IsNone ->
        { MaskedMap.whole map with
            Rows =
                Array.init (LinearMap.outputs map) (fun i -> SlopeIntervals.size activations[i].Global)
                |> Tensor.vector
        }
    | _ -> MaskedMap.whole map

let rec private stage context stage =
    Context.check context

    match stage with
    | AffineStage(layers, map, activations) ->
        let layer = layers.Head

        let lipschitz, witness =
            context
            |> LayerContext.run layer (fun context ->
                let norm = Spectral.norm context (stretched map activations)
                norm.Bound, Witness.ofNorm context norm)

        let kind =
            Layer.kind layer.Layer
            + (if layers.Tail.IsEmpty then "" else "+diagonal")
            + (activations
               |> Option.map (fun activations -> "+" + activations.Name)
               |> Option.defaultValue "")

        lipschitz, reported layer kind lipschitz witness (LinearMap.outputs map)
    | ActivationStage(layer, activations) ->
        let slope = Bound.certified (SlopeIntervals.size activations.Global)
        slope, reported layer activations.Name slope (Witness.deterministic Nonexpansive) (Shape.size layer.Output)
    | MaxPoolingStage(layer, geometry) ->
        let lipschitz = Propositions.maxPooling geometry.MaxOverlap

        lipschitz,
        reported layer (Layer.kind layer.Layer) lipschitz (Witness.deterministic PoolingOverlap) geometry.OutputSize
    | SumStage branches ->
        let bounds, lines = branches |> List.map (series context) |> List.unzip
        Propositions.joined branches bounds, List.concat lines

and private series context stages =
    ((Bound.one, []), stages)
    ||> List.fold (fun (product, lines) next ->
        let lipschitz, more = stage context next
        Propositions.composition product lipschitz, lines @ more)

/// The stages of a network with their constants and lines.
let internal stages context (network: Network) =
    let context = LayerContext.share network context

    Stage.ofNetwork network
    |> List.map (fun next ->
        let lipschitz, lines = stage context next
        struct (next, lipschitz, lines))

/// The product of the constants of stages.
let internal compose parts : NetworkBound =
    {
        Bound =
            (Bound.one, parts)
            ||> List.fold (fun product (struct (_: Stage, lipschitz, _)) -> Propositions.composition product lipschitz)
        Layers = parts |> List.collect (fun (struct (_, _, lines)) -> lines)
    }

/// Bounds the Lipschitz constant of the network over all pairs of inputs. Certified where every spectral norm is.
let bound context (network: Network) : NetworkBound = stages context network |> compose
