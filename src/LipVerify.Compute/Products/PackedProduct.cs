using System.Runtime.CompilerServices;

namespace LipVerify.Compute;

/// <summary>
/// A matrix product after Goto and van de Geijn (2008): blocks of both matrices are copied into the order in which the micro
/// kernel reads them, sized for the caches. Runs on the calling thread, with buffers of its own for each thread.
/// </summary>
internal static unsafe class PackedProduct<TKernel> where TKernel : struct, IMicroKernel
{
    // A strip of B (depth × kernel columns) stays in the first-level cache, the block of A in the second, the block of B in the third.
    private const int Depth = 192;
    private const int Rows = 192;
    private const int Columns = 480;

    [ThreadStatic]
    private static double[]? s_buffer;

    public static void Multiply(bool transposeA, bool transposeB, int m, int n, int k, double alpha, double* a, int lda, double* b, int ldb, double beta, double* c, int ldc)
    {
        s_buffer ??= GC.AllocateUninitializedArray<double>(Depth * (Rows + Columns) + 8, pinned: true);
        fixed (double* start = s_buffer)
        {
            double* packedB = (double*)(((nuint)start + 63) & ~(nuint)63), packedA = packedB + Depth * Columns;
            for (int k0 = 0; k0 < k; k0 += Depth, beta = 1)
            {
                int depth = Math.Min(Depth, k - k0);
                for (int j0 = 0; j0 < n; j0 += Columns)
                {
                    int columns = Math.Min(Columns, n - j0);
                    double* right = b + (transposeB ? (nint)j0 * ldb + k0 : (nint)k0 * ldb + j0);
                    PanelPacking.Pack(right, transposeB ? ldb : 1, transposeB ? 1 : ldb, columns, depth, TKernel.Columns, packedB);
                    for (int i0 = 0; i0 < m; i0 += Rows)
                    {
                        int rows = Math.Min(Rows, m - i0);
                        double* left = a + (transposeA ? (nint)k0 * lda + i0 : (nint)i0 * lda + k0);
                        PanelPacking.Pack(left, transposeA ? 1 : lda, transposeA ? lda : 1, rows, depth, TKernel.Rows, packedA);
                        Block(rows, columns, depth, alpha, packedA, packedB, beta, c + (nint)i0 * ldc + j0, ldc);
                    }
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Block(int rows, int columns, int depth, double alpha, double* a, double* b, double beta, double* c, int ldc)
    {
        double* edge = stackalloc double[TKernel.Rows * TKernel.Columns];
        for (int j = 0; j < columns; j += TKernel.Columns)
            for (int i = 0; i < rows; i += TKernel.Rows)
            {
                double* panelA = a + i * depth, panelB = b + j * depth, target = c + (nint)i * ldc + j;
                int height = Math.Min(TKernel.Rows, rows - i), width = Math.Min(TKernel.Columns, columns - j);
                if (height == TKernel.Rows && width == TKernel.Columns)
                {
                    TKernel.Run(depth, panelA, panelB, TKernel.Rows, TKernel.Columns, alpha, beta, target, ldc);
                    continue;
                }
                TKernel.Run(depth, panelA, panelB, TKernel.Rows, TKernel.Columns, alpha, 0, edge, TKernel.Columns);
                for (int p = 0; p < height; p++, target += ldc)
                    for (int q = 0; q < width; q++)
                    {
                        double value = edge[p * TKernel.Columns + q];
                        target[q] = beta == 0 ? value : value + beta * target[q];
                    }
            }
    }
}
