using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace LipVerify.Compute;

/// <summary>
/// Cholesky factorisation of shift·I ± A inside the envelope of A, one block column after the other: each block is reduced by the
/// block columns before it, then solved against the diagonal block, a few of its rows at a time. Those lie transposed in tiles, whose
/// lines are columns of the matrix. Every entry of the factor is (m − Σ l·l) / l or √(m − Σ l²) with a true division, m an entry of
/// the matrix, in some order of summation, with no more terms than its row has entries in the envelope: what Rump's test of
/// definiteness (2006) assumes. LAPACK libraries often multiply by rounded reciprocals instead.
/// </summary>
/// <param name="envelope">Where A has entries.</param>
/// <param name="a">The lower triangle of A.</param>
/// <param name="sign">1 or −1.</param>
/// <param name="shift">The shift.</param>
/// <param name="l">Receives the lower triangle of the factor, if there is one; may be <paramref name="a"/>.</param>
internal sealed unsafe class EnvelopeCholesky<TKernel>(SymmetricEnvelope envelope, BlockRows a, double sign, double shift, BlockRows l) where TKernel : struct, IMicroKernel
{
    /// <summary>Steps of a sum at a time: so many of the rows that are reduced stay in the first-level cache.</summary>
    private const int Depth = 192;

    private const int BlockSide = SymmetricEnvelope.BlockRows;

    /// <summary>
    /// False as soon as a pivot is not a positive finite number. The next diagonal block is factored as soon as its row is done, while
    /// other threads are still at the rows below.
    /// </summary>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    public bool TryFactor(int threads, CancellationToken cancellation)
    {
        using var factor = new PackedFactor(envelope, TKernel.Rows);
        bool isDefinite = true;
        int[] below = new int[envelope.Blocks];
        for (int column = -1; column < envelope.Blocks - 1 && isDefinite; column++)
        {
            cancellation.ThrowIfCancellationRequested();
            int current = column, next = column + 1, count = 0;
            for (int row = next; row < envelope.Blocks; row++)
                if (row == next || IsCoupled(row, current))
                {
                    below[count++] = row;
                    factor.Open(row);
                }
            Pieces.Run(threads, count, BlockSide * BlockSide, (piece, tiles) =>
            {
                int row = below[piece];
                if (IsCoupled(row, current)) Solve(factor, row, current, tiles);
                if (row == next) isDefinite = TryFactorDiagonal(factor, next, tiles);
            });
            if (column >= 0) factor.Close(column);
        }
        return isDefinite;
    }

    /// <summary>Before the first block column nothing is coupled.</summary>
    private bool IsCoupled(int row, int column) => column >= 0 && envelope.FirstColumn(row) <= envelope.FirstRow(column);

    /// <summary>
    /// L(row, column), once the block columns before it and the diagonal block above it are done. Only the last block column may be
    /// narrow, and that has no block below its diagonal.
    /// </summary>
    private void Solve(PackedFactor factor, int row, int column, double* tiles)
    {
        PackedRow left = factor.Row(column, column), right = factor.Row(row, column);
        for (int i = 0; i < envelope.Rows(row); i += TKernel.Columns)
        {
            Load(row, column, i, tiles);
            Reduce(left, right, i, CommonDepth(row, column), BlockSide, tiles);
            for (int j = 0; j < BlockSide; j += TKernel.Rows)
            {
                double* tile = tiles + j * TKernel.Columns;
                ReduceInside(left, right, i, j, tile);
                SolveTile(left.Panel(j, j), TKernel.Rows, tile);
                right.Store(i, j, TKernel.Rows, tile, TKernel.Columns);
            }
            Keep(row, column, i, tiles);
        }
    }

    /// <summary>Above the diagonal the values are unspecified, numbers or not; nothing depends on them.</summary>
    private bool TryFactorDiagonal(PackedFactor factor, int block, double* tiles)
    {
        int rows = envelope.Rows(block);
        PackedRow packed = factor.Row(block, block);
        for (int i = 0; i < rows; i += TKernel.Columns)
        {
            double* own = tiles + i * BlockSide;
            Load(block, block, i, own);
            for (int q = 0; q < TKernel.Columns && i + q < rows; q++) own[(i + q) * TKernel.Columns + q] += shift;
            Reduce(packed, packed, i, CommonDepth(block, block), Math.Min(rows, i + TKernel.Columns), own);
        }
        for (int j = 0; j < rows; j += TKernel.Rows)
        {
            int columns = Math.Min(TKernel.Rows, rows - j), onDiagonal = j / TKernel.Columns * TKernel.Columns;
            for (int i = onDiagonal; i < rows; i += TKernel.Columns)
            {
                double* tile = tiles + i * BlockSide + j * TKernel.Columns;
                ReduceInside(packed, packed, i, j, tile);
                if (i > onDiagonal) SolveTile(packed.Panel(j, j), columns, tile);
                else if (!TryFactorTile(j - onDiagonal, columns, tile)) return false;
                packed.Store(i, j, columns, tile, TKernel.Columns);
            }
        }
        for (int i = 0; i < rows; i += TKernel.Columns) Keep(block, block, i, tiles + i * BlockSide);
        return true;
    }

