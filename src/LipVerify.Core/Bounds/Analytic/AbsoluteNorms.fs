/// A bound for all pairs of inputs, in any of the norms, that takes no longer than a few evaluations of the network: the product of norms of
/// its layers that sums of magnitudes alone give (METHODS 4c). It is what methods fall back on where a time limit ends them before their first
/// bound.
module LipVerify.Core.Bounds.Analytic.AbsoluteNorms

open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Spectral
open LipVerify.Core.Activations
open LipVerify.Core.Networks
open LipVerify.Core.Bounds

/// The norm of a linear map from its largest sums of magnitudes over a column and over a row.
let private ofMap (context: Context) norm map =
    let struct (columnNorm, rowNorm) =
        MaskedMap.whole map
        |> MaskedMap.mergeScales
        |> MaskedMap.absoluteNorms context.Engine

    Bound.certified (
        match norm with
        | Euclidean -> Rounding.mulUp (Rounding.sqrtUp columnNorm) (Rounding.sqrtUp rowNorm)
        | Maximum -> rowNorm
        | Taxicab -> columnNorm
    )

/// An input moves an output of max pooling by no more than itself in the maximum norm, and moves at most `overlap` of them.
let private ofMaxPooling norm overlap =
    match norm with
    | Euclidean -> Propositions.maxPooling overlap
    | Maximum -> Bound.one
    | Taxicab -> Bound.certified (float overlap)

let private ofActivations (activations: EntryActivations) =
    Bound.certified (SlopeIntervals.size activations.Global)

let rec private stage context norm stage =
    match stage with
    | AffineStage(_, map, activations) ->
        let slope = activations |> Option.map ofActivations |> Option.defaultValue Bound.one
        Propositions.composition (ofMap context norm map) slope
    | ActivationStage(_, activations) -> ofActivations activations
    | MaxPoolingStage(_, geometry) -> ofMaxPooling norm geometry.MaxOverlap
    | SumStage branches ->
        let bounds = branches |> List.map (series context norm)

        if norm = Euclidean then
            Propositions.joined branches bounds
        else
            Propositions.sumOfBranches bounds

and private series context norm stages =
    (Bound.one, stages)
    ||> List.fold (fun product next -> Propositions.composition product (stage context norm next))

/// Bounds `‖f(x) − f(x′)‖ / ‖x − x′‖` for all inputs, both sides measured in `norm`.
let bound context norm (network: Network) : Bound =
    Stage.ofNetwork network |> series context norm
