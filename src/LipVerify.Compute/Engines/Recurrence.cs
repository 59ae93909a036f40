namespace LipVerify.Compute;

/// <summary>A step of a three-term recurrence by the other operations of an engine.</summary>
internal static class Recurrence
{
    /// <summary><see cref="IEngine.Recur"/>, vector by vector.</summary>
    public static void Step(
        IEngine engine, Storage next, Storage current, Storage previous, double[] before, int length, double least, double[] alphas, double[] betas)
    {
        Check(next, current, previous, before, length, alphas, betas);
        for (int i = 0; i < before.Length; i++)
        {
            int first = i * length;
            alphas[i] = Math.Max(0, engine.Dot(next, first, current, first, length));
            engine.AddTwoScaled(-alphas[i], current, -before[i], previous, next, first, length);
            double size = Math.Sqrt(engine.Dot(next, first, next, first, length));
            bool isLong = size > least;
            engine.Scale(isLong ? 1 / size : 0, next, first, length);
            betas[i] = isLong ? size : least;
        }
    }

    /// <summary>Throws unless all vectors and coefficients have room.</summary>
    public static void Check(Storage next, Storage current, Storage previous, double[] before, int length, double[] alphas, double[] betas)
    {
        ArgumentNullException.ThrowIfNull(before);
        Arguments.NotNegative(length);
        long needed = (long)before.Length * length;
        Arguments.Holds(next, 0, needed, nameof(next));
        Arguments.Holds(current, 0, needed, nameof(current));
        Arguments.Holds(previous, 0, needed, nameof(previous));
        if (alphas.Length != before.Length || betas.Length != before.Length)
            throw new ArgumentException($"{before.Length} vectors have as many coefficients, not {alphas.Length} and {betas.Length}");
        if (Arguments.AreOne(next, current) || Arguments.AreOne(next, previous)) throw new ArgumentException("next must not be the same block as current or previous");
    }
}
