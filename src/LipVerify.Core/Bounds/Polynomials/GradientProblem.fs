namespace LipVerify.Core.Bounds.Polynomials

open LipVerify.Core.Numbers

/// The largest dual norm of the gradient of one output, `max tᵀ ∏ A_iᵀ diag(u_i)·c` (METHODS section 9), as the maximum of a
/// polynomial in bits and signs. In the maximum norm the dual norm is `‖g‖₁ = max tᵀg` over `t ∈ {−1, 1}ⁿ`. In the 2-norm it is
/// `‖g‖₂`, and the polynomial is `gᵀg`: convex in each layer's slopes, so that its maximum over `[0, 1]` is that over `{0, 1}`.
/// The 1-norm, whose dual norm `‖g‖∞` is one problem a coordinate, is declined by `create` and by `PolynomialBound`.
[<ReferenceEquality>]
type GradientProblem =
    {
        /// The norm of the inputs.
        Norm: Norm
        /// What the variables are.
        Kinds: BinaryVariable[]
        /// The polynomial to be maximised.
        Objective: MultilinearPolynomial
        /// The power of two that was taken out of the weights: the constant is that times the maximum, or its root in the 2-norm.
        Exponent: int
        /// Constraints that tie the slopes of the first layer to an input of the ball; none for all inputs.
        Signs: SlopeSign list
    }

module GradientProblem =

    /// No objective has more terms.
    let mostTerms = 1 <<< 19

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

    /// The polynomials of the gradient.
    let private gradient kinds (factors: GradientFactors) =
        (List.zip factors.Weights factors.Slopes, Ok(Array.map MultilinearPolynomial.constant factors.Output))
        ||> List.foldBack (fun (weights, slopes) behind -> behind |> Result.bind (pullBack kinds weights slopes))

    /// The objective: `Σ t_j g_j` with signs behind the `count` slopes, or `Σ g_j²`.
    let private objective norm kinds count (gradient: MultilinearPolynomial[]) =
        let terms = termCount gradient

        let work =
            match norm with
            | Maximum -> terms
            | Euclidean
            | Taxicab -> gradient |> Array.sumBy (fun g -> int64 g.Count * int64 g.Count)

        if work > 64L * int64 mostTerms then
            Error "the squared gradient has too many terms"
        else
            gradient
            |> Seq.mapi (fun j g ->
                match norm with
                | Maximum -> 1.0, Map [ [ count + j ], 1.0 ], g
                | Euclidean
                | Taxicab -> 1.0, g, g)
            |> MultilinearPolynomial.sumOfProducts kinds
            |> Ok

    /// Declines the 1-norm.
    let checkNorm norm =
        match norm with
        | Euclidean
        | Maximum -> Ok()
        | Taxicab -> Error "polynomial methods bound in the 2-norm and in the maximum norm only"

    /// The problem of output `output`. A coordinate that no term has stays a variable, and relaxations leave it out.
    let create norm (chain: DenseChain) output region =
        let factors = GradientFactors.create norm chain output region
        let count = factors.Count
        let inputs = Array2D.length2 chain.Hidden.Head.Weights

        let kinds =
            match norm with
            | Maximum -> Array.append (Array.create count Bit) (Array.create inputs Sign)
            | Euclidean
            | Taxicab -> Array.create count Bit

        checkNorm norm
        |> Result.bind (fun () -> gradient kinds factors)
        |> Result.bind (objective norm kinds count)
        |> Result.map (fun objective ->
            {
                Norm = norm
                Kinds = kinds
                Objective = objective
                Exponent = factors.Exponent
                Signs = UnknownSlopes.signs norm chain region factors.Slopes.Head
            })

    /// The dual norm that a bound on the polynomial stands for, without the power of two of the weights.
    let dualNorm norm (maximum: float) =
        match norm with
        | Maximum -> max 0.0 maximum
        | Euclidean
        | Taxicab -> Rounding.sqrtUp (max 0.0 maximum)

    /// The Lipschitz constant that a bound on the polynomial stands for.
    let lipschitz norm exponent maximum =
        Rounding.scaleUp (dualNorm norm maximum) exponent
