namespace LipVerify.Core.Bounds.Multipliers.DeepChains

open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks

/// A bound of a chain by multipliers of all its layers.
[<NoComparison>]
type internal ChainBound =
    {
        /// Certified.
        Bound: Bound
        /// Slopes that have a part in multipliers.
        Slopes: int
        /// Whether the time was over first: more of it might have given less.
        IsCut: bool
        /// Whether multipliers in closed form prove it.
        IsClosedForm: bool
    }

/// LipSDP (Fazlyab, Robey, Hassani, Morari & Pappas 2019) for chains of any depth: its matrix is block tridiagonal, so that layers can be
/// eliminated one after the other (Xu & Sivaranjani 2024, ECLipsE), in time linear in the depth (METHODS section 15).
///
/// - `MultiplierChain`: the matrices of a network, without dead neurons, and slopes.
/// - `ChainStep`: one layer of the recursion.
/// - `ChainUnits`: powers of two that keep the recursion near 1.
/// - `ChainImage`, `ChainProof`: the proof, layer by layer.
/// - `ClosedForm`: multipliers as in ECLipsE-Fast.
/// - `ChainRegion`: slopes over all inputs or over a ball.
/// - `ChainRecursion`: the recursion at some multipliers, and the derivatives of its determinant.
/// - `ChainDescent`: the search for multipliers of all layers together, which is not trusted.
module internal ChainLipSdp =

    /// The part of the time that the search may take; the proof takes about as long as a few of its steps.
    let private searchPart = 0.8

    /// One line on what was bounded how.
    let explain (found: ChainBound) =
        let end' =
            if found.IsCut then
                ", as far as they were found in time"
            else
                ""

        let kind =
            if found.IsClosedForm then
                "multipliers in closed form for"
            else
                "multipliers for"

        let place = if found.IsClosedForm then "" else " of all layers together"
        $"{kind} {found.Slopes} slopes{place} bound the whole network{end'}"

    let private over = "the time was over before multipliers proved a bound"

    let private none = "no multipliers were found that prove a bound"

    let private ofClosedForm (started: Started) isCut =
        started.Proved
        |> Option.map (fun bound ->
            {
                Bound = bound
                Slopes = started.Chain.Open
                IsCut = isCut
                IsClosedForm = true
            })

    let private constant =
        {
            Bound = Bound.zero
            Slopes = 0
            IsCut = false
            IsClosedForm = false
        }

    /// What multipliers in closed form prove, one for all neurons of a layer (ECLipsE-Fast), or why they prove nothing.
    let closedForm (context: Context) (chain: ChainNetwork) network region : Result<ChainBound, string> =
        if chain.Maps.Length = 0 then
            Ok constant
        else
            match
                Context.attempt context (fun context ->
                    ChainRegion.closedForm context ChainUnits.OfLayers chain network region)
            with
            | None -> Error over
            | Some started ->
                started
                |> Option.bind (fun started -> ofClosedForm started false)
                |> Option.map Ok
                |> Option.defaultValue (Error none)

    /// What a search from the closed form proves; none where its time was over first.
    let private search (context: Context) perLayer (started: Started) : ChainBound option option =
        Context.attempt context (fun attempt ->
            let search =
                { attempt with
                    Deadline = (Context.withPart searchPart context).Deadline
                }

            ChainDescent.run search perLayer started.Chain started.Weights
            |> Option.bind (fun found ->
                ChainProof.tryProve attempt started.Chain found.Weights
                |> Option.map (fun lipschitz ->
                    {
                        Bound = Rounding.scaleUp lipschitz started.Chain.Exponent |> Bound.certified
                        Slopes = started.Chain.Open
                        IsCut = found.IsCut
                        IsClosedForm = false
                    })))

    /// Closed forms to start from: those of neurons with units of their own and those of layers, or the latter alone.
    let private startingUnits perLayer =
        if perLayer then
            [ ChainUnits.OfLayers ]
        else
            [ ChainUnits.OfNeurons; ChainUnits.OfLayers ]

    /// The least that a search and closed forms prove, `perLayer` with one multiplier a layer, or why nothing is proved.
    let together (context: Context) perLayer (chain: ChainNetwork) network region : Result<ChainBound, string> =
        let least (started: Started list) (searched: ChainBound option option) =
            let proved =
                Option.toList (Option.flatten searched)
                @ List.choose (fun started -> ofClosedForm started searched.IsNone) started

            match proved with
            | [] when searched.IsNone -> Error over
            | [] -> Error none
            | proved -> proved |> List.minBy _.Bound.Value |> Ok

        if chain.Maps.Length = 0 then
            Ok constant
        else
            match
                Context.attempt context (fun context ->
                    startingUnits perLayer
                    |> List.choose (fun units -> ChainRegion.closedForm context units chain network region))
            with
            | None -> Error over
            | Some [] -> Error none
            // Every slope is known, and nothing is left to choose.
            | Some(first :: _ as started) when first.Chain.Open = 0 -> least started (Some None)
            | Some(first :: _ as started) -> search context perLayer first |> least started

    /// The same over all inputs, or why the network is not of this kind.
    let bound (context: Context) perLayer (network: Network) : Result<ChainBound, string> =
        MultiplierChain.ofNetwork context.Engine network
        |> Result.bind (fun chain -> together context perLayer chain network AllInputs)
