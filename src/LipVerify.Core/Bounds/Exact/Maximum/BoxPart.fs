namespace LipVerify.Core.Bounds.Exact.Maximum

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Chains

/// A part of a box: what its half-spaces leave of the ReLUs' choices. Points are `x0 + ε s`, `|s| ≤ 1`.
[<ReferenceEquality>]
type internal BoxPart =
    {
        /// Slopes 0 and 1, layer by layer; −1 where both are possible.
        Slopes: int[][]
        /// True where the slope was chosen, so that it cuts the box.
        Chosen: bool[][]
        /// Lower bounds on the pre-activations in the part.
        Lower: float[][]
        /// Upper bounds.
        Upper: float[][]
        /// How fast the pre-activations move, `‖·‖₁` of their rates, for the order of choices alone.
        Speeds: float[][]
        /// Half-spaces that hold in the part.
        Cuts: BoxCut[]
    }

/// The pre-activations of one layer as affine functions `Offsets + Rates·z` of `z = (s, e)`, `|e| ≤ 1`: the inputs, and a variable
/// for each ReLU before it whose slope is open.
[<ReferenceEquality>]
type private LayerForms =
    {
        Offsets: float[]
        Rates: float[][]
        /// Sums of sizes behind the offsets: what their rounding is relative to.
        OffsetSizes: float[]
        /// Sums of sizes behind offsets and rates.
        Sizes: float[]
    }

