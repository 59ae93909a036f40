using System.Runtime.Intrinsics;

namespace LipVerify.Compute;

/// <summary>Our own matrix product on the widest vectors that the processor has.</summary>
internal static unsafe class WidestProduct
{
    /// <summary>Bits of a vector.</summary>
    public static int Bits => Vector512.IsHardwareAccelerated ? 512 : Vector256.IsHardwareAccelerated ? 256 : 128;

    /// <summary>C ← α·op(A)·op(B) + β·C, row-major, on the calling thread.</summary>
    public static void Multiply(bool transposeA, bool transposeB, int m, int n, int k, double alpha, double* a, int lda, double* b, int ldb, double beta, double* c, int ldc)
    {
        if (Vector512.IsHardwareAccelerated) PackedProduct<MicroKernel512>.Multiply(transposeA, transposeB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
        else PackedProduct<MicroKernel256>.Multiply(transposeA, transposeB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    }
}
