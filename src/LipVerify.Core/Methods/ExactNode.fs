namespace LipVerify.Core

open System

/// A choice of slopes for the ReLUs of the first layers, the half-spaces that it takes, and the affine map that the network is
/// there, up to the pre-activations of the layer whose slopes are being chosen. Points of the ball are `x0 + ε s`, `‖s‖ ≤ 1`,
/// in the 2-norm or the maximum norm.
[<ReferenceEquality>]
type internal ExactNode =
    {
        /// The layer whose ReLUs are being decided; the last one has none.
        Layer: int
        /// Its pre-activations' rates of change by `δ`, row by row.
        Rates: float[][]
        /// Its pre-activations at `x0`, as this choice of slopes continues them.
        Offsets: float[]
        /// Sums of sizes behind each rate: what its rounding is relative to.
        RateSizes: float[]
        /// Sums of sizes behind each offset.
        OffsetSizes: float[]
        /// Slopes 0 and 1 of its ReLUs; −1 where both are possible.
        Slopes: int[]
        /// Where the slopes chosen hold.
        Cuts: HalfSpace[]
        /// A point in the interior of all cuts and the ball, where one is known.
        Witness: float[] option
    }

/// Branching on the slopes of ReLUs, layer by layer: a region is cut off only where it surely has no interior in the ball.
[<Sealed>]
type internal ExactBranching(chain: ReluChain, norm: Norm, center: float[], radius: float) =
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

    let length (v: float[]) = sqrt (ReluChain.dot v v)

    /// True where a pre-activation does not move, up to rounding.
    let still node i =
        length node.Rates[i] <= rounding * node.RateSizes[i]

    let halfSpace node i positive =
        let sign = if positive then 1.0 else -1.0
        let length = length node.Rates[i]

        let error = rounding * (extent * scale * node.RateSizes[i] + node.OffsetSizes[i])

        {
            Normal = node.Rates[i] |> Array.map (fun x -> sign * x / length)
            Offset = sign * node.Offsets[i] / (scale * length)
            Slack = error / (scale * length) + 1e-13 * extent
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

    let undecided (step: ReluStep) layer =
        if layer = chain.Steps.Length - 1 then
            Array.create step.Rows.Length 1
        else
            Array.create step.Rows.Length -1

    /// The pre-activations of the next layer, once all slopes of this one are chosen.
    let advance node =
        let step = chain.Steps[node.Layer + 1]
        let kept = node.Slopes |> Array.map float
        let masked (values: float[]) = Array.map2 (*) kept values

        let sizes (values: float[]) =
            step.Rows
            |> Array.map (fun row -> Array.map abs row |> ReluChain.dot (masked values))

        { node with
            Layer = node.Layer + 1
            Rates =
                step.Rows
                |> Array.map (fun row -> ReluChain.combination (masked row) node.Rates)
            Offsets = Array.map2 (fun row b -> ReluChain.dot row (masked node.Offsets) + b) step.Rows step.Bias
            RateSizes = sizes node.RateSizes
            OffsetSizes = Array.map2 (fun size b -> size + abs b) (sizes node.OffsetSizes) step.Bias
            Slopes = undecided step (node.Layer + 1)
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

        {
            Layer = 0
            Rates = step.Rows
            Offsets = Array.map2 (fun row b -> ReluChain.dot row center + b) step.Rows step.Bias
            RateSizes = step.Rows |> Array.map length
            OffsetSizes =
                Array.map2
                    (fun row b -> ReluChain.dot (Array.map abs row) (Array.map abs center) + abs b)
                    step.Rows
                    step.Bias
            Slopes = undecided step 0
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

    /// A bound on the rounding of the affine map of a node, over the ball.
    member _.Error node =
        rounding
        * length (Array.map2 (fun rate offset -> extent * scale * rate + offset) node.RateSizes node.OffsetSizes)

    /// The point of the ball at `s`.
    member _.Point(s: float[]) =
        Array.map2 (fun c s -> c + scale * s) center s
