namespace LipVerify.Core

open System

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
    }

/// The largest dual norm of the gradient of one output, `max tᵀ ∏ A_iᵀ diag(u_i)·c` (METHODS section 9), as the maximum of a
/// polynomial in bits and signs. In the maximum norm the dual norm is `‖g‖₁ = max tᵀg` over `t ∈ {−1, 1}ⁿ`. In the 2-norm it is
/// `‖g‖₂`, and the polynomial is `gᵀg`: convex in each layer's slopes, so that its maximum over `[0, 1]` is that over `{0, 1}`.
[<ReferenceEquality>]
type GradientProblem =
    {
        /// The norm of the inputs.
        Norm: Norm
        /// What the variables are.
        Kinds: BinaryVariable[]
        /// The slopes that are not known, by their variables: one list a layer.
        Slopes: int list list
        /// The polynomial to be maximised.
        Objective: MultilinearPolynomial
        /// The factor by which weights were divided: the constant is that times the maximum, or its root in the 2-norm.
        Scale: float
        /// Constraints that tie the slopes of the first layer to an input of the ball; none for all inputs.
        Signs: SlopeSign list
    }

module GradientProblem =

    /// No objective has more terms.
    let mostTerms = 1 <<< 19

    /// A pre-activation is in `[Low, High]`.
    [<Struct>]
    type private Interval = { Low: float; High: float }

    let private whole =
        {
            Low = Double.NegativeInfinity
            High = Double.PositiveInfinity
        }

    let private rowOf (weights: float[,]) i = weights[i, *]

    /// Pre-activations of the first layer over a ball: exact by the dual norm of each row, and rounded outward.
    let private firstIntervals norm center (radius: float) (layer: DenseLayer) =
        layer.Bias
        |> Array.mapi (fun i bias ->
            let row = rowOf layer.Weights i
            let nominal = Array.fold2 (fun sum w x -> sum + w * x) bias row center

            let sizes =
                Array.fold2 (fun sum (w: float) x -> sum + abs (w * x)) (abs bias) row center

            let dual =
                match norm with
                | Maximum -> Array.sumBy abs row
                | Euclidean ->
                    let largest = row |> Array.fold (fun largest w -> max largest (abs w)) 0.0

                    if largest = 0.0 then
                        0.0
                    else
                        largest * sqrt (row |> Array.sumBy (fun w -> (w / largest) * (w / largest)))

            let rounding = 2.0 * Rounding.gamma (row.Length + 4)
            let spread = radius * dual * (1.0 + rounding) + rounding * sizes

            {
                Low = nominal - spread
                High = nominal + spread
            })

    /// Pre-activations of a later layer by interval arithmetic.
    let private laterIntervals (before: Interval[]) (layer: DenseLayer) =
        layer.Bias
        |> Array.mapi (fun i bias ->
            let mutable low, high, sizes = bias, bias, abs bias

            before
            |> Array.iteri (fun j interval ->
                let w = layer.Weights[i, j]

                if w <> 0.0 then
                    let bottom, top = max 0.0 interval.Low, max 0.0 interval.High
                    low <- low + w * (if w > 0.0 then bottom else top)
                    high <- high + w * (if w > 0.0 then top else bottom)
                    sizes <- sizes + abs w * top)

            let rounding = 2.0 * Rounding.gamma (before.Length + 4) * sizes

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

    /// The slope of a ReLU as a polynomial: known, or the next variable.
    let private slopes (intervals: Interval[] list) =
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

    /// The power of two next above the largest entry; 1 where all are 0.
    let private scaleOf (entries: float seq) =
        let largest = entries |> Seq.fold (fun largest entry -> max largest (abs entry)) 0.0

        if largest = 0.0 then
            1.0
        else
            Math.ScaleB(1.0, min 1023 (Math.ILogB largest + 1))

    let private scaled (weights: float[,]) =
        let scale = scaleOf (Seq.cast<float> weights)
        scale, Array2D.map (fun w -> w / scale) weights

    let private termCount (gradient: MultilinearPolynomial[]) =
        gradient |> Array.sumBy (fun polynomial -> int64 polynomial.Count)

    /// `Aᵀ diag(u)·p` for the polynomials `p` behind a layer.
    let private pullBack kinds (weights: float[,]) (slopes: Choice<float, int>[]) (behind: MultilinearPolynomial[]) =
        let masked =
            Array.map2
                (fun slope polynomial ->
                    match slope with
                    | Choice1Of2 value ->
                        MultilinearPolynomial.sumOfProducts
                            kinds
                            [ value, MultilinearPolynomial.constant 1.0, polynomial ]
                    | Choice2Of2 variable ->
                        MultilinearPolynomial.sumOfProducts kinds [ 1.0, Map [ [ variable ], 1.0 ], polynomial ])
                slopes
                behind

        if termCount masked * int64 (Array2D.length2 weights) > int64 mostTerms then
            Error $"the gradient has more than {mostTerms} terms"
        else
            let one = MultilinearPolynomial.constant 1.0

            Array.init (Array2D.length2 weights) (fun j ->
                MultilinearPolynomial.sumOfProducts kinds (masked |> Seq.mapi (fun i p -> weights[i, j], one, p)))
            |> Ok

    /// The polynomials of the gradient, and the factor that was taken out of the weights.
    let private gradient kinds (layers: DenseLayer list) slopes (output: float[]) =
        let outputScale = scaleOf output

        let start =
            output |> Array.map (fun c -> MultilinearPolynomial.constant (c / outputScale))

        (List.zip layers slopes, Ok(outputScale, start))
        ||> List.foldBack (fun (layer, slopes) behind ->
            behind
            |> Result.bind (fun (factor, polynomials) ->
                let scale, weights = scaled layer.Weights

                pullBack kinds weights slopes polynomials
                |> Result.map (fun polynomials -> factor * scale, polynomials)))

    let private signs norm region (first: DenseLayer) (slopes: Choice<float, int>[]) =
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

                        let scale =
                            match norm with
                            | Maximum -> Array.sumBy abs row
                            | Euclidean -> sqrt (row |> Array.sumBy (fun w -> w * w))

                        if scale > 0.0 && Double.IsFinite scale && Double.IsFinite offset then
                            {
                                Variable = variable
                                Row = row |> Array.map (fun w -> w / scale)
                                Offset = offset / scale
                            }
            ]
        | _ -> []

    /// The objective: `Σ t_j g_j` with signs behind the `count` slopes, or `Σ g_j²`.
    let private objective norm kinds count (gradient: MultilinearPolynomial[]) =
        let terms = termCount gradient

        let work =
            match norm with
            | Maximum -> terms
            | Euclidean -> gradient |> Array.sumBy (fun g -> int64 g.Count * int64 g.Count)

        if work > 64L * int64 mostTerms then
            Error "the squared gradient has too many terms"
        else
            gradient
            |> Seq.mapi (fun j g ->
                match norm with
                | Maximum -> 1.0, Map [ [ count + j ], 1.0 ], g
                | Euclidean -> 1.0, g, g)
            |> MultilinearPolynomial.sumOfProducts kinds
            |> Ok

    /// The problem of output `output`. A coordinate that no term has stays a variable, and relaxations leave it out.
    let create norm (chain: DenseChain) output region =
        let layers = chain.Hidden
        let inputs = Array2D.length2 layers.Head.Weights
        let count, slopes = intervals norm region layers |> slopes

        let kinds =
            match norm with
            | Maximum -> Array.append (Array.create count Bit) (Array.create inputs Sign)
            | Euclidean -> Array.create count Bit

        gradient kinds layers slopes (rowOf chain.Output.Weights output)
        |> Result.bind (fun (scale, gradient) ->
            objective norm kinds count gradient
            |> Result.map (fun objective ->
                {
                    Norm = norm
                    Kinds = kinds
                    Slopes =
                        slopes
                        |> List.map (fun layer ->
                            [
                                for slope in layer do
                                    match slope with
                                    | Choice1Of2 _ -> ()
                                    | Choice2Of2 variable -> variable
                            ])
                    Objective = objective
                    Scale = scale
                    Signs = signs norm region layers.Head slopes.Head
                }))

    /// The Lipschitz constant that a bound on the polynomial stands for.
    let lipschitz problem (maximum: float) =
        match problem.Norm with
        | Maximum -> Rounding.mulUp problem.Scale (max 0.0 maximum)
        | Euclidean -> Rounding.mulUp problem.Scale (Rounding.sqrtUp (max 0.0 maximum))
