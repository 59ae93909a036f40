using MathNet.Numerics;
using MathNet.Numerics.LinearAlgebra;
using MathNet.Numerics.LinearAlgebra.Double;

namespace LipVerify.Compute;

/// <summary>The engine without native code: its own matrix product, MathNet.Numerics for eigenvalues. Also the reference for the others.</summary>
public sealed unsafe class ManagedEngine : CpuEngine
{
    /// <summary>Makes the engine.</summary>
    /// <param name="threads">Threads inside an operation; 0 for all cores.</param>
    /// <exception cref="ArgumentException"><paramref name="threads"/> is negative.</exception>
    public ManagedEngine(int threads) : base(threads) { }

    /// <inheritdoc/>
    public override string Name => "managed";

    /// <inheritdoc/>
    public override string Description => $"managed code with {WidestProduct.Bits}-bit vectors, {ThreadsText}";

    private protected override void Multiply(bool transposeA, bool transposeB, int m, int n, int k, double alpha, double* a, int lda, double* b, int ldb, double beta, double* c, int ldc) =>
        WidestProduct.Multiply(transposeA, transposeB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);

    private protected override double[] Eigen(int n, double[] a, bool vectors)
    {
        var matrix = DenseMatrix.Create(n, n, (i, j) => i >= j ? a[i * n + j] : a[j * n + i]);
        try
        {
            var factors = matrix.Evd(Symmetricity.Symmetric);
            if (vectors)
                for (int i = 0; i < n; i++)
                    for (int j = 0; j < n; j++) a[i * n + j] = factors.EigenVectors[j, i];
            return factors.EigenValues.Select(value => value.Real).ToArray();
        }
        catch (NonConvergenceException failure)
        {
            throw new InvalidOperationException($"the eigensolver did not converge on a matrix of order {n}", failure);
        }
    }
}
