namespace LipVerify.Core

open System
open LipVerify.Compute

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

    /// Certificates of the loop's norm for one bound.
    let private proofs = 3

    /// Looseness aimed at where none is asked for.
    let private defaultTolerance (plan: LoopPlan) =
        if plan.Inputs > 100_000 then 5e-3 else 2e-3

    /// How far factors may move from those of the reaches; over all inputs there is no such start.
    let private spread = 1e4

    /// Norms of maps for the bounds on rounding, each computed when it is first asked for.
    let private mapNorms (context: Context) (steps: LoopStep list) : LoopRounding.MapNormTable =
        let rec maps steps =
            steps
            |> List.collect (fun step ->
                match step with
                | Mapped(_, map) -> [ map ]
                | Bent _ -> []
                | Added branches -> List.collect maps branches)

        let maps = maps steps

        let context =
            Context.share
                maps.Length
                { context with
                    Certification =
                        { context.Certification with
                            Tolerance = Some 0.25
                        }
                }

        let table =
            Collections.Generic.Dictionary<LinearMap, Lazy<LoopRounding.MapNorms>>(HashIdentity.Reference)

        maps
        |> List.iteri (fun index map ->
            table[map] <-
                lazy
                    (let struct (columns, rows) =
                        MaskedMap.absoluteNorms context.Engine (MaskedMap.mergeScales (MaskedMap.whole map))

                     {
                         Norm = (Spectral.coarseNorm (Context.forComputation index context) map).Value
                         Absolute = Rounding.mulUp (Rounding.sqrtUp columns) (Rounding.sqrtUp rows)
                     }))

        fun map -> table[map].Value

    /// `L·√(μ² + (μ² − 1)ω²)` for `‖K‖ ≤ μ` and `‖Dδ‖ ≤ ω‖dx‖`, or `L·μ` where `μ ≤ 1`, rounded upward (METHODS section 14a).
    let private lipschitzOf (scale: float) (mu: float) (omega: float) =
        let lipschitz = Rounding.divUp 1.0 scale

        if mu <= 1.0 then
            Rounding.mulUp lipschitz mu
        else
            let square = Rounding.mulUp mu mu

            let excess =
                Rounding.mulUp (Math.BitIncrement(square - 1.0)) (Rounding.mulUp omega omega)

            Rounding.mulUp lipschitz (Rounding.sqrtUp (Rounding.addUp square excess))

    /// `‖Dδ‖ ≤ ω‖dx‖` for the factors of the bound, from those of the reaches.
    let private residual (proved: ProvedReach) (factors: float[]) =
        if factors.Length = 0 then
            0.0
        else
            let ratio = Array.map2 Rounding.divUp proved.Factors factors |> Array.max
            Rounding.mulUp ratio proved.Residual

    /// A bound for a loop that is proved, from factors that are sought.
    let private boundLoop (context: Context) norms plan (proved: ProvedReach) lipschitz failure =
        let loop = proved.Loop
        let effort = SearchEffort.forPlan plan

        let report lipschitz =
            context.Report $"{loop.Channels} slopes that are not known, {Figure.upward lipschitz} so far"

        let tolerance =
            context.Certification.Tolerance
            |> Option.defaultWith (fun () -> defaultTolerance plan)

        let found =
            if loop.Channels = 0 then
                let norm = LoopWeights.norm context effort (LoopOperator.create loop [||] 1.0) 30

                ({ Factors = [||]; Lipschitz = norm }: LoopWeights.Found)
            else
                LoopWeights.forBound
                    (Context.withPart 0.6 context)
                    effort
                    loop
                    (1.0 / (1.0 + tolerance))
                    (if Double.IsFinite proved.Residual then
                         spread
                     else
                         Double.PositiveInfinity)
                    {
                        Factors = proved.Factors
                        Lipschitz = lipschitz
                    }
                    report

        if not (Double.IsFinite found.Lipschitz && found.Lipschitz > 0.0) then
            None
        else
            let context =
                { context with
                    Certification =
                        { context.Certification with
                            FailureProbability = failure
                        }
                }

            let omega = residual proved found.Factors

            /// The bound that is proved with this much room for the certificate's looseness.
            let prove index room =
                Context.attempt (Context.forComputation (7 + index) context) (fun context ->
                    let scale = 1.0 / (found.Lipschitz * (1.0 + room))

                    let certificate =
                        LoopGram.certify context norms (LoopOperator.create loop found.Factors scale) tolerance

                    let mu = Rounding.sqrtUp certificate.Upper
                    struct (mu, lipschitzOf scale mu omega))

            /// The least of what further and further rooms prove; the first with a norm below 1 is the last.
            let rec least index best =
                if index = proofs then
                    best
                else
                    match prove index (tolerance * (Math.Pow(4.0, float index) - 1.0)) with
                    | None -> best
                    | Some(struct (mu, value)) ->
                        let best = min best value
                        if mu <= 1.0 then best else least (index + 1) best

            Some(least 0 Double.PositiveInfinity) |> Option.filter Double.IsFinite

    /// Shares of the failure probability: norms of maps, reaches, and the loop.
    let private parts = 1 + LoopReach.parts + proofs

    /// The least of the structured bound and a coarser one. Which of them is less is known from their draws: what both promise counts.
    let private noneAbove
        (coarse: NetworkBound)
        method
        (context: Context)
        channels
        (found: float option)
        reason
        : StructuredBound =
        let isCut = Context.isOver context

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

    let private requireDraws (context: Context) =
        if context.Certification.Deterministic then
            raise (Spectral.NotCertifiableException "the structured bound rests on random draws")

    /// Bounds the local Lipschitz constant of the network around `input` over the ball of the given radius, until the time of `context` is
    /// over.
    let bound (context: Context) definition (network: Network) (input: Tensor) (radius: Radius) : StructuredBound =
        requireDraws context
        let context = Context.share 2 context

        let analytic =
            Analytic.bound (Context.withPart 0.3 (Context.forComputation 1 context)) definition network input radius

        let context = Context.forComputation 2 context
        let noneAbove = noneAbove analytic "Algorithm 1" context

        if radius.Value = 0.0 then
            noneAbove 0 None "the ball is a point"
        else
            let failure = (Context.share parts context).Certification.FailureProbability
            let plan = LoopPlan.ofNetwork context network input
            let norms = mapNorms (Context.share parts context) plan.Steps

            let proved =
                Context.attempt (Context.withPart 0.6 context) (fun context ->
                    LoopReach.find context norms definition plan radius.Value failure)
                |> Option.flatten

            match proved with
            | None -> noneAbove 0 None "no reaches were found that could be proved"
            | Some proved ->
                let linear =
                    LoopWeights.norm context (SearchEffort.forPlan plan) (LoopReach.linear plan) 10

                let found =
                    boundLoop context norms plan proved (1.2 * linear + Double.Epsilon) failure

                noneAbove proved.Loop.Channels found "weights prove no less"

    /// Bounds the Lipschitz constant of the network over all inputs, until the time of `context` is over.
    let ``global`` (context: Context) (network: Network) : StructuredBound =
        requireDraws context
        let context = Context.share 2 context
        let product = Global.bound (Context.forComputation 1 context) network
        let context = Context.forComputation 2 context
        let failure = (Context.share parts context).Certification.FailureProbability

        let plan = LoopPlan.ofNetwork context network (Tensor.create network.InputShape 0.0)

        let norms = mapNorms (Context.share parts context) plan.Steps

        let found =
            Context.attempt context (fun context ->
                let open' = LoopReach.everywhere context plan
                struct (open'.Loop.Channels, boundLoop context norms plan open' product.Bound.Value failure))

        match found with
        | None -> noneAbove product "the product of layers" context 0 None "the time was over"
        | Some(struct (channels, found)) ->
            noneAbove product "the product of layers" context channels found "weights prove no less"
