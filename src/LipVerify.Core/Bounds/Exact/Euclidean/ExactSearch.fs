namespace LipVerify.Core.Bounds.Exact.Euclidean

open System
open System.Collections.Generic
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.LowerBounds
open LipVerify.Core.Enclosures
open LipVerify.Core.Chains
open LipVerify.Core.Bounds.Analytic
open LipVerify.Core.Bounds.Multipliers

/// Branch and bound over the slopes of ReLUs (METHODS section 11): each region of the ball is bounded by local LipSDP, the region
/// with the largest bound is split along a pre-activation, and regions that the ball does not meet are dropped. It may end at
/// any time: the largest bound of the regions left is the upper end.
module ExactSearch =

    /// Whether the faces of all regions can be visited (`ExactPairs`).
    let private areFew (ball: ReluBall) =
        ball.Chain.Neurons <= 14 && ball.Center.Length <= 4

    /// What ascents may take: a chain that is branched is small, and what is too large to branch may be too large for many ascents.
    let internal effort network (ball: Result<ReluBall, string>) =
        match ball with
        | Ok _ -> { Starts = 24; Rounds = 4; Steps = 20 }
        | Error _ -> Effort.fitting network

    /// The part of the time for the bound that branching starts from, which is all there will be where nothing is branched.
    let internal partBefore (ball: Result<ReluBall, string>) =
        match ball with
        | Ok _ -> 1.0 / 3.0
        | Error _ -> 2.0 / 3.0

    /// The enclosures of the pre-activations of a chain over the ball, in its units.
    let private enclose context (network: Network) input radius (chain: ReluChain) =
        let struct (_, enclosure) =
            Analytic.boundAndEnclosure context Crown Uniform network input radius

        let stages = enclosure.Stages |> Map.toArray |> Array.map snd

        let inUnits step (next: float -> float) (ends: Tensor) =
            Array.map2
                (fun y e -> if y = 0.0 then 0.0 else next (Math.ScaleB(y, -e)))
                (Tensor.values ends)
                step.Exponents

        let fits =
            stages.Length = chain.Steps.Length - 1
            && Array.forall2
                (fun (e: Enclosure) (step: ReluStep) -> e.Lower.Length = step.Rows.Length)
                stages
                chain.Steps[.. stages.Length - 1]

        if fits then
            Array.map2
                (fun (e: Enclosure) step ->
                    struct (inUnits step Math.BitDecrement e.Lower, inUnits step Math.BitIncrement e.Upper))
                stages
                chain.Steps[.. stages.Length - 1]
        else
            [||]

    /// How far the search is.
    [<NoComparison; NoEquality>]
    type private Search =
        {
            Context: Context
            Ball: ReluBall
            Branching: ExactBranching
            Bounds: ExactRegionBound
            /// Regions left, the largest bound first.
            Open: PriorityQueue<struct (ExactNode * float), float>
            /// Ends the search.
            IsOver: unit -> bool
            /// The relative gap to be reached.
            Tolerance: float
            mutable Lower: float
            /// The largest norm of regions that are finished.
            mutable Closed: float
            mutable Regions: int
        }

    /// Bounds a region and puts it where it belongs; `above` bounds the region that it is part of.
    let private add search above (node: ExactNode) =
        search.Regions <- search.Regions + 1

        let isGoodEnough gamma =
            gamma <= search.Lower * (1.0 + 0.5 * search.Tolerance) || search.IsOver()

        let bound =
            if search.Branching.IsLeaf node then
                {
                    Value = ExactNorm.ofRows node.Rates
                    IsExact = true
                }
            else
                search.Bounds.Of node isGoodEnough

        node.Witness
        |> Option.bind (search.Branching.Point >> JacobianNorm.at search.Ball.Chain)
        |> Option.iter (fun norm -> search.Lower <- max search.Lower norm)

        if bound.IsExact then
            let error = search.Branching.RateError node
            search.Closed <- max search.Closed (min above (bound.Value * JacobianNorm.widen + error))

            if node.Witness.IsSome then
                search.Lower <- max search.Lower (bound.Value / JacobianNorm.widen - error)
        else
            let value = min above bound.Value
            search.Open.Enqueue(struct (node, value), -value)

    let private upper search =
        match search.Open.TryPeek() with
        | true, struct (_, value), _ -> max value search.Closed
        | _ -> search.Closed

    let rec private run search =
        Context.check search.Context
        let top = upper search

        search.Context.Report
            $"{search.Regions} regions: between {Figure.downward (search.Ball.Downward search.Lower)} and {Figure.upward (search.Ball.Upward top)}"

        let goOn =
            top > search.Lower * (1.0 + search.Tolerance)
            && search.Open.Count > 0
            && not (search.IsOver())

        if goOn then
            let struct (node, above) = search.Open.Dequeue()
            let parts = search.Branching.Split node (search.Branching.Choose node)

            for part in parts do
                add search above part

            run search

    /// Branch and bound for the uniform constant, from the bounds known at the start.
    let private branch context network (input: Tensor) (radius: Radius) isOver tolerance lower above (ball: ReluBall) =
        let branching = ExactBranching(ball, Euclidean, Origin.Rounded)

        let search =
            {
                Context = context
                Ball = ball
                Branching = branching
                Bounds = ExactRegionBound(context, ball, enclose context network input radius ball.Chain)
                Open = PriorityQueue()
                IsOver = isOver
                Tolerance = tolerance
                Lower = ball.InwardDown lower
                Closed = 0.0
                Regions = 0
            }

        branching.Root |> Option.iter (add search (ball.InwardUp above))
        run search
        search

    /// Why a network would not be branched, in either norm: known at once.
    let declines (context: Context) (network: Network) (radius: Radius) =
        let centre = Array.zeroCreate (Shape.size network.InputShape)

        match ExactChain.branched context network centre radius with
        | Ok _ -> None
        | Error reason -> Some $"not branched: {reason}"

    /// Both ends of the local Lipschitz constant around `input`, until they are within `tolerance` of each other (1e-2 is 1 %) or `limit`
    /// is over. Branching bounds the uniform constant; for the nominal one its upper end holds too, and the lower end is what
    /// ascents from the input reach, but on networks of a few inputs and ReLUs both ends are found by `ExactPairs`. Networks other than chains of affine maps and ReLUs are not branched.
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
            LocalLipSdp.bound (Context.withPart (partBefore ball) context) definition network input radius None

        let attained =
            LowerBounds.best
                (Context.withPart 0.5 context)
                Euclidean
                definition
                network
                (RestrictedBall.whole input radius)
                (effort network ball)

        let lower = ExactSearchResult.certifiedOf attained

        let goOnBranching (ball: ReluBall) =
            // A nominal bound says nothing on a part of the ball.
            let above =
                match definition with
                | Uniform -> start.Result.Bound.Value
                | Nominal -> Double.PositiveInfinity

            let search =
                branch context network input radius isOver tolerance lower.Value above ball

            let found = ball.Downward search.Lower

            let lower =
                if definition = Uniform && found > lower.Value then
                    { Value = found; Rigor = Numerical }
                else
                    lower

            let left =
                ExactSearchResult.ending definition search.Open.Count search.Lower (upper search) tolerance (isOver ())

            ExactSearchResult.outcome
                start.Result
                lower
                (ball.Upward(upper search))
                search.Regions
                $"branch and bound over {search.Regions} regions, {left}"

        match ball with
        | Error reason ->
            ExactSearchResult.outcome start.Result lower Double.PositiveInfinity 0 $"not branched: {reason}"
        | Ok ball when definition = Nominal && areFew ball ->
            match Context.attempt context (fun context -> ExactPairs.local context network input radius) with
            | None
            | Some(Error _) -> goOnBranching ball
            | Some(Ok bracket) ->
                ExactSearchResult.outcome
                    start.Result
                    { lower with
                        Value = max lower.Value bracket.Lower
                    }
                    (bracket.Upper * JacobianNorm.widen)
                    bracket.Regions
                    $"the largest slope from the input to the faces of {bracket.Regions} regions"
        | Ok ball -> goOnBranching ball
