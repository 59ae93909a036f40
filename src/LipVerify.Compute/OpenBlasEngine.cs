using System.Diagnostics.CodeAnalysis;

namespace LipVerify.Compute;

/// <summary>The engine on OpenBLAS: its matrix product on tiles, its LAPACK for eigenvalues.</summary>
public sealed unsafe class OpenBlasEngine : CpuEngine
{
    private readonly OpenBlas _library;

    private OpenBlasEngine(OpenBlas library, int threads) : base(threads) => _library = library;

    /// <inheritdoc/>
    public override string Name => "openblas";

    /// <inheritdoc/>
    public override string Description
    {
        get
        {
            string version = string.Join(' ', _library.Configuration.Split(' ', StringSplitOptions.RemoveEmptyEntries).Take(2));
            return $"{version} ({_library.Core}), {Threads} {(Threads == 1 ? "thread" : "threads")}";
        }
    }

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

    private protected override double[] Eigen(int n, double[] a, bool vectors)
    {
        var values = new double[n];
        int info;
        fixed (double* pa = a, pv = values) info = _library.SymmetricEigen(n, pa, vectors, pv);
        return info == 0 ? values : throw new InvalidOperationException($"dsyevd did not converge on a matrix of order {n} (info {info})");
    }
}
