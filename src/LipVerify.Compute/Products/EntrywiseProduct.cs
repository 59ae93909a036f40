using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace LipVerify.Compute;

/// <summary>Products f(s·A)·x and f(s·A)ᵀ·x with one vector, f applied to each entry as it is read: one pass over A and no copy of it.</summary>
internal static unsafe class EntrywiseProduct<TFunction> where TFunction : struct, EntrywiseProduct<TFunction>.IFunction
{
    /// <summary>Columns whose sums stay in the first-level cache.</summary>
    private const int ColumnBlock = 2048;

    /// <summary>Rows of a piece of work, enough to pay for handing it out.</summary>
    private const int RowBlock = 64;

    public interface IFunction
    {
        static abstract Vector512<double> Of(Vector512<double> entries);

        static abstract double Of(double entry);
    }

    /// <summary>y_i ← Σ_j f(s·a_ij)·x_j.</summary>
    public static void Apply(int threads, int rows, int columns, double scale, double* a, double* x, double* y) =>
        Pieces.Run(threads, Pieces.CeilingDivide(rows, RowBlock), 0, (piece, _) =>
        {
            int last = Math.Min(rows, (piece + 1) * RowBlock);
            for (int i = piece * RowBlock; i < last; i++) y[i] = Dot(columns, scale, a + (nint)i * columns, x);
        });

    /// <summary>x_j ← Σ_i f(s·a_ij)·y_i.</summary>
    public static void Adjoint(int threads, int rows, int columns, double scale, double* a, double* y, double* x) =>
        Pieces.Run(threads, Pieces.CeilingDivide(columns, ColumnBlock), 0, (piece, _) =>
        {
            int first = piece * ColumnBlock, count = Math.Min(ColumnBlock, columns - first);
            new Span<double>(x + first, count).Clear();
            for (int i = 0; i < rows; i++) AddMultiple(count, scale, a + (nint)i * columns + first, y[i], x + first);
        });

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double Dot(int count, double scale, double* a, double* x)
    {
        Vector512<double> s = Vector512.Create(scale), s0 = Vector512<double>.Zero, s1 = s0, s2 = s0, s3 = s0;
        int j = 0;
        for (; j <= count - 32; j += 32)
        {
            s0 = Vector512.MultiplyAddEstimate(TFunction.Of(s * Vector512.Load(a + j)), Vector512.Load(x + j), s0);
            s1 = Vector512.MultiplyAddEstimate(TFunction.Of(s * Vector512.Load(a + j + 8)), Vector512.Load(x + j + 8), s1);
            s2 = Vector512.MultiplyAddEstimate(TFunction.Of(s * Vector512.Load(a + j + 16)), Vector512.Load(x + j + 16), s2);
            s3 = Vector512.MultiplyAddEstimate(TFunction.Of(s * Vector512.Load(a + j + 24)), Vector512.Load(x + j + 24), s3);
        }
        double sum = Vector512.Sum((s0 + s1) + (s2 + s3));
        for (; j < count; j++) sum += TFunction.Of(scale * a[j]) * x[j];
        return sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddMultiple(int count, double scale, double* a, double factor, double* sums)
    {
        if (factor == 0) return;
        Vector512<double> s = Vector512.Create(scale), f = Vector512.Create(factor);
        int j = 0;
        for (; j <= count - 8; j += 8)
            Vector512.Store(Vector512.MultiplyAddEstimate(TFunction.Of(s * Vector512.Load(a + j)), f, Vector512.Load(sums + j)), sums + j);
        for (; j < count; j++) sums[j] += TFunction.Of(scale * a[j]) * factor;
    }
}

/// <summary>|a|.</summary>
internal readonly struct AbsoluteEntry : EntrywiseProduct<AbsoluteEntry>.IFunction
{
    public static Vector512<double> Of(Vector512<double> entries) => Vector512.Abs(entries);

    public static double Of(double entry) => Math.Abs(entry);
}

/// <summary>a².</summary>
internal readonly struct SquareEntry : EntrywiseProduct<SquareEntry>.IFunction
{
    public static Vector512<double> Of(Vector512<double> entries) => entries * entries;

    public static double Of(double entry) => entry * entry;
}
