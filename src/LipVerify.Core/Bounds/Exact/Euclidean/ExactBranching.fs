namespace LipVerify.Core.Bounds.Exact.Euclidean

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Chains

/// What is known of the pre-activations at the nominal input.
[<RequireQualifiedAccess>]
type internal Origin =
    /// As computed in doubles.
    | Rounded
    /// As they are: a kink lies on the input or beside it, however near.
    | Exactly

/// Branching on the slopes of ReLUs, layer by layer: a region is cut off only where it surely has no interior in the ball.
[<Sealed>]
type internal ExactBranching(ball: ReluBall, norm: Norm, origin: Origin) =
    let chain, center, radius = ball.Chain, ball.Center, ball.Radius

    let planes = ReluChain.planes chain

    let domain =
        match norm with
        | _ when not (Double.IsFinite radius) -> Space
        | Euclidean -> UnitBall
        | Maximum -> UnitBox
        | Taxicab -> invalidArg (nameof norm) "regions of balls in the 1-norm are not branched"

    let scale = if domain = Space then 1.0 else radius

    /// The largest 2-norm in the domain.
    let extent = if domain = UnitBox then sqrt (float center.Length) else 1.0

    /// A bound on the relative errors of rates and offsets, with room to spare.
    let rounding =
        let widest =
            chain.Steps
            |> Array.map (fun step -> max step.Rows.Length step.Rows[0].Length)
            |> Array.max

        4.0 * Rounding.gamma ((widest + 8) * chain.Steps.Length)

    /// What products of small numbers may lose below the range of doubles, far less than any weight of a chain.
    let underflow = Math.ScaleB(1.0, -900)

    /// Distances of kinks from `x0`, in radii, below which numbers do not tell them apart all along the way.
    let nearest = Math.ScaleB(1.0, -300)

    /// True where a pre-activation does not move, up to rounding.
    let still node i =
        ReluChain.length node.Rates[i] <= rounding * node.RateSizes[i]

    /// A bound on the error of an offset; 0 where nothing was added up.
    let offsetError size =
        if size = 0.0 then 0.0 else rounding * size + underflow

    /// A bound on the error of a pre-activation over the domain.
    let error node i =
        rounding * extent * scale * node.RateSizes[i] + offsetError node.OffsetSizes[i]

    /// The offsets of a step, with the sums of sizes behind them and without rounding, from those of the values before.
    let offsets (step: ReluStep) (values: float[]) (sizes: float[]) (exact: Dyadic[]) =
        match origin with
        | Origin.Rounded ->
            struct (Array.map2 (fun row b -> ReluChain.dot row values + b) step.Rows step.Bias,
                    Array.map2 (fun row b -> ReluChain.dot (Array.map abs row) sizes + abs b) step.Rows step.Bias,
                    [||])
        | Origin.Exactly ->
            let exact =
                Array.map2
                    (fun row b -> Dyadic.add (Dyadic.combination row exact) (Dyadic.ofFloat b))
                    step.Rows
                    step.Bias

            let offsets = exact |> Array.map Dyadic.toFloat
            struct (offsets, offsets |> Array.map abs, exact)

    /// `f(x0)` without rounding, where that is asked for.
    let nominal =
        let values, last = Array.splitAt (chain.Steps.Length - 1) chain.Steps

        let apply values step =
            let struct (_, _, exact) = offsets step [||] [||] values
            exact

        match origin with
        | Origin.Rounded -> [||]
        | Origin.Exactly ->
            (Array.map Dyadic.ofFloat center, values)
            ||> Array.fold (fun values step -> apply values step |> Array.map Dyadic.rectify)
            |> fun values -> apply values last[0]

    let halfSpace node i positive =
        let sign = if positive then 1.0 else -1.0
        let length = ReluChain.length node.Rates[i]

        {
            Normal = node.Rates[i] |> Array.map (fun x -> sign * x / length)
            Offset = sign * node.Offsets[i] / (scale * length)
            Error = offsetError node.OffsetSizes[i] / (scale * length)
            Slack = error node i / (scale * length) + 1e-13 * extent
            Plane = (if positive then 1 else -1) * planes[node.Layer][i]
        }

    let decide (node: ExactNode) halfSpace =
        match node.Witness with
        | Some point when ExactRegion.inside point halfSpace -> At point
        | _ -> ExactRegion.decide domain (Array.append node.Cuts [| halfSpace |])

    let isPossible node i positive =
        match decide node (halfSpace node i positive) with
        | Apart -> false
        | At _
        | Unknown -> true

    /// Decides the ReLUs that have one slope in the region; none where the region turns out to be empty.
    let settle (node: ExactNode) =
        let slopes = Array.copy node.Slopes
        let mutable isEmpty = false

        for i in 0 .. slopes.Length - 1 do
            if slopes[i] < 0 then
                if still node i then
                    slopes[i] <- if node.Offsets[i] > 0.0 then 1 else 0
                else
                    match isPossible node i true, isPossible node i false with
                    | true, true -> ()
                    | true, false -> slopes[i] <- 1
                    | false, true -> slopes[i] <- 0
                    | false, false -> isEmpty <- true

        if isEmpty then None else Some { node with Slopes = slopes }

    /// The slopes of a layer, as far as the ReLUs before it imply them; the last one has no ReLUs.
    let slopes layer isOff =
        let step = chain.Steps[layer]

        if layer = chain.Steps.Length - 1 then
            Array.create step.Rows.Length 1
        elif layer = 0 then
            Array.create step.Rows.Length -1
        else
            Array.map2 (ReluChain.impliedSlope isOff) step.Rows step.Bias

    /// The pre-activations of the next layer, once all slopes of this one are chosen.
    let advance node =
        let step = chain.Steps[node.Layer + 1]

        let masked (values: float[]) =
            Array.map2 (fun slope x -> if slope = 1 then x else 0.0) node.Slopes values

        // A pre-activation that does not move may have either sign, within rounding of 0: its rounding counts whatever slope it was given.
        let isOff =
            node.Slopes
            |> Array.mapi (fun i slope -> slope = 0 && not (still node i && abs node.Offsets[i] <= error node i))

        let counted = Array.map2 (fun isOff size -> if isOff then 0.0 else size) isOff

        let rateSize (row: float[]) =
            let size = ReluChain.dot (Array.map abs row) (counted node.RateSizes)
            if size > 0.0 then size + underflow else 0.0

        let exact =
            Array.map2
                (fun slope value -> if slope = 1 then value else Dyadic.zero)
                node.Slopes[.. node.Exact.Length - 1]
                node.Exact

        let struct (offsets, offsetSizes, exact) =
            offsets step (masked node.Offsets) (counted node.OffsetSizes) exact

        { node with
            Layer = node.Layer + 1
            Rates =
                step.Rows
                |> Array.map (fun row -> ReluChain.combination (masked row) node.Rates)
            Offsets = offsets
            Exact = exact
            RateSizes = step.Rows |> Array.map rateSize
            OffsetSizes = offsetSizes
            Slopes = slopes (node.Layer + 1) isOff
        }

    /// The node behind all layers that have no choice left; none where its region is empty.
    let rec proceed node =
        match settle node with
        | Some node when
            node.Layer < chain.Steps.Length - 1
            && Array.forall (fun slope -> slope >= 0) node.Slopes
            ->
            proceed (advance node)
        | settled -> settled

    /// The whole ball.
    member _.Root =
        let step = chain.Steps[0]

        let struct (offsets, offsetSizes, exact) =
            offsets step center (Array.map abs center) (Array.map Dyadic.ofFloat center)

        {
            Layer = 0
            Rates = step.Rows
            Offsets = offsets
            Exact = exact
            RateSizes = step.Rows |> Array.map ReluChain.length
            OffsetSizes = offsetSizes
            Slopes = slopes 0 [||]
            Cuts = [||]
            Witness = Some(Array.zeroCreate center.Length)
        }
        |> proceed

    /// True where every slope is chosen: `Rates` is the Jacobian.
    member _.IsLeaf node = node.Layer = chain.Steps.Length - 1

    /// The regions on both sides of an undecided ReLU, those that surely have no interior left out.
    member _.Split node i =
        [ true; false ]
        |> List.choose (fun positive ->
            let cut = halfSpace node i positive

            let into witness =
                let slopes = Array.copy node.Slopes
                slopes[i] <- if positive then 1 else 0

                { node with
                    Slopes = slopes
                    Cuts = Array.append node.Cuts [| cut |]
                    Witness = witness
                }
                |> proceed

            match decide node cut with
            | Apart -> None
            | At point -> into (Some point)
            | Unknown -> into None)

    /// The undecided ReLU that moves the next layer most.
    member _.Choose node =
        let next = chain.Steps[node.Layer + 1].Rows

        let weight i =
            next |> Array.sumBy (fun row -> row[i] * row[i])

        [| 0 .. node.Slopes.Length - 1 |]
        |> Array.filter (fun i -> node.Slopes[i] < 0)
        |> Array.maxBy (fun i -> weight i * ReluChain.dot node.Rates[i] node.Rates[i])

    /// All choices of slopes whose regions cannot be left out.
    member branching.Leaves: ExactNode seq =
        let rec leaves node =
            seq {
                if branching.IsLeaf node then
                    yield node
                else
                    for part in branching.Split node (branching.Choose node) do
                        yield! leaves part
            }

        branching.Root |> Option.toList |> Seq.collect leaves

    /// A bound on the rounding of the rates of a node, in the 2-norm.
    member _.RateError(node: ExactNode) =
        rounding * ReluChain.length node.RateSizes

    /// `f(x0)` as the region of a leaf continues it, less `f(x0)`: within `rounding` of it, relative, where the origin is exact.
    member _.Shift(leaf: ExactNode) =
        Array.map2 (fun here value -> Dyadic.subtract here value |> Dyadic.toFloat) leaf.Exact nominal

    /// A bound on relative errors.
    member _.Rounding = rounding

    /// Whether a kink lies beside `x0`, but too near to it (`2⁻³⁰⁰` radii) to be told apart, or the outputs move as little.
    member branching.HasKinkTooNear(leaf: ExactNode) =
        leaf.Cuts
        |> Array.exists (fun cut -> cut.Offset <> 0.0 && abs cut.Offset < nearest)
        || branching.Shift leaf |> Array.exists (fun c -> abs c = Dyadic.smallest)

    /// The point of the ball at `s`.
    member _.Point(s: float[]) =
        Array.map2 (fun c s -> c + scale * s) center s
