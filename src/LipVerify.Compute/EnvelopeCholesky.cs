namespace LipVerify.Compute;

/// <summary>
/// Cholesky factorisation inside an envelope, one block column after the other: each block is reduced by one long matrix product
/// of two block rows, then solved against the diagonal block. Every entry of the factor is (a − Σ l·l) / l or √(a − Σ l²) in some
/// order of summation, with no more terms than its row has entries in the envelope.
/// </summary>
internal static unsafe class EnvelopeCholesky
{
    /// <summary>Factors in place; false as soon as a pivot is not a positive finite number.</summary>
    public static bool TryFactor(CpuEngine engine, SymmetricEnvelope envelope, double* a)
    {
        int[] below = new int[envelope.Blocks];
        for (int column = 0; column < envelope.Blocks; column++)
        {
            double* diagonal = Entry(envelope, a, column, column);
            int stride = envelope.Width(column), size = envelope.Rows(column), current = column;
            // Above the diagonal the values are unspecified, numbers or not; they change too, and nothing depends on them.
            Reduce(engine, envelope, a, column, column);
            if (!Cholesky.TryFactor(engine, diagonal, size, stride)) return false;

            int count = 0;
            for (int row = column + 1; row < envelope.Blocks; row++)
                if (envelope.FirstColumn(row) <= envelope.FirstRow(column)) below[count++] = row;
            Pieces.Run(engine.Threads, count, 0, (piece, _) =>
            {
                int row = below[piece];
                Reduce(engine, envelope, a, row, current);
                Cholesky.Solve(engine, diagonal, stride, size, Entry(envelope, a, row, current), envelope.Width(row), envelope.Rows(row));
            });
        }
        return true;
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
