namespace LipVerify;

/// <summary>The norm in which inputs and outputs are measured.</summary>
public enum Norm
{
    /// <summary>The 2-norm.</summary>
    Euclidean,

    /// <summary>The maximum norm.</summary>
    Maximum,

    /// <summary>The 1-norm, the sum of magnitudes.</summary>
    Taxicab,
}