    /// <summary>±A in the tiles of the rows of a block from row <paramref name="i"/> on.</summary>
    private void Load(int row, int column, int i, double* tiles)
    {
        int rows = Math.Min(TKernel.Columns, envelope.Rows(row) - i), columns = envelope.Rows(column);
        PanelPacking.Pack(a.Entry(row, column, i), a.Stride(row), 1, rows, columns, TKernel.Columns, tiles);
        if (sign < 0)
            for (int q = 0; q < columns * TKernel.Columns; q += 4) Vector256.Store(-Vector256.Load(tiles + q), tiles + q);
    }

    /// <summary>Writes rows of a block of the factor out of their tiles, if it is wanted.</summary>
    private void Keep(int row, int column, int i, double* tiles)
    {
        if (l.IsEmpty) return;
        int rows = Math.Min(TKernel.Columns, envelope.Rows(row) - i), stride = l.Stride(row);
        double* target = l.Entry(row, column, i);
        if (row != column) PanelPacking.Transpose(tiles, TKernel.Columns, envelope.Rows(column), rows, stride, target);
        else
            for (int q = 0; q < rows; q++, target += stride)
                for (int j = 0; j <= i + q; j++) target[j] = tiles[j * TKernel.Columns + q];
    }

    /// <summary>Block columns before this one that both rows keep, in columns.</summary>
    private int CommonDepth(int row, int column) => envelope.FirstRow(column) - Math.Max(envelope.FirstColumn(row), envelope.FirstColumn(column));

    /// <summary>Subtracts L(row, k)·L(column, k) over the <paramref name="depth"/> columns k before this block.</summary>
    private static void Reduce(PackedRow left, PackedRow right, int i, int depth, int lines, double* tiles)
    {
        for (int k = -depth; k < 0; k += Depth)
            for (int j = 0; j < lines; j += TKernel.Rows)
                TKernel.Run(Math.Min(Depth, -k), left.Panel(j, k), right.Panel(i, k), right.Distance, TKernel.Rows, -1, 1, tiles + j * TKernel.Columns, TKernel.Columns);
    }

    /// <summary>The same over the columns of this block before line <paramref name="j"/>.</summary>
    private static void ReduceInside(PackedRow left, PackedRow right, int i, int j, double* tile)
    {
        if (j > 0) TKernel.Run(j, left.Panel(j, 0), right.Panel(i, 0), right.Distance, TKernel.Rows, -1, 1, tile, TKernel.Columns);
    }

    /// <summary>Substitution with a packed triangle.</summary>
    private static void SolveTile(double* triangle, int lines, double* tile)
    {
        for (int j = 0; j < lines; j++) SolveLine(triangle + j, TKernel.Rows, j, triangle[j * TKernel.Rows + j], tile);
    }

    /// <summary>Factors the triangle that begins at row <paramref name="i"/> of a tile, and solves the rows below it.</summary>
    private static bool TryFactorTile(int i, int lines, double* tile)
    {
        for (int j = 0; j < lines; j++)
        {
            double* row = tile + i + j;
            double pivot = row[j * TKernel.Columns];
            for (int k = 0; k < j; k++) pivot -= row[k * TKernel.Columns] * row[k * TKernel.Columns];
            if (!(pivot > 0) || double.IsInfinity(pivot)) return false;
            double root = Math.Sqrt(pivot);
            SolveLine(row, TKernel.Columns, j, root, tile);
            row[j * TKernel.Columns] = root;
        }
        return true;
    }

    /// <summary>Line <paramref name="j"/> of a tile, from those before it and the row of the triangle whose entries lie a distance apart.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void SolveLine(double* row, nint distance, int j, double pivot, double* tile)
    {
        double* target = tile + j * TKernel.Columns;
        Vector256<double> divisor = Vector256.Create(pivot);
        for (int q = 0; q < TKernel.Columns; q += 12)
        {
            double* other = tile + q;
            Vector256<double> s0 = Vector256.Load(target + q), s1 = Vector256.Load(target + q + 4), s2 = Vector256.Load(target + q + 8);
            for (int k = 0; k < j; k++, other += TKernel.Columns)
            {
                Vector256<double> f = Vector256.Create(-row[k * distance]);
                s0 = Vector256.MultiplyAddEstimate(f, Vector256.Load(other), s0);
                s1 = Vector256.MultiplyAddEstimate(f, Vector256.Load(other + 4), s1);
                s2 = Vector256.MultiplyAddEstimate(f, Vector256.Load(other + 8), s2);
            }
            Vector256.Store(s0 / divisor, target + q);
            Vector256.Store(s1 / divisor, target + q + 4);
            Vector256.Store(s2 / divisor, target + q + 8);
        }
    }
}
