namespace LipVerify.Core.Bounds.Structured

open System
open LipVerify.Core.Computation
open LipVerify.Core.Loops.Operator
open LipVerify.Core.Loops.Reaches

/// What a structured bound states of one place where the network bends: a ReLU, or one round of a tournament that finds the maxima of pooling
/// windows.
[<NoComparison; NoEquality>]
type StructuredPlace =
    {
        /// The pairs `a, b` of a round, one after the other; empty at ReLUs.
        Pairs: int[]
        /// Pairs neither member of which becomes positive, where a ReLU follows the tournament.
        Constant: int[]
        /// Pairs the second member of which does not become positive, where a ReLU follows: the first one goes on.
        Alone: int[]
        /// Entries, or pairs, whose slope is not known: those that have a channel.
        Channels: int[]
        /// How far they reach, one a channel; infinite where every slope is possible.
        Reaches: float[]
        /// Factors of the channels with which reaches are proved; empty over all inputs.
        ReachFactors: float[]
        /// Factors of the channels with which the bound is proved.
        Factors: float[]
    }

/// What proves a structured bound (METHODS section 14): everything else follows from the network and the input.
[<NoComparison; NoEquality>]
type StructuredWitness =
    {
        /// The norm of the channels alone, with the factors of reaches, is at most this; none over all inputs.
        Kappa: float option
        /// The factor of the outputs with which the norm of the loop is at most `Norm`.
        Scale: float
        /// What the norm of the loop is shown to be at most; above 1 the constant is larger than the inverse of `Scale`.
        Norm: float
        /// Every place where the network bends, in the order of the walk.
        Places: StructuredPlace list
    }

module internal StructuredWitness =

    /// The reach that is claimed for each channel of a bend.
    let private reachesOf (bend: Bend) (claims: Claims option) =
        match claims with
        | None -> Array.create bend.Into.Length Double.PositiveInfinity
        | Some claims ->
            let bounds = Collections.Generic.Dictionary<int, float>()
            Array.iter2 (fun at bound -> bounds[at] <- bound) claims.At claims.Bound

            bend.Into
            |> Array.map (fun output -> bounds[if bend.Leaders.IsSome then -1 - output else output])

    let private place (plan: LoopPlan) (proved: ProvedReach) (factors: float[]) index : StructuredPlace =
        let bend = proved.Loop.Bends[index]
        let claims = proved.Claims |> Array.tryItem index

        let own (factors: float[]) =
            Array.sub factors bend.First bend.Into.Length

        let pairs =
            match plan.Places[index] with
            | ActivationPlace _ -> [||]
            | RoundPlace(_, pairs, _) -> pairs

        let slopes = Tensor.values bend.Slopes

        let isClaimed =
            match claims with
            | None -> fun _ -> true
            | Some claims ->
                let pairs = Collections.Generic.HashSet<int> claims.At
                fun pair -> pairs.Contains(-1 - pair)

        let constant, followed =
            Array.init pairs.Length id |> Array.partition (fun k -> slopes[k] = 0.0)

        {
            Pairs = pairs |> Array.collect (fun struct (a, b) -> [| a; b |])
            Constant = constant
            Alone =
                followed
                |> Array.filter (fun k ->
                    let struct (a, b) = pairs[k]
                    a <> b && not (isClaimed k))
            Channels = bend.Into
            Reaches = reachesOf bend claims
            ReachFactors = if claims.IsSome then own proved.Factors else [||]
            Factors = own factors
        }

    /// The witness of what a loop proves.
    let ofProof (plan: LoopPlan) (proved: ProvedReach) (proof: LoopBound.LoopProof) : StructuredWitness =
        {
            Kappa =
                if Double.IsFinite proved.Kappa then
                    Some proved.Kappa
                else
                    None
            Scale = proof.Scale
            Norm = proof.Norm
            Places = List.init plan.Places.Length (place plan proved proof.Factors)
        }
