namespace LipVerify.Core.Loops.Reaches

open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Spectral
open LipVerify.Core.Networks
open LipVerify.Core.Loops.Operator
open LipVerify.Core.Loops.Weights

/// How far what bends in a network, and its outputs, may lie from their nominal values over a ball, as random vectors prove it (METHODS
/// section 14).
[<ReferenceEquality>]
type internal ProbedReaches =
    {
        /// `|z_i − z0_i|` for the inputs of ReLUs and of max pooling, by the index of the layer as in enclosures.
        Stages: Map<int, Tensor>
        /// `|f_k − f0_k|`.
        Output: Tensor
        /// What all of them together promise.
        Rigor: Rigor
    }

module internal ProbedReaches =

    /// Shares of the failure probability: norms of maps, and reaches.
    let private parts = 1 + LoopReach.parts

    let private prove probing (context: Context) (shared: Certification) (network: Network) input (radius: Radius) =
        let struct (plan, norms) =
            LoopPlan.ofNetwork context shared.FailureProbability network input

        LoopReach.findWith
            (SearchEffort.forPlan plan)
            (probing plan)
            context
            norms
            Nominal
            plan
            [||]
            radius.Value
            shared.FailureProbability
        |> Option.map (fun proved ->
            {
                Stages =
                    plan.Entered
                    |> Map.map (fun _ place -> Tensor.vector proved.Reaches[place].Entries)
                Output = LoopRows.outputReaches context norms plan proved radius.Value |> Tensor.vector
                Rigor = Probabilistic context.Certification.FailureProbability
            })

    /// `find` with rows measured as `probing` says.
    let findWith
        (probing: LoopPlan -> Loop -> Probing)
        (context: Context)
        (network: Network)
        (input: Tensor)
        (radius: Radius)
        : Result<ProbedReaches, string> =
        if context.Certification.Deterministic then
            raise (Spectral.NotCertifiableException "reaches from probes rest on random draws")

        let shared = (Context.share parts context).Certification

        if radius.Value = 0.0 then
            Error "the ball is a point"
        else
            match Context.attempt context (fun context -> prove probing context shared network input radius) with
            | None -> Error "the time was over before reaches were proved"
            | Some None -> Error "no reaches were found that could be proved"
            | Some(Some reaches) -> Ok reaches

    /// The reaches over the ball of the given radius around `input`, or why there are none; raises `Spectral.NotCertifiableException` where
    /// draws are not allowed. All certificates together fail with at most the probability of the context.
    let find context network input radius =
        findWith ReachProof.probing context network input radius
