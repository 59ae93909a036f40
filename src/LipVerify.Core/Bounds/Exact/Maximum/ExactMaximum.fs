namespace LipVerify.Core.Bounds.Exact.Maximum

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.LowerBounds
open LipVerify.Core.Chains
open LipVerify.Core.Bounds.Jacobian
open LipVerify.Core.Bounds.Exact.Euclidean

/// The local Lipschitz constant in the maximum norm, `‖f(x) − f(x′)‖∞ ≤ L·‖x − x′‖∞` over the box `‖x − x0‖∞ ≤ ε`, from both sides
/// (METHODS section 11).
module ExactMaximum =

    /// Whether the pieces can be visited one by one (`ExactBoxPairs`).
    let private areFew (ball: ReluBall) =
        ball.Chain.Neurons <= 14 && ball.Center.Length <= 5

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

        let ball = ExactChain.branched context network (Tensor.values input) radius

        let start =
            let part = Context.withPart (ExactSearch.partBefore ball) context

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
                (ExactSearch.effort network ball)
            |> ExactSearchResult.certifiedOf

        let outcome upper lower =
            let lower = if lower > attained.Value then numerical lower else attained
            ExactSearchResult.outcome { Bound = start; Layers = [] } lower upper

        let branch (ball: ReluBall) =
            // A nominal bound says nothing on a part of the box.
            let above =
                match definition with
                | Uniform -> start.Value
                | Nominal -> Double.PositiveInfinity

            let found =
                ExactBoxSearch.uniform
                    context
                    ball
                    (ball.InwardDown attained.Value)
                    (ball.InwardUp above)
                    tolerance
                    isOver

            let lower =
                match definition with
                | Uniform -> ball.Downward found.Lower
                | Nominal -> 0.0

            let left =
                ExactSearchResult.ending definition found.Left found.Lower found.Upper tolerance (isOver ())

            outcome
                (ball.Upward found.Upper)
                lower
                found.Parts
                $"branch and bound over {found.Parts} parts of the box, {left}"

        match ball with
        | Error reason -> outcome Double.PositiveInfinity 0.0 0 $"not branched: {reason}"
        | Ok ball when definition = Nominal && areFew ball ->
            match ExactBoxPairs.nominal context ball network.InputShape isOver with
            | Error _ -> branch ball
            | Ok bracket ->
                outcome
                    bracket.Upper
                    bracket.Lower
                    bracket.Regions
                    $"the largest slope from the input within {bracket.Regions} regions"
        | Ok ball -> branch ball
