namespace LipVerify.Core.Bounds.Structured

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Spectral
open LipVerify.Core.Networks
open LipVerify.Core.Loops.Operator
open LipVerify.Core.Loops.Weights
open LipVerify.Core.Loops.Reaches
open LipVerify.Core.Bounds.Analytic
open LipVerify.Core.Bounds.Multipliers.DeepChains

/// A bound by the linear fractional representation that is never formed, and how it came about.
[<NoComparison>]
type StructuredBound =
    {
        /// The bound, never above that of Algorithm 1 (or, over all inputs, of the product of layers), with its layers.
        Result: NetworkBound
        /// Slopes that are not known, each with a weight; 0 where another method gives the bound.
        Uncertain: int
        /// Whether the time was over first: more of it might have given less.
        IsCut: bool
        /// One line on what was bounded how.
        Explanation: string
    }

/// The structured bound (METHODS section 14): an operator norm of the whole network with fixed slopes and weighted residuals.
module Structured =

    /// The least of the structured bound and a coarser one. Which of them is less is known from their draws: what both promise counts.
    let private noneAbove
        (coarse: NetworkBound)
        method
        (context: Context)
        channels
        (found: float option)
        isCut
        reason
        : StructuredBound =
        let isCut = isCut || Context.isOver context

        match found with
        | Some value when value < coarse.Bound.Value ->
            {
                Result =
                    { coarse with
                        Bound =
                            {
                                Value = value
                                Rigor =
                                    Rigor.combine
                                        coarse.Bound.Rigor
                                        (Probabilistic context.Certification.FailureProbability)
                            }
                    }
                Uncertain = channels
                IsCut = isCut
                Explanation = $"the norm of the whole network, {channels} slopes of which are not known"
            }
        | _ ->
            {
                Result = coarse
                Uncertain = 0
                IsCut = isCut
                Explanation =
                    if isCut then
                        $"the bound is that of {method}: the time was over before less was proved"
                    else
                        $"the bound is that of {method}: {reason}"
            }

    /// What proves a bound, where it is not the coarser one.
    let private witnessOf (bound: StructuredBound) plan proved (found: LoopBound.LoopProof option) =
        found
        |> Option.filter (fun proof -> proof.Lipschitz = bound.Result.Bound.Value)
        |> Option.map (StructuredWitness.ofProof plan proved)

    let private requireDraws (context: Context) =
        if context.Certification.Deterministic then
            raise (Spectral.NotCertifiableException "the structured bound rests on random draws")

    /// `bound`, with what proves it; none where it is that of Algorithm 1.
    let boundWithWitness
        (context: Context)
        definition
        (network: Network)
        (input: Tensor)
        (radius: Radius)
        : struct (StructuredBound * StructuredWitness option) =
        requireDraws context
        let context = Context.share 2 context

        let analytic =
            Analytic.bound (Context.withPart 0.3 (Context.forComputation 1 context)) definition network input radius

        let context = Context.forComputation 2 context
        let noneAbove = noneAbove analytic "Algorithm 1" context

        if radius.Value = 0.0 then
            struct (noneAbove 0 None false "the ball is a point", None)
        else
            let shared = Context.share LoopBound.parts context
            let failure = shared.Certification.FailureProbability

            let proved =
                Context.attempt (Context.withPart 0.6 context) (fun context ->
                    let struct (plan, norms) = LoopPlan.ofNetwork context failure network input
                    let reach = LoopReach.find context norms definition plan [||] radius.Value failure
                    reach |> Option.map (fun reach -> struct (plan, norms, reach)))

            match proved with
            | None -> struct (noneAbove 0 None true "the time was over before reaches were proved", None)
            | Some None -> struct (noneAbove 0 None false "no reaches were found that could be proved", None)
            | Some(Some(struct (plan, norms, proved))) ->
                let start = 1.2 * LinearLoop.norm context plan + Double.Epsilon
                let found = LoopBound.bound context norms plan proved start failure

                let bound =
                    noneAbove proved.Loop.Channels (found |> Option.map _.Lipschitz) false "weights prove no less"

                struct (bound, witnessOf bound plan proved found)

    /// Bounds the local Lipschitz constant of the network around `input` over the ball of the given radius, until the time of `context` is
    /// over.
    let bound (context: Context) definition (network: Network) (input: Tensor) (radius: Radius) : StructuredBound =
        let struct (bound, _) = boundWithWitness context definition network input radius
        bound

    /// The least of the norm of the network as a loop and of the product of layers, over all inputs, with what proves it; none where it is the
    /// product.
    let private loopEverywhere
        (context: Context)
        (network: Network)
        (product: NetworkBound)
        : struct (StructuredBound * StructuredWitness option) =
        let shared = Context.share LoopBound.parts context

        let prepared =
            Context.attempt (Context.withPart 0.6 context) (fun context ->
                let origin = Tensor.create network.InputShape 0.0

                let struct (plan, norms) =
                    LoopPlan.ofNetwork context shared.Certification.FailureProbability network origin

                struct (plan, norms, LoopReach.everywhere context norms plan))

        match prepared with
        | None -> struct (noneAbove product "the product of layers" context 0 None true "the time was over", None)
        | Some(struct (plan, norms, everywhere)) ->
            let found =
                LoopBound.bound
                    context
                    norms
                    plan
                    everywhere
                    product.Bound.Value
                    shared.Certification.FailureProbability

            let bound =
                noneAbove
                    product
                    "the product of layers"
                    context
                    everywhere.Loop.Channels
                    (found |> Option.map _.Lipschitz)
                    false
                    "weights prove no less"

            struct (bound, witnessOf bound plan everywhere found)

    /// `global` by the loop alone, with what proves it; none where it is the product of layers. Multipliers of chains have no certificate format.
    let globalWithWitness (context: Context) (network: Network) : struct (StructuredBound * StructuredWitness option) =
        requireDraws context
        let context = Context.share 2 context
        let product = Global.bound (Context.forComputation 1 context) network
        loopEverywhere (Context.forComputation 2 context) network product

    /// The part of the time in which multipliers of a chain are sought before anything else.
    let private chainPart = 0.7

    /// Bounds the Lipschitz constant of the network over all inputs, until the time of `context` is over. For a dense chain the condition
    /// `‖K‖ ≤ 1` of its loop is an inequality between matrices that is solved layer by layer, and proved without draws: where that search came
    /// to its end, the loop has nothing to add.
    let ``global`` (context: Context) (network: Network) : StructuredBound =
        requireDraws context
        let context = Context.share 2 context
        let product = Global.bound (Context.forComputation 1 context) network
        let context = Context.forComputation 2 context
        let chain = ChainLipSdp.bound (Context.withPart chainPart context) false network

        let coarser =
            match chain with
            | Ok chain when not chain.IsCut ->
                noneAbove product "the product of layers" context 0 None false "multipliers prove no less"
            | _ ->
                let struct (bound, _) = loopEverywhere context network product
                bound

        match chain with
        | Ok chain when chain.Bound.Value < coarser.Result.Bound.Value ->
            {
                Result = { product with Bound = chain.Bound }
                Uncertain = chain.Slopes
                IsCut = chain.IsCut
                Explanation = ChainLipSdp.explain chain
            }
        | _ -> coarser
