namespace LipVerify.Core

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
        /// Steps of the search for a bound, at most.
        BoundSteps: int
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
    let private few, many = 3e6, 3e8

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
                BoundSteps = 250
            }
        else
            {
                Directions = 6
                Signs = 6
                Vectors = 150
                FirstSteps = 40
                Steps = 20
                BoundSteps = 80
            }
