namespace LipVerify.Compute;

/// <summary>
/// Cholesky factorisation inside an envelope, one block column after the other: each block is reduced by one long matrix product
/// of two block rows, then solved against the diagonal block. Every entry of the factor is (a − Σ l·l) / l or √(a − Σ l²) in some
/// order of summation, with no more terms than its row has entries in the envelope.
/// </summary>
internal static unsafe class EnvelopeCholesky
{
    /// <summary>
    /// Factors in place; false as soon as a pivot is not a positive finite number. The next diagonal block is factored as soon as its
    /// row is done, while other threads are still at the rows below.
    /// </summary>
    public static bool TryFactor(CpuEngine engine, SymmetricEnvelope envelope, double* a)
    {
        bool isDefinite = TryFactorDiagonal(engine, envelope, a, 0);
        int[] below = new int[envelope.Blocks];
        for (int column = 0; column < envelope.Blocks && isDefinite; column++)
        {
            int current = column, next = column + 1, count = 0;
            for (int row = next; row < envelope.Blocks; row++)
                if (row == next || envelope.FirstColumn(row) <= envelope.FirstRow(column)) below[count++] = row;
            Pieces.Run(engine.Threads, count, 0, (piece, _) =>
            {
                int row = below[piece];
                if (envelope.FirstColumn(row) <= envelope.FirstRow(current)) Solve(engine, envelope, a, row, current);
                if (row == next) isDefinite = TryFactorDiagonal(engine, envelope, a, next);
            });
        }
        return isDefinite;
    }

    /// <summary>L(row, column) from A(row, column), once the block columns before it and the diagonal block above it are done.</summary>
    private static void Solve(CpuEngine engine, SymmetricEnvelope envelope, double* a, int row, int column)
    {
        Reduce(engine, envelope, a, row, column);
        Cholesky.Solve(
            engine, Entry(envelope, a, column, column), envelope.Width(column), envelope.Rows(column),
            Entry(envelope, a, row, column), envelope.Width(row), envelope.Rows(row));
    }

    /// <summary>Above the diagonal the values are unspecified, numbers or not; they change too, and nothing depends on them.</summary>
    private static bool TryFactorDiagonal(CpuEngine engine, SymmetricEnvelope envelope, double* a, int block)
    {
        if (block >= envelope.Blocks) return true;
        Reduce(engine, envelope, a, block, block);
        return Cholesky.TryFactor(engine, threads: 1, Entry(envelope, a, block, block), envelope.Rows(block), envelope.Width(block));
    }

    private static double* Entry(SymmetricEnvelope envelope, double* a, int row, int column) =>
        a + envelope.Offset(row) + (envelope.FirstRow(column) - envelope.FirstColumn(row));

    /// <summary>A(row, column) ← A(row, column) − Σ L(row, k)·L(column, k)ᵀ over the block columns k before it that both rows keep.</summary>
    private static void Reduce(CpuEngine engine, SymmetricEnvelope envelope, double* a, int row, int column)
    {
        int first = Math.Max(envelope.FirstColumn(row), envelope.FirstColumn(column)), depth = envelope.FirstRow(column) - first;
        if (depth <= 0) return;
        double* left = a + envelope.Offset(row) + (first - envelope.FirstColumn(row));
        double* right = a + envelope.Offset(column) + (first - envelope.FirstColumn(column));
        engine.MultiplyOnThisThread(
            false, true, envelope.Rows(row), envelope.Rows(column), depth, -1, left, envelope.Width(row), right, envelope.Width(column),
            1, Entry(envelope, a, row, column), envelope.Width(row));
    }
}
