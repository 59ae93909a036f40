/// Local Lipschitz bounds from elementwise bounds on Jacobians (FastLip, Weng et al. 2018; here with slopes from enclosures
/// over the ball, nominal or uniform), in the 2-norm, the maximum norm and the 1-norm.
module LipVerify.Core.Bounds.Jacobian.FastLip

open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Bounds.Analytic

/// Entries of the columns behind the widest stage that are kept at once, at most: 2 GB with their errors.
let private mostEntries = 1L <<< 27

/// The inputs times the widest layer.
let internal entries (network: Network) =
    let widest =
        Network.layers network
        |> List.map (fun placed -> Shape.size placed.Output)
        |> List.fold max 1

    int64 (Shape.size network.InputShape) * int64 widest

/// An error says that the network is too large for one column an input.
let internal checkSize network =
    let entries = entries network

    if entries > mostEntries then
        Error
            $"elementwise Jacobian bounds would keep {entries:N0} entries, an input times the widest layer; at most {mostEntries:N0} are"
    else
        Ok()

/// What stands in where the time is over before the columns are known: Algorithm 1, which then takes sums of magnitudes for the norms of
/// layers that are left, or the product of such sums over all inputs.
let internal outOfTime context norm definition network input radius =
    match norm with
    | Euclidean -> (Analytic.bound context definition network input radius).Bound
    | Maximum
    | Taxicab -> AbsoluteNorms.bound context norm network

/// Bounds the local Lipschitz constant over the ball of this norm and radius around `input`, the outputs measured in the same norm.
/// Once the time of the context is over, the bound is a coarser one. An error says that the network is too large for one column an input.
let bound
    (context: Context)
    norm
    definition
    (network: Network)
    (input: Tensor)
    (radius: Radius)
    : Result<Bound, string> =
    checkSize network
    |> Result.map (fun () ->
        Context.attempt context (fun context ->
            JacobianIntervals.columns context norm definition network input radius
            |> JacobianNorms.bound context norm)
        |> Option.defaultWith (fun () -> outOfTime context norm definition network input radius))
