namespace LipVerify.Compute;

/// <summary>Cuts a matrix product into pieces by its shape, so that the result is the same for every number of threads.</summary>
internal static unsafe class MatrixProduct
{
    /// <summary>Pieces wanted where the product is large enough: a few for each of a few cores.</summary>
    private const int WantedPieces = 8;

    private const int BlockSide = 512;
    private const int LeastDepth = 4096;

    public static void Run(CpuEngine engine, bool transposeA, bool transposeB, int m, int n, int k, double alpha, double* a, int lda, double* b, int ldb, double beta, double* c, int ldc)
    {
        if (m == 0 || n == 0) return;
        if (k == 0 || alpha == 0)
        {
            Multiply(c, ldc, m, n, beta);
            return;
        }

        bool skinny = Math.Min(m, n) <= SkinnyProduct.MostVectors;
        int rowBlock = skinny ? SkinnyBlock(m) : Block(m), columnBlock = skinny ? SkinnyBlock(n) : Block(n);
        if (!skinny)
        {
            while (Count(m, rowBlock) * (long)Count(n, columnBlock) < WantedPieces && Math.Max(rowBlock, columnBlock) >= 128 && (long)rowBlock * columnBlock * k > 1 << 20)
                if (rowBlock >= columnBlock) rowBlock = Half(rowBlock);
                else columnBlock = Half(columnBlock);
        }
        int rows = Count(m, rowBlock), columns = Count(n, columnBlock);
        int slices = checked(rows * columns) >= WantedPieces ? 1 : Math.Clamp(k / LeastDepth, 1, WantedPieces);
        if (slices > 1 && (long)m * n <= BlockSide * BlockSide)
        {
            Sliced(engine, slices, transposeA, transposeB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
            return;
        }

        Pieces.Run(engine.Threads, rows * columns, 0, (piece, _) =>
        {
            int i = piece / columns * rowBlock, j = piece % columns * columnBlock;
            engine.MultiplyOnThisThread(
                transposeA, transposeB, Math.Min(rowBlock, m - i), Math.Min(columnBlock, n - j), k, alpha,
                a + (transposeA ? i : (nint)i * lda), lda, b + (transposeB ? (nint)j * ldb : j), ldb, beta, c + (nint)i * ldc + j, ldc);
        });
    }

    /// <summary>Few results, each a long sum: the sums are cut into slices, whose results are added in order.</summary>
    private static void Sliced(CpuEngine engine, int slices, bool transposeA, bool transposeB, int m, int n, int k, double alpha, double* a, int lda, double* b, int ldb, double beta, double* c, int ldc)
    {
        int depth = Pieces.CeilingDivide(k, slices);
        var partial = new double[slices * m * n];
        fixed (double* pinned = partial)
        {
            double* results = pinned;
            Pieces.Run(engine.Threads, slices, 0, (slice, _) =>
            {
                int first = slice * depth;
                engine.MultiplyOnThisThread(
                    transposeA, transposeB, m, n, Math.Min(depth, k - first), alpha,
                    a + (transposeA ? (nint)first * lda : first), lda, b + (transposeB ? first : (nint)first * ldb), ldb, 0, results + (nint)slice * m * n, n);
            });
            Multiply(c, ldc, m, n, beta);
            for (int slice = 0; slice < slices; slice++)
                for (int i = 0; i < m; i++)
                    for (int j = 0; j < n; j++) c[(nint)i * ldc + j] += results[((nint)slice * m + i) * n + j];
        }
    }

    private static void Multiply(double* c, int ldc, int m, int n, double beta)
    {
        for (int i = 0; i < m; i++, c += ldc)
            for (int j = 0; j < n; j++) c[j] = beta == 0 ? 0 : beta * c[j];
    }

    private static int Count(int size, int block) => Pieces.CeilingDivide(size, block);

    private static int Half(int block) => (block / 2 + 7) & ~7;

    private static int Block(int size) => (Pieces.CeilingDivide(size, Count(size, BlockSide)) + 7) & ~7;

    /// <summary>The short side stays whole; the long one goes out in runs that are a multiple of the four rows read together.</summary>
    private static int SkinnyBlock(int size) =>
        size <= SkinnyProduct.MostVectors ? size : Math.Clamp((Pieces.CeilingDivide(size, WantedPieces) + 7) & ~7, 8, 2048);
}
