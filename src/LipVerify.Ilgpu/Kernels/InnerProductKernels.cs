using ILGPU;

namespace LipVerify.Ilgpu.Kernels;

/// <summary>Inner products of pairs of vectors side by side, cut into chunks of which each group has one.</summary>
internal struct InnerProductArguments
{
    public ArrayView<double> X, Y;

    /// <summary>Values of a vector, and of a chunk.</summary>
    public int Length, ChunkLength;

    /// <summary>Chunks of a vector.</summary>
    public int Chunks;

    /// <summary>One sum a chunk, vector after vector.</summary>
    public ArrayView<double> Partials;
}

/// <summary>A factor for each vector of a recurrence.</summary>
internal struct VectorFactors
{
    public double F0, F1, F2, F3, F4, F5, F6, F7;

    /// <summary>As many as there are.</summary>
    public const int Most = 8;

    public readonly double this[int vector]
    {
        get
        {
            if (vector < 4) return vector < 2 ? vector == 0 ? F0 : F1 : vector == 2 ? F2 : F3;
            return vector < 6 ? vector == 4 ? F4 : F5 : vector == 6 ? F6 : F7;
        }
    }
}

/// <summary>A step of the three-term recurrence for vectors side by side.</summary>
internal struct RecurrenceArguments
{
    public ArrayView<double> Next, Current, Previous;
    public VectorFactors Before;
    public double Least;
    public int Length, ChunkLength, Chunks;

    /// <summary>⟨next, current⟩ and ⟨next, next⟩, chunk by chunk.</summary>
    public ArrayView<double> Products, Squares;

    /// <summary>α and β of each vector.</summary>
    public ArrayView<double> Coefficients;
}

/// <summary>Inner products, and what hangs on them.</summary>
internal static class InnerProductKernels
{
    /// <summary>A group's chunk of two vectors.</summary>
    public static void Chunks(InnerProductArguments p)
    {
        int vector = Grid.IdxX / p.Chunks, chunk = Grid.IdxX - vector * p.Chunks;
        int first = chunk * p.ChunkLength, last = IntrinsicMath.Min(p.Length, first + p.ChunkLength), start = vector * p.Length;
        double sum = 0.0;
        for (int i = first + Group.IdxX; i < last; i += Group.DimX) sum += p.X[start + i] * p.Y[start + i];
        sum = GroupSum.Of(sum);
        if (Group.IdxX == 0) p.Partials[Grid.IdxX] = sum;
    }

    /// <summary>next ← next − α·current − before·previous with α = max(0, ⟨next, current⟩), and the squares of what comes out.</summary>
    public static void Recur(RecurrenceArguments p)
    {
        int vector = Grid.IdxX / p.Chunks, chunk = Grid.IdxX - vector * p.Chunks;
        double alpha = Whole(p.Products, vector, p.Chunks);
        // What is no number stays so.
        if (alpha < 0.0) alpha = 0.0;
        double before = p.Before[vector];
        int first = chunk * p.ChunkLength, last = IntrinsicMath.Min(p.Length, first + p.ChunkLength), start = vector * p.Length;
        double sum = 0.0;
        for (int i = first + Group.IdxX; i < last; i += Group.DimX)
        {
            double value = p.Next[start + i] - alpha * p.Current[start + i] - before * p.Previous[start + i];
            p.Next[start + i] = value;
            sum += value * value;
        }

        sum = GroupSum.Of(sum);
        if (Group.IdxX != 0) return;
        p.Squares[Grid.IdxX] = sum;
        if (chunk == 0) p.Coefficients[2 * vector] = alpha;
    }

    /// <summary>next ← next/β with β = ‖next‖, or 0·next where β is no more than the least size, which stands for it then.</summary>
    public static void Normalise(RecurrenceArguments p)
    {
        int vector = Grid.IdxX / p.Chunks, chunk = Grid.IdxX - vector * p.Chunks;
        double size = Math.Sqrt(Whole(p.Squares, vector, p.Chunks));
        double factor = 0.0;
        if (size > p.Least) factor = 1.0 / size;
        else size = p.Least;
        int first = chunk * p.ChunkLength, last = IntrinsicMath.Min(p.Length, first + p.ChunkLength), start = vector * p.Length;
        for (int i = first + Group.IdxX; i < last; i += Group.DimX) p.Next[start + i] *= factor;
        if (chunk == 0 && Group.IdxX == 0) p.Coefficients[2 * vector + 1] = size;
    }

    /// <summary>The sum of a vector's chunks, by every group for itself.</summary>
    private static double Whole(ArrayView<double> partials, int vector, int chunks)
    {
        double sum = 0.0;
        for (int i = Group.IdxX; i < chunks; i += Group.DimX) sum += partials[vector * chunks + i];
        return GroupSum.Of(sum);
    }
}
