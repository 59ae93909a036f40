using System.Buffers;
using System.Numerics.Tensors;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace LipVerify.Compute;

/// <summary>
/// Aᵀ·diag(s)·A·x for a few vectors x in one pass over A, whose rows are read once from memory: a_i·x, and while the row is in the
/// cache s_i·(a_i·x)·a_i. Rows with s_i = 0 are not read. A piece of work sums a range of rows; the sums of the pieces are added in order.
/// </summary>
internal static unsafe class GramProduct
{
    private const int MostPieces = 8;
    private const int LeastRows = 32;
    private const int ColumnBlock = 4096;

    /// <summary>Rows in a piece of work.</summary>
    private static int PieceRows(int rows) => Math.Max(LeastRows, Pieces.CeilingDivide(rows, MostPieces));

    /// <summary>
    /// The most roundings of one term: eight running sums and their total along a row, at most seven terms left over, the product with s_i,
    /// then one a row of the piece and one a piece.
    /// </summary>
    public static int Depth(int rows, int columns) => columns / 8 + 16 + Math.Min(rows, PieceRows(rows)) + MostPieces;

    public static void Run(int threads, int rows, int columns, double* a, double* s, int batch, double* x, double* y)
    {
        int pieceRows = PieceRows(rows), pieces = Pieces.CeilingDivide(rows, pieceRows);
        // Vectors go in pairs; of the sums of a vector without a partner one half is dropped.
        int block = checked((batch + 1) / 2 * 2 * columns);
        double[] rented = ArrayPool<double>.Shared.Rent(checked(pieces * block));
        fixed (double* start = rented)
        {
            double* sums = start;
            Pieces.Run(threads, pieces, 0, (piece, _) =>
            {
                double* own = sums + (nint)piece * block;
                new Span<double>(own, block).Clear();
                AddRows(piece * pieceRows, Math.Min(rows, (piece + 1) * pieceRows), columns, a, s, batch, x, own);
            });
            Pieces.Run(threads, Pieces.CeilingDivide(batch * columns, ColumnBlock), 0, (part, _) =>
            {
                int first = part * ColumnBlock, count = Math.Min(ColumnBlock, batch * columns - first);
                var target = new Span<double>(y + first, count);
                target.Clear();
                for (int piece = 0; piece < pieces; piece++)
                    TensorPrimitives.Add(target, new ReadOnlySpan<double>(sums + (nint)piece * block + first, count), target);
            });
        }
        ArrayPool<double>.Shared.Return(rented);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddRows(int first, int last, int columns, double* a, double* s, int batch, double* x, double* sums)
    {
        double** lines = stackalloc double*[4];
        double* weights = stackalloc double[4], factors = stackalloc double[8];
        while (true)
        {
            int count = 0;
            for (; first < last && count < 4; first++)
                if (s[first] != 0)
                {
                    weights[count] = s[first];
                    lines[count++] = a + (nint)first * columns;
                }
            if (count == 0) return;
            // Fewer than four rows are filled up with one that counts nothing.
            for (int q = count; q < 4; q++)
            {
                lines[q] = lines[0];
                weights[q] = 0;
            }
            for (int i = 0; i < batch; i += 2)
            {
                double* x0 = x + (nint)i * columns, x1 = i + 1 < batch ? x0 + columns : x0, y0 = sums + (nint)i * columns;
                Dots(lines, columns, x0, x1, factors);
                for (int q = 0; q < 4; q++) (factors[q], factors[q + 4]) = (factors[q] * weights[q], factors[q + 4] * weights[q]);
                AddMultiples(lines, columns, factors, y0, y0 + columns);
            }
        }
    }

    /// <summary>Inner products of four rows with two vectors: those with the first one, then those with the second.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Dots(double** lines, int columns, double* x0, double* x1, double* dots)
    {
        double* r0 = lines[0], r1 = lines[1], r2 = lines[2], r3 = lines[3];
        Vector512<double> s0 = Vector512<double>.Zero, s1 = s0, s2 = s0, s3 = s0, t0 = s0, t1 = s0, t2 = s0, t3 = s0;
        int j = 0;
        for (; j <= columns - 8; j += 8)
        {
            Vector512<double> v = Vector512.Load(x0 + j), w = Vector512.Load(x1 + j);
            Vector512<double> a = Vector512.Load(r0 + j), b = Vector512.Load(r1 + j), c = Vector512.Load(r2 + j), d = Vector512.Load(r3 + j);
            s0 = Vector512.MultiplyAddEstimate(a, v, s0);
            s1 = Vector512.MultiplyAddEstimate(b, v, s1);
            s2 = Vector512.MultiplyAddEstimate(c, v, s2);
            s3 = Vector512.MultiplyAddEstimate(d, v, s3);
            t0 = Vector512.MultiplyAddEstimate(a, w, t0);
            t1 = Vector512.MultiplyAddEstimate(b, w, t1);
            t2 = Vector512.MultiplyAddEstimate(c, w, t2);
            t3 = Vector512.MultiplyAddEstimate(d, w, t3);
        }
        dots[0] = Vector512.Sum(s0);
        dots[1] = Vector512.Sum(s1);
        dots[2] = Vector512.Sum(s2);
        dots[3] = Vector512.Sum(s3);
        dots[4] = Vector512.Sum(t0);
        dots[5] = Vector512.Sum(t1);
        dots[6] = Vector512.Sum(t2);
        dots[7] = Vector512.Sum(t3);
        for (; j < columns; j++)
            for (int q = 0; q < 4; q++)
            {
                dots[q] += lines[q][j] * x0[j];
                dots[q + 4] += lines[q][j] * x1[j];
            }
    }

    /// <summary>Adds multiples of four rows to two vectors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddMultiples(double** lines, int columns, double* factors, double* y0, double* y1)
    {
        double* r0 = lines[0], r1 = lines[1], r2 = lines[2], r3 = lines[3];
        Vector512<double> f0 = Vector512.Create(factors[0]), f1 = Vector512.Create(factors[1]), f2 = Vector512.Create(factors[2]), f3 = Vector512.Create(factors[3]);
        Vector512<double> g0 = Vector512.Create(factors[4]), g1 = Vector512.Create(factors[5]), g2 = Vector512.Create(factors[6]), g3 = Vector512.Create(factors[7]);
        int j = 0;
        for (; j <= columns - 8; j += 8)
        {
            Vector512<double> a = Vector512.Load(r0 + j), b = Vector512.Load(r1 + j), c = Vector512.Load(r2 + j), d = Vector512.Load(r3 + j);
            Vector512<double> v = Vector512.Load(y0 + j), w = Vector512.Load(y1 + j);
            v = Vector512.MultiplyAddEstimate(a, f0, v);
            w = Vector512.MultiplyAddEstimate(a, g0, w);
            v = Vector512.MultiplyAddEstimate(b, f1, v);
            w = Vector512.MultiplyAddEstimate(b, g1, w);
            v = Vector512.MultiplyAddEstimate(c, f2, v);
            w = Vector512.MultiplyAddEstimate(c, g2, w);
            Vector512.Store(Vector512.MultiplyAddEstimate(d, f3, v), y0 + j);
            Vector512.Store(Vector512.MultiplyAddEstimate(d, g3, w), y1 + j);
        }
        for (; j < columns; j++)
            for (int q = 0; q < 4; q++)
            {
                y0[j] += factors[q] * lines[q][j];
                y1[j] += factors[q + 4] * lines[q][j];
            }
    }
}
