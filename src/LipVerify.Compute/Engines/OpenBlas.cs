using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;

namespace LipVerify.Compute;

/// <summary>The functions of OpenBLAS that are used, found at run time: CBLAS and Fortran LAPACK with 32-bit integers.</summary>
internal sealed unsafe class OpenBlas
{
    private const int RowMajor = 101, NoTranspose = 111, Transpose = 112;

    private static readonly Lazy<(OpenBlas? Library, string Reason)> s_loaded = new(Load);

    private readonly delegate* unmanaged[Cdecl]<int, int, int, int, int, int, double, double*, int, double*, int, double, double*, int, void> _dgemm;
    private readonly delegate* unmanaged[Cdecl]<byte*, byte*, int*, double*, int*, double*, double*, int*, int*, int*, int*, void> _dsyevd;

    private OpenBlas(nint library)
    {
        _dgemm = (delegate* unmanaged[Cdecl]<int, int, int, int, int, int, double, double*, int, double*, int, double, double*, int, void>)NativeLibrary.GetExport(library, "cblas_dgemm");
        _dsyevd = (delegate* unmanaged[Cdecl]<byte*, byte*, int*, double*, int*, double*, double*, int*, int*, int*, int*, void>)NativeLibrary.GetExport(library, "dsyevd_");
        Configuration = Text(library, "openblas_get_config");
        Core = Text(library, "openblas_get_corename");
        // The engines cut the work themselves. This also overrides OPENBLAS_NUM_THREADS.
        ((delegate* unmanaged[Cdecl]<int, void>)NativeLibrary.GetExport(library, "openblas_set_num_threads"))(1);
    }

    /// <summary>Version and build options, as the library gives them.</summary>
    public string Configuration { get; }

    /// <summary>Name and version.</summary>
    public string Version => string.Join(' ', Configuration.Split(' ', StringSplitOptions.RemoveEmptyEntries).Take(2));

    /// <summary>The processor that the library chose its kernels for.</summary>
    public string Core { get; }

    /// <summary>The library, loaded once in a process.</summary>
    public static bool TryLoad([NotNullWhen(true)] out OpenBlas? library, out string reason)
    {
        (library, reason) = s_loaded.Value;
        return library != null;
    }

    /// <summary>C ← α·op(A)·op(B) + β·C, row-major.</summary>
    public void Multiply(bool transposeA, bool transposeB, int m, int n, int k, double alpha, double* a, int lda, double* b, int ldb, double beta, double* c, int ldc) =>
        _dgemm(RowMajor, transposeA ? Transpose : NoTranspose, transposeB ? Transpose : NoTranspose, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);

    /// <summary>Eigenvalues of the finite symmetric matrix in the lower triangle, ascending; eigenvectors replace its rows if wanted.</summary>
    public double[] SymmetricEigen(int n, double[] a, bool vectors)
    {
        // Fortran reads columns: our lower triangle is its upper one, and its columns of eigenvectors are our rows.
        byte job = (byte)(vectors ? 'V' : 'N'), triangle = (byte)'U';
        double size = 0;
        int integerSize = 0, query = -1, info = 0;
        _dsyevd(&job, &triangle, &n, null, &n, null, &size, &query, &integerSize, &query, &info);
        Check(n, info);
        if (size > int.MaxValue) throw new ArgumentException($"a matrix of order {n} is too large for the eigensolver");
        int length = (int)size, integerLength = integerSize;

        using var matrix = new AlignedMemory((long)n * n);
        using var values = new AlignedMemory(n);
        using var work = new AlignedMemory(length);
        var integers = new int[integerLength];
        a.AsSpan(0, n * n).CopyTo(new Span<double>(matrix.Start, n * n));
        fixed (int* pi = integers)
            _dsyevd(&job, &triangle, &n, matrix.Start, &n, values.Start, work.Start, &length, pi, &integerLength, &info);
        Check(n, info);
        if (vectors) new Span<double>(matrix.Start, n * n).CopyTo(a);
        return new Span<double>(values.Start, n).ToArray();
    }

    private static void Check(int n, int info)
    {
        if (info != 0) throw new InvalidOperationException($"dsyevd did not converge on a matrix of order {n} (info {info})");
    }

    /// <summary>
    /// Zeros that begin at a line of the cache. The library's kernels sum up to such a line first, so that on arrays, which lie
    /// anywhere, the last bits of a result would differ from call to call.
    /// </summary>
    private readonly struct AlignedMemory : IDisposable
    {
        private const nuint Line = 64;

        public readonly double* Start;

        public AlignedMemory(long length)
        {
            nuint bytes = (nuint)length * sizeof(double);
            Start = (double*)NativeMemory.AlignedAlloc(bytes, Line);
            NativeMemory.Clear(Start, bytes);
        }

        public void Dispose() => NativeMemory.AlignedFree(Start);
    }

    private static (OpenBlas?, string) Load()
    {
        string[] names = OperatingSystem.IsWindows() ? ["libopenblas.dll", "openblas.dll"]
            : OperatingSystem.IsMacOS() ? ["libopenblas.dylib", "/opt/homebrew/opt/openblas/lib/libopenblas.dylib", "/usr/local/opt/openblas/lib/libopenblas.dylib"]
            : ["libopenblas.so.0", "libopenblas.so", "libopenblasp.so.0"];
        foreach (string name in names)
        {
            if (!NativeLibrary.TryLoad(name, out nint handle)) continue;
            try
            {
                var library = new OpenBlas(handle);
                if (!library.Configuration.Contains("USE64BITINT")) return (library, "");
                return (null, $"{name} is built with 64-bit integers; the usual 32-bit build is needed");
            }
            catch (EntryPointNotFoundException missing)
            {
                return (null, $"{name} is not a complete OpenBLAS: {missing.Message}");
            }
        }
        return (null, $"no OpenBLAS library was found ({string.Join(", ", names)})");
    }

    private static string Text(nint library, string function) =>
        Marshal.PtrToStringUTF8(((delegate* unmanaged[Cdecl]<nint>)NativeLibrary.GetExport(library, function))()) ?? "";
}
