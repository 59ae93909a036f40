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
    public static bool TryFactor(CpuEngine engine, double* a, int n, int stride)
    {
        if (n <= Base) return TryFactorBase(a, n, stride);
        int first = Split(n), second = n - first;
        double* below = a + (nint)first * stride;
        if (!TryFactor(engine, a, first, stride)) return false;
        Pieces.Run(engine.Threads, Pieces.CeilingDivide(second, SolveRows), 0, (piece, _) =>
        {
            int row = piece * SolveRows;
            Solve(engine, a, stride, first, below + (nint)row * stride, Math.Min(SolveRows, second - row));
        });
        Downdate(engine, below, below + first, second, first, stride);
        return TryFactor(engine, below + first, second, stride);
    }

    private static int Split(int n) => Math.Max(Base, n / 2 / Base * Base);

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

    /// <summary>X ← X·L⁻ᵀ for a few rows of X, by substitution; L is the n×n factor above them.</summary>
    private static void Solve(CpuEngine engine, double* l, int stride, int n, double* x, int rows)
    {
        if (n <= Base)
        {
            SolveBase(l, stride, n, x, rows);
            return;
        }
        int first = Split(n);
        double* below = l + (nint)first * stride;
        Solve(engine, l, stride, first, x, rows);
        engine.MultiplyOnThisThread(false, true, rows, n - first, first, -1, x, stride, below, stride, 1, x + first, stride);
        Solve(engine, below + first, stride, n - first, x + first, rows);
    }

    /// <summary>Eight rows of X at a time, one in each lane.</summary>
    private static void SolveBase(double* l, int stride, int n, double* x, int rows)
    {
        Vector512<double>* solved = stackalloc Vector512<double>[Base];
        double* lanes = stackalloc double[8];
        for (int row = 0; row < rows; row += 8)
        {
            int count = Math.Min(8, rows - row);
            double* target = x + (nint)row * stride;
            for (int j = 0; j < n; j++)
            {
                for (int lane = 0; lane < count; lane++) lanes[lane] = target[(nint)lane * stride + j];
                Vector512<double> sum = Vector512.Load(lanes);
                double* factor = l + (nint)j * stride;
                for (int k = 0; k < j; k++) sum = Vector512.MultiplyAddEstimate(Vector512.Create(-factor[k]), solved[k], sum);
                solved[j] = sum / Vector512.Create(factor[j]);
                Vector512.Store(solved[j], lanes);
                for (int lane = 0; lane < count; lane++) target[(nint)lane * stride + j] = lanes[lane];
            }
        }
    }

    /// <summary>C ← C − X·Xᵀ in the lower triangle; the other one is left alone.</summary>
    private static void Downdate(CpuEngine engine, double* x, double* c, int n, int depth, int stride)
    {
        int blocks = Pieces.CeilingDivide(n, UpdateBlock);
        Pieces.Run(engine.Threads, blocks * (blocks + 1) / 2, UpdateBlock * UpdateBlock, (piece, scratch) =>
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
