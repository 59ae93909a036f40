namespace LipVerify;

/// <summary>What a number promises: an upper bound not to lie below what it bounds, a lower bound not to lie above it.</summary>
public enum RigorKind
{
    /// <summary>It holds in real arithmetic for the stored weights; rounding is enclosed.</summary>
    Certified,

    /// <summary>As <see cref="Certified"/>, except with a stated probability over the tool's own random draws.</summary>
    Probabilistic,

    /// <summary>It holds in exact arithmetic; rounding is not enclosed.</summary>
    Numerical,

    /// <summary>No guarantee.</summary>
    Estimate,
}

/// <summary>What a number promises, with the probability that the promise fails (0 unless probabilistic).</summary>
public readonly record struct Rigor(RigorKind Kind, double FailureProbability)
{
    /// <summary>The word for it, with the probability where there is one, rounded upward.</summary>
    public override string ToString() => Kind is RigorKind.Probabilistic
        ? $"probabilistic, fails with a probability of at most {Core.Numbers.Figure.probability(FailureProbability)}"
        : Kind.ToString().ToLowerInvariant();

    /// <summary>How what is bounded lies to an upper bound: an estimate is none.</summary>
    internal string Relation => Kind is RigorKind.Estimate ? "≈" : "≤";

    internal static Rigor From(Core.Numbers.Rigor rigor) => rigor switch
    {
        { IsCertified: true } => new(RigorKind.Certified, 0),
        Core.Numbers.Rigor.Probabilistic p => new(RigorKind.Probabilistic, p.failure),
        { IsNumerical: true } => new(RigorKind.Numerical, 0),
        _ => new(RigorKind.Estimate, 0),
    };
}
