namespace LipVerify.Core.Bounds.Exact.Euclidean

open System
open LipVerify.Core.Numbers
open LipVerify.Core.Computation
open LipVerify.Core.Networks
open LipVerify.Core.Chains

/// What is between the two ends of a constant that was sought exactly. Rounding is bounded where regions are told apart, but
/// not enclosed throughout: both ends are numerical.
[<NoComparison>]
type ExactBracket =
    {
        /// The largest value that is attained: the norm of a Jacobian whose region has interior in the ball, or a slope.
        Lower: float
        /// The largest value over all regions that could not be cut off.
        Upper: float
        /// A point of the region with the norm `Lower`, or the other end of the slope.
        Attained: Tensor option
        /// Regions that were not cut off.
        Regions: int
    }

    /// `Upper/Lower − 1`; 0 where both are 0.
    member bracket.Gap =
        if bracket.Upper <= bracket.Lower then 0.0
        elif bracket.Lower = 0.0 then Double.PositiveInfinity
        else bracket.Upper / bracket.Lower - 1.0

/// The uniform local Lipschitz constant of a small ReLU network by enumeration of its activation patterns:
/// `max ‖J_P‖` over the patterns `P` whose regions `{ x : P holds }` have interior in the ball (Lemma 1, METHODS section 11).
/// The closure of a region without interior is covered by those of its neighbours, so that it adds nothing.
module ExactPatterns =

    /// Beyond so many regions the enumeration is given up.
    let private most = 1 <<< 20

    /// The rounding of a Jacobian's norm, with room to spare.
    let private widen = 1.0 + 1e-11

    let private normOf norm rates =
        match norm with
        | Euclidean -> ExactNorm.ofRows rates
        | Maximum -> ExactNorm.largestRowSum rates
        | Taxicab -> invalidArg (nameof norm) "patterns are not enumerated in the 1-norm"

    /// The value of a leaf with the best so far, in the units of the chain.
    let private record
        norm
        (ball: ReluBall)
        (branching: ExactBranching)
        shape
        (bracket: ExactBracket)
        (leaf: ExactNode)
        =
        let error =
            match norm with
            | Maximum -> sqrt (float ball.Center.Length) * branching.RateError leaf
            | Euclidean
            | Taxicab -> branching.RateError leaf

        let norm = normOf norm leaf.Rates
        let lower = norm / widen - error
        let attained = leaf.Witness |> Option.filter (fun _ -> lower > bracket.Lower)

        {
            Lower = if attained.IsSome then lower else bracket.Lower
            Upper = max bracket.Upper (norm * widen + error)
            Attained =
                attained
                |> Option.map (branching.Point >> ball.Place >> Tensor.ofArray shape)
                |> Option.orElse bracket.Attained
            Regions = bracket.Regions + 1
        }

    let private enumerate context norm (network: Network) (center: float[]) radius =
        ExactChain.ofNetwork context network
        |> Result.bind (ReluUnits.around center radius)
        |> Result.bind (fun ball ->
            let branching = ExactBranching(ball, norm, Origin.Rounded)

            let bracket =
                branching.Leaves
                |> Seq.truncate (most + 1)
                |> Seq.fold
                    (fun bracket leaf ->
                        Context.check context
                        record norm ball branching network.InputShape bracket leaf)
                    {
                        Lower = 0.0
                        Upper = 0.0
                        Attained = None
                        Regions = 0
                    }

            if bracket.Regions > most then
                Error $"the ball has more than {most} regions"
            else
                Ok
                    { bracket with
                        Lower = ball.Downward bracket.Lower
                        Upper = ball.Upward bracket.Upper
                    })

    /// The uniform constant over the ball of this norm around `input`, the outputs measured in the same norm, or why there is none:
    /// the norm must not be the 1-norm, the network a chain of affine maps and ReLUs, the radius positive, and the regions few enough to visit.
    let within
        (context: Context)
        norm
        (network: Network)
        (input: Tensor)
        (radius: Radius)
        : Result<ExactBracket, string> =
        if radius.Value = 0.0 then
            Error "the ball is a point"
        elif norm = Taxicab then
            Error "patterns are not enumerated in the 1-norm"
        else
            enumerate context norm network (Tensor.values input) radius.Value

    /// The uniform constant in the 2-norm, as `within`.
    let local (context: Context) (network: Network) (input: Tensor) (radius: Radius) : Result<ExactBracket, string> =
        within context Euclidean network input radius

    /// The constant over all inputs in the 2-norm. With one hidden layer of linearly independent rows every pattern of signs has a
    /// region, and the ends agree; otherwise patterns of which neither is known widen the bracket.
    let ``global`` (context: Context) (network: Network) : Result<ExactBracket, string> =
        enumerate context Euclidean network (Array.zeroCreate (Shape.size network.InputShape)) Double.PositiveInfinity
