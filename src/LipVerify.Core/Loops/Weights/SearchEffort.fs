namespace LipVerify.Core.Loops.Weights

open LipVerify.Core.LinearMaps
open LipVerify.Core.Loops.Operator

/// How much a search for factors does, by what one pass through the network takes. What is proved does not depend on it.
[<NoEquality; NoComparison>]
type internal SearchEffort =
    {
        /// Top directions that are watched at a time.
        Directions: int
        /// Vectors of random signs that stand for all rows whose length matters.
        Signs: int
        /// Gaussian vectors from which the lengths of rows are estimated.
        Vectors: int
        /// Steps for factors that are new, and for factors that served before.
        FirstSteps: int
        Steps: int
        /// Steps that estimate a norm.
        NormSteps: int
        /// Whether the channels of a place share a factor, but for what is known of them beforehand, while reaches are sought.
        IsByPlace: bool
        /// Steps of the search for a bound, at most.
        BoundSteps: int
        /// Steps in which the bound hardly changed end it.
        Idle: int
        /// What directions that were not tracked may ask for, in parts of what was found; for more the search goes on with them.
        Surprise: float
        /// Vectors that a certificate begins with: rounding in deep networks leaves no room for few.
        CertificateVectors: int
    }

module internal SearchEffort =

    /// Multiplications and additions of one pass.
    let operations (plan: LoopPlan) =
        let rec ofSteps steps = steps |> List.sumBy ofStep

        and ofStep step =
            match step with
            | Mapped(_, map) -> 2.0 * float (LinearMap.outputs map) * float (LinearMap.termsInRow map)
            | Bent _ -> 0.0
            | Added branches -> branches |> List.sumBy ofSteps

        ofSteps plan.Steps

    /// Passes of more operations are spared; those of few cost next to nothing.
    let private few, many, most = 3e6, 3e8, 1e10

    /// What suits a network.
    let forPlan plan =
        let operations = operations plan

        if operations <= many then
            {
                Directions = if operations <= few then 24 else 8
                Signs = 8
                Vectors = 200
                FirstSteps = 40
                Steps = 20
                NormSteps = 10
                IsByPlace = false
                BoundSteps = 250
                Idle = 25
                Surprise = 1.03
                CertificateVectors = 2
            }
        elif operations <= most then
            {
                Directions = 6
                Signs = 6
                Vectors = 150
                FirstSteps = 10
                Steps = 5
                NormSteps = 4
                IsByPlace = true
                BoundSteps = 80
                Idle = 10
                Surprise = 1.1
                CertificateVectors = 4
            }
        else
            {
                Directions = 5
                Signs = 3
                Vectors = 100
                FirstSteps = 6
                Steps = 4
                NormSteps = 4
                IsByPlace = true
                BoundSteps = 25
                Idle = 10
                Surprise = 1.1
                CertificateVectors = 4
            }
