namespace LipVerify.Core.Bounds.Exact.Euclidean

open System
open LipVerify.Core.Numbers
open LipVerify.Core.LowerBounds
open LipVerify.Core.Bounds.Analytic

/// What branch and bound found.
[<NoComparison>]
type ExactSearchResult =
    {
        /// The upper end, never above that of local LipSDP, with the layers of Algorithm 1.
        Result: NetworkBound
        /// The lower end: a slope or a Jacobian that is attained in the ball.
        Lower: Bound
        /// Regions that were bounded.
        Regions: int
        /// One line on how far the search went.
        Explanation: string
    }

    /// `upper/lower − 1`; 0 where both are 0.
    member found.Gap =
        if found.Result.Bound.Value <= found.Lower.Value then 0.0
        elif found.Lower.Value = 0.0 then Double.PositiveInfinity
        else found.Result.Bound.Value / found.Lower.Value - 1.0

/// How a search ends, in either norm.
module ExactSearchResult =

    /// Why a search ended, with this many parts left, whose ends of the uniform constant are `lower` and `upper`.
    let internal ending definition left (lower: float) upper tolerance isOver =
        if left = 0 then
            match definition with
            | Uniform -> "all are finished"
            | Nominal -> "all are finished for the uniform constant, whose bound holds for the nominal one too"
        elif upper <= lower * (1.0 + tolerance) then
            let percent = Figure.nearestTo 3 (100.0 * tolerance)

            match definition with
            | Uniform -> $"{left} left, none of which goes above the lower end by more than {percent} %%"
            | Nominal ->
                $"{left} left, none of which goes above a lower end of the uniform constant, whose bound holds for the nominal one too, by more than {percent} %%"
        elif isOver then
            $"{left} left when the time was over"
        else
            $"{left} left"

    /// The result whose upper end is the lesser of a bound from elsewhere and of what branching found.
    let internal outcome (analytic: NetworkBound) (lower: Bound) upper regions explanation =
        let result =
            if upper < analytic.Bound.Value then
                { analytic with
                    Bound = { Value = upper; Rigor = Numerical }
                }
            else
                analytic

        {
            Result = result
            Lower = Ends.below "the method exact" result.Bound lower
            Regions = regions
            Explanation = explanation
        }

    /// A slope that is attained for certain; what was computed without an enclosure of its rounding is no end of an interval.
    let internal certifiedOf (attained: LowerBound) =
        if attained.Rigor = Certified then
            Bound.certified attained.Value
        else
            Bound.zero
