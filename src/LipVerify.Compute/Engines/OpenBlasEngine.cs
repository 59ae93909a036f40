using System.Diagnostics.CodeAnalysis;

namespace LipVerify.Compute;

/// <summary>The engine on OpenBLAS: its matrix product on tiles, its LAPACK for eigenvalues.</summary>
public sealed unsafe class OpenBlasEngine : CpuEngine
{
    private readonly OpenBlas _library;

    internal OpenBlasEngine(OpenBlas library, int threads) : base(threads) => _library = library;

    /// <inheritdoc/>
    public override string Name => "openblas";

    /// <inheritdoc/>
    public override string Description => $"{_library.Version} ({_library.Core}), {ThreadsText}";

    /// <summary>Makes the engine where OpenBLAS is installed; otherwise <paramref name="reason"/> says what is missing.</summary>
    /// <param name="threads">Threads inside an operation; 0 for all cores.</param>
    /// <param name="engine">The engine, or null.</param>
    /// <param name="reason">Empty on success.</param>
    /// <exception cref="ArgumentException"><paramref name="threads"/> is negative.</exception>
    public static bool TryCreate(int threads, [NotNullWhen(true)] out OpenBlasEngine? engine, out string reason)
    {
        engine = OpenBlas.TryLoad(out OpenBlas? library, out reason) ? new OpenBlasEngine(library, threads) : null;
        return engine != null;
    }

    private protected override void Multiply(bool transposeA, bool transposeB, int m, int n, int k, double alpha, double* a, int lda, double* b, int ldb, double beta, double* c, int ldc) =>
        _library.Multiply(transposeA, transposeB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);

    private protected override double[] Eigen(int n, double[] a, bool vectors) => _library.SymmetricEigen(n, a, vectors);
}
