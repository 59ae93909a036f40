namespace LipVerify.Core.Bounds.Exact.Euclidean

open System
open LipVerify.Core.Computation
open LipVerify.Core.Chains
open LipVerify.Core.Bounds.Multipliers.Representation
open LipVerify.Core.Bounds.Multipliers.Solver

/// A bound on the norms of the Jacobians in a region.
[<Struct>]
type internal RegionBound =
    {
        /// No Jacobian has a larger norm.
        Value: float
        /// True where every ReLU turned out to have one slope: then it is the norm of the region's Jacobian.
        IsExact: bool
    }

/// Local LipSDP (METHODS section 7, uniform slopes) within one region: the slopes chosen are 0 and 1, the other ReLUs get
/// intervals from zonotopes over the ball. Rounding is not enclosed.
[<Sealed>]
type internal ExactRegionBound
    (
        context: Context,
        ball: ReluBall,
        /// Enclosures of the pre-activations over the whole ball, layer by layer; empty where there are none.
        enclosures: struct (float[] * float[])[]
    ) =
    let chain, radius, inputs = ball.Chain, ball.Radius, ball.Center.Length
    let width = inputs + chain.Neurons

    /// The values of a layer as zonotope `center + Z (δ, e)`, `‖δ‖ ≤ ε`, `|e| ≤ 1`, and their changes as `X (δ, w)`.
    let extend (rows: float[][]) =
        rows
        |> Array.map (fun row -> Array.append row (Array.zeroCreate (width - row.Length)))

    let interval layer (center: float[]) (zonotope: float[][]) i =
        let row = zonotope[i]
        let mutable square = 0.0
        let mutable sum = 0.0

        for j in 0 .. row.Length - 1 do
            if j < inputs then
                square <- square + row[j] * row[j]
            else
                sum <- sum + abs row[j]

        let reach = radius * sqrt square + sum
        // Far more than what is rounded here.
        let reach = reach + 1e-11 * (reach + abs center[i])

        if enclosures.Length = 0 then
            struct (center[i] - reach, center[i] + reach)
        else
            let struct (lower, upper) = enclosures[layer]
            struct (max lower[i] (center[i] - reach), min upper[i] (center[i] + reach))

    let scaled factor = Array.map (fun x -> factor * x)

    let represent (blocks: ResizeArray<float[]>) (outputs: float[][]) : LinearFractional =
        let columns = inputs + blocks.Count

        let values =
            Seq.append blocks outputs |> Seq.collect (Array.take columns) |> Array.ofSeq

        {
            Inputs = inputs
            Uncertain = blocks.Count
            Outputs = outputs.Length
            Values = values
            Errors = Array.zeroCreate values.Length
        }

    /// From the pre-activations of a layer to the outputs; `chosen` are the slopes of the layer.
    let rec propagate layer (chosen: int[]) (center: float[]) zonotope forms (blocks: ResizeArray<float[]>) noise =
        if layer = chain.Steps.Length - 1 then
            represent blocks forms
        else
            let center = Array.copy center
            let zonotope = Array.copy zonotope
            let forms = Array.copy forms
            let mutable noise = noise

            for i in 0 .. center.Length - 1 do
                let struct (lower, upper) = interval layer center zonotope i

                if chosen[i] = 0 || (chosen[i] < 0 && upper <= 0.0) then
                    center[i] <- 0.0
                    zonotope[i] <- Array.zeroCreate width
                    forms[i] <- Array.zeroCreate width
                elif not (chosen[i] = 1 || lower >= 0.0) then
                    // Between `λ y` and `λ y + μ`, with the chord over the interval.
                    let slope = upper / (upper - lower)
                    let height = -lower * slope
                    center[i] <- slope * center[i] + 0.5 * height
                    zonotope[i] <- scaled slope zonotope[i]
                    zonotope[i][noise] <- 0.5 * height
                    noise <- noise + 1
                    let half = scaled 0.5 forms[i]
                    forms[i] <- Array.copy half
                    forms[i][inputs + blocks.Count] <- 1.0
                    blocks.Add half

            let step = chain.Steps[layer + 1]

            let next rows =
                step.Rows |> Array.map (fun row -> ReluChain.combination row rows)

            propagate
                (layer + 1)
                (Array.create step.Rows.Length -1)
                (Array.map2 (fun row b -> ReluChain.dot row center + b) step.Rows step.Bias)
                (next zonotope)
                (next forms)
                blocks
                noise

    /// The bound for a node; the search for multipliers ends once `isOver` says so of the constant so far.
    member _.Of (node: ExactNode) isOver =
        let rates = extend node.Rates

        let lfr =
            propagate node.Layer node.Slopes node.Offsets rates rates (ResizeArray()) inputs

        if lfr.Uncertain = 0 then
            let norm = lfr.Values |> Array.chunkBySize inputs |> ExactNorm.ofRows

            { Value = norm; IsExact = true }
        else
            let value =
                if not (LinearFractional.isFinite lfr) then
                    Double.PositiveInfinity
                else
                    match MultiplierSearch.prove context lfr None None isOver with
                    | Some(struct (_, Some proved)) -> proved.Value
                    | Some(struct (_, None))
                    | None -> Double.PositiveInfinity

            { Value = value; IsExact = false }
