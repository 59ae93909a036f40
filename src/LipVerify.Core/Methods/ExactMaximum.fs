namespace LipVerify.Core

open System

/// The local Lipschitz constant in the maximum norm, `‖f(x) − f(x′)‖∞ ≤ L·‖x − x′‖∞` over the box `‖x − x0‖∞ ≤ ε`, from both sides
/// (METHODS section 11).
module ExactMaximum =

    /// Whether the pieces can be visited one by one (`ExactBoxPairs`).
    let private areFew (chain: ReluChain) =
        chain.Neurons <= 14 && chain.Steps[0].Rows[0].Length <= 5

    /// The rounding of a Jacobian's norm, with room to spare.
    let private widen = 1.0 + 1e-11

    let private numerical value : Bound = { Value = value; Rigor = Numerical }

    /// Both ends, until they are within `tolerance` of each other (1e-2 is 1 %) or `limit` is over. The upper end is never above that of
    /// FastLip. Branching bounds the uniform constant; for the nominal one its upper end holds too, and the lower end is what
    /// ascents from the input reach, but on networks of a few inputs and ReLUs both ends are found piece by piece. Networks other than chains of affine maps and ReLUs are not branched.
    let bound
        (context: Context)
        definition
        (network: Network)
        (input: Tensor)
        (radius: Radius)
        tolerance
        (limit: TimeSpan option)
        : ExactSearchResult =
        let context = Context.within limit context
        let isOver () = Context.isOver context

        let chain = ReluChain.branched context network radius

        let start =
            let part = Context.withPart (ExactSearch.partBefore chain) context

            match FastLip.bound part Maximum definition network input radius with
            | Ok bound -> bound
            | Error _ -> numerical Double.PositiveInfinity

        let attained =
            LowerBounds.best
                (Context.withPart 0.5 context)
                Maximum
                definition
                network
                (RestrictedBall.whole input radius)
                (ExactSearch.effort network chain)

        let outcome upper lower =
            let lower =
                if lower > attained.Value then
                    numerical lower
                else
                    {
                        Value = attained.Value
                        Rigor = attained.Rigor
                    }

            ExactSearch.outcome { Bound = start; Layers = [] } lower upper

        let center = Tensor.values input

        let branch chain =
            // A nominal bound says nothing on a part of the box.
            let above =
                match definition with
                | Uniform -> start.Value
                | Nominal -> Double.PositiveInfinity

            let found =
                ExactBoxSearch.uniform context chain center radius.Value attained.Value above tolerance isOver

            let lower =
                match definition with
                | Uniform -> found.Lower
                | Nominal -> 0.0

            let left =
                if found.Left = 0 then
                    "all are finished"
                else
                    $"{found.Left} left"

            outcome found.Upper lower found.Parts $"branch and bound over {found.Parts} parts of the box, {left}"

        match chain with
        | Error reason -> outcome Double.PositiveInfinity 0.0 0 $"not branched: {reason}"
        | Ok chain when definition = Nominal && areFew chain ->
            match ExactBoxPairs.nominal context chain network.InputShape center radius.Value isOver with
            | Error _ -> branch chain
            | Ok bracket ->
                outcome
                    (bracket.Upper * widen)
                    bracket.Lower
                    bracket.Regions
                    $"the largest slope from the input within {bracket.Regions} regions"
        | Ok chain -> branch chain
