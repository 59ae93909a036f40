using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace LipVerify.Compute;

/// <summary>
/// Cholesky factorisation of the lower triangle, recursive so that nearly all work is matrix products. Every entry of the factor
/// is (a − Σ l·l) / l or √(a − Σ l²) with a true division, in some order of summation, which is what Rump's test of
/// definiteness (2006) assumes; LAPACK libraries often multiply by rounded reciprocals instead.
/// </summary>
internal static unsafe class Cholesky
{
    private const int Base = 32;
    private const int SolveRows = 64;
    private const int UpdateBlock = 192;

    /// <summary>Factors in place; false as soon as a pivot is not a positive finite number.</summary>
    public static bool TryFactor(CpuEngine engine, int threads, double* a, int n, int stride)
    {
        if (n <= Base) return TryFactorBase(a, n, stride);
        int first = Split(n), second = n - first;
        double* below = a + (nint)first * stride;
        if (!TryFactor(engine, threads, a, first, stride)) return false;
        Pieces.Run(threads, Pieces.CeilingDivide(second, SolveRows), 0, (piece, _) =>
        {
            int row = piece * SolveRows;
            Solve(engine, a, stride, first, below + (nint)row * stride, stride, Math.Min(SolveRows, second - row));
        });
        Downdate(engine, threads, below, below + first, second, first, stride);
        return TryFactor(engine, threads, below + first, second, stride);
    }

    private static int Split(int n) => Math.Max(Base, n / 2 / Base * Base);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static bool TryFactorBase(double* a, int n, int stride)
    {
        for (int j = 0; j < n; j++)
        {
            double* row = a + (nint)j * stride;
            double pivot = row[j];
            for (int k = 0; k < j; k++) pivot -= row[k] * row[k];
            if (!(pivot > 0) || double.IsInfinity(pivot)) return false;
            double root = Math.Sqrt(pivot);
            row[j] = root;
            for (int i = j + 1; i < n; i++)
            {
                double* other = a + (nint)i * stride;
                double sum = other[j];
                for (int k = 0; k < j; k++) sum -= other[k] * row[k];
                other[j] = sum / root;
            }
        }
        return true;
    }

    /// <summary>X ← X·L⁻ᵀ for a few rows of X, by substitution; L is an n×n factor.</summary>
    public static void Solve(CpuEngine engine, double* l, int stride, int n, double* x, int rowStride, int rows)
    {
        if (n <= Base)
        {
            SolveBase(l, stride, n, x, rowStride, rows);
            return;
        }
        int first = Split(n);
        double* below = l + (nint)first * stride;
        Solve(engine, l, stride, first, x, rowStride, rows);
        engine.MultiplyOnThisThread(false, true, rows, n - first, first, -1, x, rowStride, below, stride, 1, x + first, rowStride);
        Solve(engine, below + first, stride, n - first, x + first, rowStride, rows);
    }

    /// <summary>32 rows of X at a time, one in each lane of four vectors: four sums that do not wait for each other.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void SolveBase(double* l, int stride, int n, double* x, int rowStride, int rows)
    {
        const int Lanes = 32;
        double* solved = stackalloc double[Base * Lanes];
        for (int row = 0; row < rows; row += Lanes, x += (nint)Lanes * rowStride)
        {
            int count = Math.Min(Lanes, rows - row);
            if (count < Lanes) new Span<double>(solved, n * Lanes).Clear();
            for (int lane = 0; lane < count; lane++)
                for (int j = 0; j < n; j++) solved[j * Lanes + lane] = x[(nint)lane * rowStride + j];
            for (int j = 0; j < n; j++)
            {
                double* factor = l + (nint)j * stride, target = solved + j * Lanes, other = solved;
                Vector512<double> s0 = Vector512.Load(target), s1 = Vector512.Load(target + 8), s2 = Vector512.Load(target + 16), s3 = Vector512.Load(target + 24);
                for (int k = 0; k < j; k++, other += Lanes)
                {
                    Vector512<double> f = Vector512.Create(-factor[k]);
                    s0 = Vector512.MultiplyAddEstimate(f, Vector512.Load(other), s0);
                    s1 = Vector512.MultiplyAddEstimate(f, Vector512.Load(other + 8), s1);
                    s2 = Vector512.MultiplyAddEstimate(f, Vector512.Load(other + 16), s2);
                    s3 = Vector512.MultiplyAddEstimate(f, Vector512.Load(other + 24), s3);
                }
                Vector512<double> pivot = Vector512.Create(factor[j]);
                Vector512.Store(s0 / pivot, target);
                Vector512.Store(s1 / pivot, target + 8);
                Vector512.Store(s2 / pivot, target + 16);
                Vector512.Store(s3 / pivot, target + 24);
            }
            for (int lane = 0; lane < count; lane++)
                for (int j = 0; j < n; j++) x[(nint)lane * rowStride + j] = solved[j * Lanes + lane];
        }
    }

    /// <summary>C ← C − X·Xᵀ in the lower triangle; the other one is left alone.</summary>
    private static void Downdate(CpuEngine engine, int threads, double* x, double* c, int n, int depth, int stride)
    {
        int blocks = Pieces.CeilingDivide(n, UpdateBlock);
        Pieces.Run(threads, blocks * (blocks + 1) / 2, UpdateBlock * UpdateBlock, (piece, scratch) =>
        {
            int blockRow = 0;
            for (; piece > blockRow; blockRow++) piece -= blockRow + 1;
            int i0 = blockRow * UpdateBlock, j0 = piece * UpdateBlock;
            int rows = Math.Min(UpdateBlock, n - i0), columns = Math.Min(UpdateBlock, n - j0);
            double* left = x + (nint)i0 * stride, right = x + (nint)j0 * stride, target = c + (nint)i0 * stride + j0;
            if (i0 != j0)
            {
                engine.MultiplyOnThisThread(false, true, rows, columns, depth, -1, left, stride, right, stride, 1, target, stride);
                return;
            }
            engine.MultiplyOnThisThread(false, true, rows, rows, depth, 1, left, stride, left, stride, 0, scratch, rows);
            for (int i = 0; i < rows; i++)
                for (int j = 0; j <= i; j++) target[(nint)i * stride + j] -= scratch[i * rows + j];
        });
    }
}
