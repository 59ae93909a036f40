namespace LipVerify.Core.Bounds.Polynomials

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Networks

/// The set over which the gradient of one output is maximised.
type InputRegion =
    /// All inputs.
    | Everywhere
    /// `‖x − center‖ ≤ radius` in the norm of the problem.
    | BallAround of center: float[] * radius: Radius

/// `(u − ½)·(row·ξ + offset) ≥ 0`: the slope of a ReLU belongs to the sign of its pre-activation. `ξ` is a point of the unit ball.
type SlopeSign =
    {
        /// The variable `u`.
        Variable: int
        /// One entry a coordinate of `ξ`.
        Row: float[]
        /// The pre-activation at the centre, by the same scale as the row.
        Offset: float
        /// A bound on the rounding of the pre-activation over the ball, by that scale.
        Error: float
    }

/// What a pre-activation lies between.
[<Struct>]
type PreActivation =
    {
        /// It is at least this.
        Low: float
        /// It is at most this.
        High: float
    }

/// Which slopes of ReLUs are not known over a region.
module UnknownSlopes =

    let private whole =
        {
            Low = Double.NegativeInfinity
            High = Double.PositiveInfinity
        }

    /// A row of a matrix.
    let rowOf (weights: float[,]) i = weights[i, *]

    /// The most that underflow takes from a product of two numbers, with as much again for what is derived from it.
    let private lost (a: float) (b: float) =
        if a = 0.0 || b = 0.0 then 0.0 else Double.Epsilon

    /// Pre-activations of the first layer over a ball: exact by the dual norm of each row, and rounded outward.
    let firstIntervals norm center (radius: float) (layer: DenseLayer) =
        layer.Bias
        |> Array.mapi (fun i bias ->
            let row = rowOf layer.Weights i
            let nominal = Array.fold2 (fun sum w x -> sum + w * x) bias row center

            let sizes =
                Array.fold2 (fun sum (w: float) x -> sum + abs (w * x)) (abs bias) row center

            let rounding = 2.0 * Rounding.gamma (row.Length + 4)
            let speed = Norm.dual norm row

            let underflow =
                Array.fold2 (fun sum w x -> sum + 4.0 * lost w x) (8.0 * lost radius speed) row center

            let spread = radius * speed * (1.0 + rounding) + rounding * sizes + underflow

            {
                Low = nominal - spread
                High = nominal + spread
            })

    /// Pre-activations of a later layer by interval arithmetic.
    let private laterIntervals (before: PreActivation[]) (layer: DenseLayer) =
        layer.Bias
        |> Array.mapi (fun i bias ->
            let mutable low, high, sizes, underflow = bias, bias, abs bias, 0.0

            before
            |> Array.iteri (fun j interval ->
                let w = layer.Weights[i, j]

                if w <> 0.0 then
                    let bottom, top = max 0.0 interval.Low, max 0.0 interval.High
                    low <- low + w * (if w > 0.0 then bottom else top)
                    high <- high + w * (if w > 0.0 then top else bottom)
                    sizes <- sizes + abs w * top
                    underflow <- underflow + 4.0 * lost w top)

            let rounding = 2.0 * Rounding.gamma (before.Length + 4) * sizes + underflow

            {
                Low = low - rounding
                High = high + rounding
            })

    let private intervals norm region (layers: DenseLayer list) =
        match region with
        | Everywhere -> layers |> List.map (fun layer -> Array.create layer.Bias.Length whole)
        | BallAround(center, radius) ->
            let first = firstIntervals norm center radius.Value layers.Head

            (first, layers.Tail) ||> List.scan laterIntervals

    let private number (intervals: PreActivation[] list) =
        ((0, []), intervals)
        ||> List.fold (fun (next, done') layer ->
            let mutable next = next

            let slopes =
                layer
                |> Array.map (fun interval ->
                    if interval.High <= 0.0 then
                        Choice1Of2 0.0
                    elif interval.Low >= 0.0 then
                        Choice1Of2 1.0
                    else
                        next <- next + 1
                        Choice2Of2(next - 1))

            next, slopes :: done')
        |> fun (count, layers) -> count, List.rev layers

    /// The number of unknown slopes, and the slope of each ReLU, layer by layer: known to be 0 or 1, or a variable.
    let ofChain norm (chain: DenseChain) region =
        intervals norm region chain.Hidden |> number

    /// The power of two next above the largest entry; 1 where all are 0.
    let scaleOf (entries: float seq) =
        let largest = entries |> Seq.fold (fun largest entry -> max largest (abs entry)) 0.0

        if largest = 0.0 then
            1.0
        else
            Math.ScaleB(1.0, min 1023 (Math.ILogB largest + 1))

    /// What ties the unknown slopes of the first layer to points of the ball; nothing for all inputs, and for a single one.
    let signs norm (chain: DenseChain) region (slopes: Choice<float, int>[]) =
        let first = chain.Hidden.Head

        match region with
        | BallAround(center, radius) when radius.Value > 0.0 ->
            [
                for i in 0 .. slopes.Length - 1 do
                    match slopes[i] with
                    | Choice1Of2 _ -> ()
                    | Choice2Of2 variable ->
                        let row = rowOf first.Weights i |> Array.map (fun w -> w * radius.Value)

                        let offset =
                            Array.fold2 (fun sum w x -> sum + w * x) first.Bias[i] (rowOf first.Weights i) center

                        let scale = Norm.dual norm row

                        let size =
                            Array.fold2
                                (fun sum w x -> sum + abs (w * x))
                                (abs first.Bias[i])
                                (rowOf first.Weights i)
                                center

                        if scale > 0.0 && Double.IsFinite scale && Double.IsFinite offset then
                            {
                                Variable = variable
                                Row = row |> Array.map (fun w -> w / scale)
                                Offset = offset / scale
                                Error = 4.0 * Rounding.gamma (row.Length + 8) * (size / scale + 1.0)
                            }
            ]
        | _ -> []