/// Affine arithmetic through a network over parts of a box. Within a part `y = c + G (s, e)` holds with the same `e` for all neurons,
/// so that half-spaces of one layer tighten those of the next.
[<Sealed>]
type internal BoxForms(ball: ReluBall) =
    let chain, center, radius = ball.Chain, ball.Center, ball.Radius
    let hidden = chain.Steps.Length - 1
    let planes = ReluChain.planes chain

    let rounding =
        let widest =
            chain.Steps
            |> Array.map (fun step -> max step.Rows.Length step.Rows[0].Length)
            |> Array.max

        8.0 * Rounding.gamma ((widest + 8) * chain.Steps.Length)

    /// A bound on the rounding of an offset, what products lose below the range of doubles included; 0 where nothing was added up.
    let offsetError size =
        if size = 0.0 then
            0.0
        else
            rounding * size + Math.ScaleB(1.0, -900)

    /// Sums of sizes behind a step.
    let sizesOf (step: ReluStep) (sizes: float[]) =
        Array.map2
            (fun row b -> Array.fold2 (fun sum w size -> sum + abs w * size) (abs b) row sizes)
            step.Rows
            step.Bias

    let first =
        let step = chain.Steps[0]

        {
            Offsets = Array.map2 (fun row b -> ReluChain.dot row center + b) step.Rows step.Bias
            Rates = step.Rows |> Array.map (Array.map (fun w -> radius * w))
            OffsetSizes = sizesOf step (center |> Array.map abs)
            Sizes = sizesOf step (center |> Array.map (fun x -> abs x + radius))
        }

    /// The same half-space among the cuts, on this side or on the other.
    let known (cuts: ResizeArray<BoxCut>) (cut: BoxCut) =
        if cuts.Exists(fun c -> c.Plane = cut.Plane) then 1
        elif cuts.Exists(fun c -> c.Plane = -cut.Plane) then 0
        else -1

    /// The interval of a pre-activation over the box, what was known before and the cuts.
    let interval (cuts: ResizeArray<BoxCut>) (forms: LayerForms) i low high =
        let offset, rates = forms.Offsets[i], forms.Rates[i]
        let reach = Array.sumBy abs rates
        let error = rounding * forms.Sizes[i]
        let low = max low (offset - reach - error)
        let high = min high (offset + reach + error)

        if cuts.Count = 0 || not (low < 0.0 && high > 0.0) then
            struct (low, high)
        else
            let highest = BoxCuts.maximum cuts rates offset + error

            let lowest = -(BoxCuts.maximum cuts (rates |> Array.map (~-)) -offset + error)

            struct (max low lowest, min high highest)

    /// Behind the ReLUs and the next affine map.
    let advance (forms: LayerForms) (slopes: int[]) (low: float[]) (high: float[]) layer =
        let opened =
            [|
                for i in 0 .. slopes.Length - 1 do
                    if slopes[i] < 0 then
                        i
            |]

        let width = forms.Rates[0].Length
        let offsets = Array.copy forms.Offsets
        let offsetSizes = Array.copy forms.OffsetSizes
        let sizes = Array.copy forms.Sizes

        let rates =
            Array.init slopes.Length (fun _ -> Array.zeroCreate<float>(width + opened.Length))

        for i in 0 .. slopes.Length - 1 do
            match slopes[i] with
            | 0 ->
                offsets[i] <- 0.0
                offsetSizes[i] <- 0.0
                sizes[i] <- 0.0
            | 1 -> Array.blit forms.Rates[i] 0 rates[i] 0 width
            | _ ->
                // Between `λ y` and `λ y + h`, with the chord over the interval.
                let chord = high[i] / (high[i] - low[i])
                let half = -0.5 * low[i] * chord
                offsets[i] <- chord * offsets[i] + half

                for k in 0 .. width - 1 do
                    rates[i][k] <- chord * forms.Rates[i][k]

                rates[i][width + Array.BinarySearch(opened, i)] <- half
                offsetSizes[i] <- offsetSizes[i] + 2.0 * half
                sizes[i] <- sizes[i] + 2.0 * half

        let step = chain.Steps[layer + 1]

        {
            Offsets = Array.map2 (fun row b -> ReluChain.dot row offsets + b) step.Rows step.Bias
            Rates = step.Rows |> Array.map (fun row -> ReluChain.combination row rates)
            OffsetSizes = sizesOf step offsetSizes
            Sizes = sizesOf step sizes
        }

    /// The whole box, nothing known or chosen.
    member _.Whole =
        let each value =
            Array.init hidden (fun k -> Array.create chain.Steps[k].Rows.Length value)

        {
            Slopes = each -1
            Chosen = each false
            Lower = each Double.NegativeInfinity
            Upper = each Double.PositiveInfinity
            Speeds = [||]
            Cuts = [||]
        }

    /// Bounds the pre-activations in a part, and finds the slopes that its choices imply; none where nothing is left of it.
    member _.Settle(part: BoxPart) : BoxPart option =
        let copy (layers: 'a[][]) = layers |> Array.map Array.copy
        let slopes = copy part.Slopes
        let lower = copy part.Lower
        let upper = copy part.Upper
        let speeds = slopes |> Array.map (fun layer -> Array.zeroCreate<float> layer.Length)
        let cuts = ResizeArray<BoxCut>()
        let mutable forms = first
        let mutable isEmpty = false
        let mutable layer = 0
        // Which ReLUs of the layer before are off.
        let mutable isOff = [||]

        let settle i =
            let rates = forms.Rates[i]
            let reach = Array.sumBy abs rates
            speeds[layer][i] <- rates |> Seq.truncate center.Length |> Seq.sumBy abs
            let struct (low, high) = interval cuts forms i (lower[layer][i]) (upper[layer][i])

            let cut =
                if reach > 0.0 then
                    BoxCuts.create
                        (planes[layer][i])
                        rates
                        forms.Offsets[i]
                        (offsetError forms.OffsetSizes[i])
                        (rounding * forms.Sizes[i])
                    |> Some
                else
                    None

            let implied =
                if layer = 0 then
                    -1
                else
                    ReluChain.impliedSlope isOff (chain.Steps[layer].Rows[i]) (chain.Steps[layer].Bias[i])

            let side =
                match cut with
                | _ when implied >= 0 -> implied
                | Some cut -> known cuts cut
                | None -> -1

            if low > high then
                isEmpty <- true
            elif part.Chosen[layer][i] then
                let positive = slopes[layer][i] = 1

                if
                    (if positive then
                         high < 0.0 || side = 0
                     else
                         low > 0.0 || side = 1)
                then
                    isEmpty <- true
                else
                    lower[layer][i] <- if positive then max low 0.0 else low
                    upper[layer][i] <- if positive then high else min high 0.0

                    cut
                    |> Option.iter (fun cut -> cuts.Add(if positive then cut else BoxCuts.opposite cut))
            else
                lower[layer][i] <- low
                upper[layer][i] <- high

                if slopes[layer][i] < 0 then
                    if side >= 0 then
                        slopes[layer][i] <- side
                    elif high <= 0.0 then
                        slopes[layer][i] <- 0
                    elif low >= 0.0 then
                        slopes[layer][i] <- 1

        while layer < hidden && not isEmpty do
            // The choices of the layer first: its other neurons are bounded with them.
            let chosen, others =
                [| 0 .. slopes[layer].Length - 1 |]
                |> Array.partition (fun i -> part.Chosen[layer][i])

            Array.append chosen others
            |> Array.iter (fun i ->
                if not isEmpty then
                    settle i)

            if not isEmpty && layer + 1 < hidden then
                forms <- advance forms (slopes[layer]) (lower[layer]) (upper[layer]) layer

            isOff <- slopes[layer] |> Array.map ((=) 0)
            layer <- layer + 1

        if isEmpty then
            None
        else
            Some
                { part with
                    Slopes = slopes
                    Lower = lower
                    Upper = upper
                    Speeds = speeds
                    Cuts = cuts.ToArray()
                }
