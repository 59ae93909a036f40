namespace LipVerify.Core.Loops.Operator

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Activations
open LipVerify.Core.Networks

/// How far increments reach at a place.
[<NoEquality; NoComparison>]
type internal PlaceReach =
    {
        /// `|dz_i|`, one an entry.
        Entries: float[]
        /// `|dz_l − dz_a|` for each pair of a round; empty at activations.
        Pairs: float[]
    }

/// What a bend rests on: bounds on increments over all permitted inputs.
[<NoEquality; NoComparison>]
type internal Claims =
    {
        /// The entry `i`, or the difference of pair `k` as `−1 − k`.
        At: int[]
        /// `|dz| ≤ Bound`.
        Bound: float[]
    }

/// The slopes of a plan's bends over the inputs for which increments reach no further than given (METHODS section 14a).
module internal LoopSlopes =

    /// Reaches of 0 everywhere: with them, the loop of the plan is the linearisation at the nominal input, up to ties.
    let still (plan: LoopPlan) : PlaceReach[] =
        plan.Places
        |> Array.map (fun place ->
            match place with
            | ActivationPlace(nominal, _) ->
                {
                    Entries = Array.zeroCreate nominal.Value.Length
                    Pairs = [||]
                }
            | RoundPlace(nominal, pairs, _) ->
                {
                    Entries = Array.zeroCreate nominal.Value.Length
                    Pairs = Array.zeroCreate pairs.Length
                })

    let private low (nominal: EnclosedTensor) i =
        let values, errors = Tensor.values nominal.Value, Tensor.values nominal.Error
        let value, error = values[i], errors[i]

        if error = 0.0 then
            value
        else
            Math.BitDecrement(value - error)

    let private high (nominal: EnclosedTensor) i =
        let values, errors = Tensor.values nominal.Value, Tensor.values nominal.Error
        Rounding.addUp values[i] errors[i]

    let private activationBend
        definition
        (nominal: EnclosedTensor)
        (activations: EntryActivations)
        (reach: PlaceReach)
        first
        : struct (Bend * Claims) =
        let n = nominal.Value.Length
        let slopes = Array.zeroCreate<float> n
        let bounds = Array.zeroCreate<float> n
        let into, widths = ResizeArray<int>(), ResizeArray<float>()

        for i in 0 .. n - 1 do
            let struct (interval, bound) =
                activations[i].SlopesWithin definition (low nominal i) (high nominal i) reach.Entries[i]

            let struct (center, width) = SlopeIntervals.centered interval
            slopes[i] <- center
            bounds[i] <- bound

            if width > 0.0 then
                into.Add i
                widths.Add width

        let into = into.ToArray()

        struct ({
                    Inputs = n
                    Outputs = n
                    Leaders = None
                    Slopes = Tensor.vector slopes
                    First = first
                    Into = into
                    Plus = into
                    Minus = [||]
                    Mean = [||]
                    Width = widths.ToArray()
                },
                { At = Array.init n id; Bound = bounds })

    /// `max(z_a, z_b) = z_a + relu(z_b − z_a)` for each pair.
    let private roundBend
        definition
        (nominal: EnclosedTensor)
        (pairs: struct (int * int)[])
        rectified
        (reach: PlaceReach)
        first
        =
        let values, errors = Tensor.values nominal.Value, Tensor.values nominal.Error
        let slopes = Array.create pairs.Length 1.0
        let into, plus, minus = ResizeArray<int>(), ResizeArray<int>(), ResizeArray<int>()
        let means, widths = ResizeArray<float>(), ResizeArray<float>()
        let claimed, bounds = ResizeArray<int>(), ResizeArray<float>()

        let claim at bound =
            claimed.Add at
            bounds.Add bound

        let isDead i =
            rectified && high nominal i + reach.Entries[i] <= 0.0

        let neverPositive i = claim i -(high nominal i)

        pairs
        |> Array.iteri (fun output struct (a, b) ->
            if isDead a && isDead b then
                slopes[output] <- 0.0
                neverPositive a

                if a <> b then
                    neverPositive b
            elif a <> b then
                if isDead b then
                    neverPositive b
                else
                    let difference = values[b] - values[a]
                    let rounding = 2.0 * Rounding.unitRoundoff * abs difference
                    let error = Rounding.addUp (Rounding.addUp errors[b] errors[a]) rounding

                    let low, high =
                        Math.BitDecrement(difference - error), Rounding.addUp difference error

                    let struct (interval, bound) =
                        Relu.activation.SlopesWithin definition low high reach.Pairs[output]

                    let struct (mean, width) = SlopeIntervals.centered interval
                    claim (-1 - output) bound

                    if mean > 0.0 || width > 0.0 then
                        into.Add output
                        plus.Add b
                        minus.Add a
                        means.Add mean
                        widths.Add width)

        struct ({
                    Inputs = nominal.Value.Length
                    Outputs = pairs.Length
                    Leaders = Some(pairs |> Array.map (fun struct (a, _) -> a))
                    Slopes = Tensor.vector slopes
                    First = first
                    Into = into.ToArray()
                    Plus = plus.ToArray()
                    Minus = minus.ToArray()
                    Mean = means.ToArray()
                    Width = widths.ToArray()
                },
                {
                    At = claimed.ToArray()
                    Bound = bounds.ToArray()
                })

    /// The reach that each claim is about.
    let claimed (claims: Claims) (reach: PlaceReach) =
        claims.At
        |> Array.map (fun at -> if at >= 0 then reach.Entries[at] else reach.Pairs[-1 - at])

    /// The loop over all inputs for which increments reach no further than this, and what has to be shown of them.
    let loop definition (plan: LoopPlan) (reaches: PlaceReach[]) : struct (Loop * Claims[]) =
        let bends =
            ((0, []), Array.zip plan.Places reaches)
            ||> Array.fold (fun (first, before) (place, reach) ->
                let struct (bend, claims) =
                    match place with
                    | ActivationPlace(nominal, activations) ->
                        activationBend definition nominal activations reach first
                    | RoundPlace(nominal, pairs, rectified) -> roundBend definition nominal pairs rectified reach first

                first + Bend.channels bend, struct (bend, claims) :: before)

        let channels, bends = bends
        let bends = bends |> List.rev |> Array.ofList

        struct ({
                    Steps = plan.Steps
                    Bends = bends |> Array.map (fun struct (bend, _) -> bend)
                    Inputs = plan.Inputs
                    Outputs = plan.Outputs
                    Channels = channels
                },
                bends |> Array.map (fun struct (_, claims) -> claims))
