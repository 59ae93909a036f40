namespace LipVerify;

/// <summary>A local Lipschitz constant from both sides, by branch and bound.</summary>
/// <param name="Upper">
/// The upper end: numerical where branching found it; where a bound from elsewhere was not improved (local LipSDP, FastLip in the maximum norm),
/// that bound with its own rigor and layers.
/// </param>
/// <param name="Lower">The lower end: a slope or the norm of a Jacobian that is attained in the ball.</param>
/// <param name="LowerRigor">What the lower end promises.</param>
/// <param name="Gap">The upper end over the lower one, less 1; 0 where both are 0, infinite where the lower one alone is.</param>
/// <param name="Regions">Regions of the ball that were bounded; 0 for networks that are not branched.</param>
/// <param name="Explanation">One line on how far the search went, or why the network was not branched.</param>
public sealed record ExactBound(
    LipschitzBound Upper, double Lower, Rigor LowerRigor, double Gap, int Regions, string Explanation)
{
    /// <summary>Both ends in ten digits, rounded outward, with what they promise.</summary>
    public override string ToString() => $"{Upper}, ≥ {Core.Numbers.Figure.downwardTo(10, Lower)} ({LowerRigor})";
}
