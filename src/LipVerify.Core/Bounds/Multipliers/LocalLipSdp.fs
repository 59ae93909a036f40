namespace LipVerify.Core.Bounds.Multipliers

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Bounds
open LipVerify.Core.Enclosures
open LipVerify.Core.Bounds.Analytic
open LipVerify.Core.Bounds.Multipliers.Representation
open LipVerify.Core.Bounds.Multipliers.Solver
open LipVerify.Core.Bounds.Structured

/// A bound by local LipSDP, and how it came about.
[<NoComparison>]
type LocalLipSdpBound =
    {
        /// The bound, never above that of Algorithm 1, with the layers of Algorithm 1.
        Result: NetworkBound
        /// Slopes that are not known, and so have a multiplier or a weight; 0 where Algorithm 1 gives the bound.
        Uncertain: int
        /// Whether the time was over first: more of it might have given less.
        IsCut: bool
        /// One line on what was bounded how.
        Explanation: string
    }

/// Local LipSDP with slope intervals (METHODS section 7).
module LocalLipSdp =

    /// Linear functions carried backward pay off up to this many values inside the network; beyond it they take many minutes.
    let private mostForCrown = 200_000L

    let private enclosureKind network =
        if CheaperBounds.values network <= mostForCrown then
            Crown
        else
            Interval

    /// Up to this many values inside the network reaches are narrowed for each try of what fits.
    let private mostForTries = 30_000L

    let internal analyticAlone (analytic: NetworkBound) isCut reason =
        {
            Result = analytic
            Uncertain = 0
            IsCut = isCut
            Explanation = $"the bound is that of Algorithm 1: {reason}"
        }

    /// Everything that is needed before multipliers are sought.
    [<ReferenceEquality>]
    type internal Prepared =
        {
            /// What Algorithm 1 gives.
            Analytic: NetworkBound
            /// What the enclosures promise, and so everything that rests on them.
            Rigor: Rigor
            /// Whether the whole network is too large for multipliers: Algorithm 1 takes some layers, or all.
            IsTooLarge: bool
            /// The constant of the layers that Algorithm 1 takes, the representation of the rest, and its name; or why there is none.
            Problem: Result<struct (Bound * LinearFractional * string), string>
        }

    /// The representation that leaves the fewest layers to Algorithm 1. In small networks narrowed reaches decide what fits; in large
    /// ones, where many tries fail, only the one that fits without them is narrowed.
    let private represent context definition network enclosures lines isOver read start =
        let fitting tighten =
            Representation.representWhatFits
                {
                    Context = context
                    Definition = definition
                    Enclosures = enclosures
                    Tighten = tighten
                }
                lines
                read

        let narrowed = fitting (Bootstrap.tighten context isOver)

        if CheaperBounds.values network <= mostForTries then
            narrowed start
        else
            fitting (fun _ signal -> signal) start |> Result.bind (fst >> narrowed)

    /// Whether half of the time that is left now is over: narrower reaches are of no use without time for the multipliers of the outputs.
    let internal halfOf context =
        let half = Context.withPart 0.5 context
        fun () -> Context.isOver half

    /// Algorithm 1 and the representation of `read` of the outputs; after half of the time no reaches are narrowed by multipliers any more.
    let internal prepare context definition (network: Network) (input: Tensor) (radius: Radius) read =
        let kind = enclosureKind network
        let isHalfOver = halfOf context

        let struct (analytic, enclosure) =
            Analytic.boundAndEnclosure context kind definition network input radius

        let represented =
            if radius.Value = 0.0 then
                None
            else
                Context.attempt context (fun context ->
                    Representation.startOf network input radius
                    |> represent context definition network enclosure.Stages analytic.Layers isHalfOver read)

        let problem =
            if radius.Value = 0.0 then
                Error "the ball is a point"
            else
                represented
                |> Option.defaultValue (Error "the time was over before multipliers were sought")
                |> Result.bind (fun (suffix, lfr) ->
                    if LinearFractional.isFinite lfr then
                        Ok(struct (suffix.Lipschitz, lfr, Representation.describe suffix))
                    else
                        Error "coefficients left the range of doubles")

        {
            Analytic = analytic
            Rigor = enclosure.Rigor
            IsTooLarge =
                match represented with
                | None -> false
                | Some(Error _) -> true
                | Some(Ok(suffix, _)) -> not suffix.Before.IsEmpty
            Problem = problem
        }

    /// The representation of the network, or of what Algorithm 1 leaves of it, over the ball around `input`, or why there is
    /// none: the problem whose multipliers local LipSDP seeks.
    let representation context definition network input radius : Result<LinearFractional, string> =
        (prepare context definition network input radius id).Problem
        |> Result.map (fun (struct (_, lfr, _)) -> lfr)

    /// A bound, or that of a cheaper method below it.
    let private noneAbove cheaper (found: LocalLipSdpBound) =
        match CheaperBounds.least found.Result.Bound cheaper with
        | _, None -> found
        | bound, Some method ->
            {
                Result = { found.Result with Bound = bound }
                Uncertain = 0
                IsCut = found.IsCut
                Explanation =
                    $"the bound is that of {method}, less than what was proved without it: {found.Explanation}"
            }

    /// The part of the time for a chain layer by layer, where one matrix may follow.
    let private chainPart = 0.5

    /// The least of a bound and of what a chain has layer by layer.
    let private orLayerByLayer (layered: EclipseBound option) (found: LocalLipSdpBound) =
        match layered with
        | Some layered when layered.Result.Bound.Value < found.Result.Bound.Value ->
            {
                Result =
                    { found.Result with
                        Bound = layered.Result.Bound
                    }
                Uncertain = layered.Slopes
                IsCut = layered.IsCut
                Explanation = $"handed over to the method eclipse: {layered.Explanation}"
            }
        | _ -> found

    /// The structured bound, where multipliers do not take the whole network and draws are allowed. The part of it that they take gets half of
    /// the time.
    let private handOver (context: Context) definition network input radius prepared =
        if
            not prepared.IsTooLarge
            || context.Certification.Deterministic
            || Context.isOver context
        then
            None
        else
            let part = if Result.isOk prepared.Problem then 0.5 else 1.0
            let context = context |> Context.forComputation 1 |> Context.withPart part
            Some(Structured.bound context definition network input radius)

    /// The least of a bound and the structured one, where there is one. Where both have draws, which of them is less depends on all of these.
    let private orStructured (structured: StructuredBound option) (found: LocalLipSdpBound) =
        match structured with
        | None -> found
        | Some structured ->
            let own, other = found.Result.Bound, structured.Result.Bound
            let isLess = other.Value < own.Value

            let rigor =
                if own.Rigor = Certified && not isLess then
                    Certified
                else
                    Rigor.combine own.Rigor other.Rigor

            {
                Result =
                    { found.Result with
                        Bound =
                            {
                                Value = min own.Value other.Value
                                Rigor = rigor
                            }
                    }
                Uncertain = if isLess then structured.Uncertain else found.Uncertain
                IsCut = found.IsCut || structured.IsCut
                Explanation =
                    if isLess then
                        $"the network is too large for multipliers: handed over to the method structured, {structured.Explanation}"
                    else
                        $"{found.Explanation}; the method structured shows no less"
            }

    /// Bounds the local Lipschitz constant of the network around `input` over the ball of the given radius: the least of what
    /// Algorithm 1, the multipliers and cheaper methods prove, and of the structured bound where multipliers do not take the whole network. By the
    /// end of `limit` the best so far has to do.
    let bound
        (context: Context)
        definition
        (network: Network)
        (input: Tensor)
        (radius: Radius)
        (limit: TimeSpan option)
        : LocalLipSdpBound =
        let context = Context.share 2 (Context.within limit context)
        let cheaper = CheaperBounds.overBall context definition network input radius

        let layered =
            if Eclipse.isDeep network then
                Eclipse.tryCertified (Context.withPart chainPart context) definition network input radius
            else
                None

        let prepared = prepare context definition network input radius id

        let structured =
            if layered.IsSome then
                None
            else
                handOver context definition network input radius prepared

        let alone reason =
            analyticAlone prepared.Analytic (Context.isOver context) reason

        /// Where one matrix gives nothing, layers may, if they were not tried.
        let orWithoutMatrix (found: LocalLipSdpBound) =
            let hasNothing =
                found.Result.Bound.Value = prepared.Analytic.Bound.Value && radius.Value > 0.0

            if
                hasNothing
                && not (prepared.IsTooLarge || Eclipse.isDeep network || Context.isOver context)
            then
                orLayerByLayer (Eclipse.tryCertified context definition network input radius) found
            else
                found

        match prepared.Problem with
        | Error reason -> alone reason
        | Ok _ when Context.isOver context -> alone "the time was over before multipliers were sought"
        | Ok(before, lfr, place) ->
            let struct (found, isCut) =
                MultiplierSearch.proveInTime context lfr None None (fun _ -> false)

            let alone = analyticAlone prepared.Analytic isCut

            match found with
            | None
            | Some(struct (_, None)) when isCut -> alone "the time was over before multipliers proved a bound"
            | None
            | Some(struct (_, None)) -> alone "no multipliers were found that prove a bound"
            | Some(struct (_, Some proved)) ->
                // One run of Algorithm 1 made every draw that anything here rests on: each counts once.
                let total =
                    { Propositions.composition before proved with
                        Rigor = Rigor.combine prepared.Rigor proved.Rigor
                    }

                if total.Value < prepared.Analytic.Bound.Value then
                    {
                        Result = { prepared.Analytic with Bound = total }
                        Uncertain = lfr.Uncertain
                        IsCut = isCut
                        Explanation = $"multipliers for {lfr.Uncertain} slopes that are not known bound {place}"
                    }
                elif isCut then
                    alone "the time was over before multipliers proved less"
                else
                    alone "multipliers prove no less"
        |> orStructured structured
        |> orLayerByLayer layered
        |> orWithoutMatrix
        |> noneAbove cheaper
