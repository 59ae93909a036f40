using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace LipVerify.Compute;

/// <summary>The innermost block of a matrix product, held in registers.</summary>
internal unsafe interface IMicroKernel
{
    /// <summary>Rows of the block.</summary>
    static abstract int Rows { get; }

    /// <summary>Columns of the block.</summary>
    static abstract int Columns { get; }

    /// <summary>
    /// C ← α·A·B + β·C for one full block. A is packed by columns of <see cref="Rows"/> values; B has three times as many columns, in
    /// three panels that lie <paramref name="panel"/> apart, and <paramref name="step"/> from one row to the next.
    /// </summary>
    static abstract void Run(int depth, double* a, double* b, nint panel, nint step, double alpha, double beta, double* c, int stride);
}

/// <summary>8×24 in 24 registers of 512 bits: each step does 24 multiply-adds for three loads and eight broadcasts.</summary>
internal readonly unsafe struct MicroKernel512 : IMicroKernel
{
    public static int Rows => 8;

    public static int Columns => 24;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run(int depth, double* a, double* b, nint panel, nint step, double alpha, double beta, double* c, int stride)
    {
        Vector512<double> zero = Vector512<double>.Zero;
        Vector512<double> c00 = zero, c01 = zero, c02 = zero, c10 = zero, c11 = zero, c12 = zero, c20 = zero, c21 = zero, c22 = zero, c30 = zero, c31 = zero, c32 = zero;
        Vector512<double> c40 = zero, c41 = zero, c42 = zero, c50 = zero, c51 = zero, c52 = zero, c60 = zero, c61 = zero, c62 = zero, c70 = zero, c71 = zero, c72 = zero;
        for (int k = 0; k < depth; k++, a += 8, b += step)
        {
            Vector512<double> b0 = Vector512.Load(b), b1 = Vector512.Load(b + panel), b2 = Vector512.Load(b + 2 * panel);
            Vector512<double> v = Vector512.Create(a[0]);
            c00 = Vector512.FusedMultiplyAdd(v, b0, c00); c01 = Vector512.FusedMultiplyAdd(v, b1, c01); c02 = Vector512.FusedMultiplyAdd(v, b2, c02);
            v = Vector512.Create(a[1]);
            c10 = Vector512.FusedMultiplyAdd(v, b0, c10); c11 = Vector512.FusedMultiplyAdd(v, b1, c11); c12 = Vector512.FusedMultiplyAdd(v, b2, c12);
            v = Vector512.Create(a[2]);
            c20 = Vector512.FusedMultiplyAdd(v, b0, c20); c21 = Vector512.FusedMultiplyAdd(v, b1, c21); c22 = Vector512.FusedMultiplyAdd(v, b2, c22);
            v = Vector512.Create(a[3]);
            c30 = Vector512.FusedMultiplyAdd(v, b0, c30); c31 = Vector512.FusedMultiplyAdd(v, b1, c31); c32 = Vector512.FusedMultiplyAdd(v, b2, c32);
            v = Vector512.Create(a[4]);
            c40 = Vector512.FusedMultiplyAdd(v, b0, c40); c41 = Vector512.FusedMultiplyAdd(v, b1, c41); c42 = Vector512.FusedMultiplyAdd(v, b2, c42);
            v = Vector512.Create(a[5]);
            c50 = Vector512.FusedMultiplyAdd(v, b0, c50); c51 = Vector512.FusedMultiplyAdd(v, b1, c51); c52 = Vector512.FusedMultiplyAdd(v, b2, c52);
            v = Vector512.Create(a[6]);
            c60 = Vector512.FusedMultiplyAdd(v, b0, c60); c61 = Vector512.FusedMultiplyAdd(v, b1, c61); c62 = Vector512.FusedMultiplyAdd(v, b2, c62);
            v = Vector512.Create(a[7]);
            c70 = Vector512.FusedMultiplyAdd(v, b0, c70); c71 = Vector512.FusedMultiplyAdd(v, b1, c71); c72 = Vector512.FusedMultiplyAdd(v, b2, c72);
        }
        Vector512<double> scale = Vector512.Create(alpha);
        StoreRow(c, c00, c01, c02, scale, beta); c += stride;
        StoreRow(c, c10, c11, c12, scale, beta); c += stride;
        StoreRow(c, c20, c21, c22, scale, beta); c += stride;
        StoreRow(c, c30, c31, c32, scale, beta); c += stride;
        StoreRow(c, c40, c41, c42, scale, beta); c += stride;
        StoreRow(c, c50, c51, c52, scale, beta); c += stride;
        StoreRow(c, c60, c61, c62, scale, beta); c += stride;
        StoreRow(c, c70, c71, c72, scale, beta);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreRow(double* c, Vector512<double> v0, Vector512<double> v1, Vector512<double> v2, Vector512<double> alpha, double beta)
    {
        Store(c, v0, alpha, beta);
        Store(c + 8, v1, alpha, beta);
        Store(c + 16, v2, alpha, beta);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(double* c, Vector512<double> value, Vector512<double> alpha, double beta) =>
        Vector512.Store(beta == 0 ? value * alpha : value * alpha + Vector512.Load(c) * beta, c);
}

/// <summary>4×12 in 12 registers of 256 bits; also serves, more slowly, where there are no such registers.</summary>
internal readonly unsafe struct MicroKernel256 : IMicroKernel
{
    public static int Rows => 4;

    public static int Columns => 12;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run(int depth, double* a, double* b, nint panel, nint step, double alpha, double beta, double* c, int stride)
    {
        Vector256<double> zero = Vector256<double>.Zero;
        Vector256<double> c00 = zero, c01 = zero, c02 = zero, c10 = zero, c11 = zero, c12 = zero, c20 = zero, c21 = zero, c22 = zero, c30 = zero, c31 = zero, c32 = zero;
        for (int k = 0; k < depth; k++, a += 4, b += step)
        {
            Vector256<double> b0 = Vector256.Load(b), b1 = Vector256.Load(b + panel), b2 = Vector256.Load(b + 2 * panel);
            Vector256<double> v = Vector256.Create(a[0]);
            c00 = Vector256.MultiplyAddEstimate(v, b0, c00); c01 = Vector256.MultiplyAddEstimate(v, b1, c01); c02 = Vector256.MultiplyAddEstimate(v, b2, c02);
            v = Vector256.Create(a[1]);
            c10 = Vector256.MultiplyAddEstimate(v, b0, c10); c11 = Vector256.MultiplyAddEstimate(v, b1, c11); c12 = Vector256.MultiplyAddEstimate(v, b2, c12);
            v = Vector256.Create(a[2]);
            c20 = Vector256.MultiplyAddEstimate(v, b0, c20); c21 = Vector256.MultiplyAddEstimate(v, b1, c21); c22 = Vector256.MultiplyAddEstimate(v, b2, c22);
            v = Vector256.Create(a[3]);
            c30 = Vector256.MultiplyAddEstimate(v, b0, c30); c31 = Vector256.MultiplyAddEstimate(v, b1, c31); c32 = Vector256.MultiplyAddEstimate(v, b2, c32);
        }
        StoreRow(c, c00, c01, c02, alpha, beta); c += stride;
        StoreRow(c, c10, c11, c12, alpha, beta); c += stride;
        StoreRow(c, c20, c21, c22, alpha, beta); c += stride;
        StoreRow(c, c30, c31, c32, alpha, beta);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreRow(double* c, Vector256<double> v0, Vector256<double> v1, Vector256<double> v2, double alpha, double beta)
    {
        Store(c, v0, alpha, beta);
        Store(c + 4, v1, alpha, beta);
        Store(c + 8, v2, alpha, beta);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(double* c, Vector256<double> value, double alpha, double beta) =>
        Vector256.Store(beta == 0 ? value * alpha : value * alpha + Vector256.Load(c) * beta, c);
}
