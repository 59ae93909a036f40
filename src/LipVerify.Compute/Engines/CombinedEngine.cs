namespace LipVerify.Compute;

/// <summary>Our own matrix product, which needs no other where vectors have 512 bits, and the eigensolver of OpenBLAS.</summary>
internal sealed unsafe class CombinedEngine(OpenBlas library, int threads) : CpuEngine(threads)
{
    public override string Name => "managed+openblas";

    public override string Description => $"managed code with {WidestProduct.Bits}-bit vectors, eigenvalues by {library.Version}, {ThreadsText}";

    private protected override void Multiply(bool transposeA, bool transposeB, int m, int n, int k, double alpha, double* a, int lda, double* b, int ldb, double beta, double* c, int ldc) =>
        WidestProduct.Multiply(transposeA, transposeB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);

    private protected override double[] Eigen(int n, double[] a, bool vectors) => library.SymmetricEigen(n, a, vectors);
}
