using ILGPU;

namespace LipVerify.Ilgpu.Kernels;

/// <summary>A function of a matrix's entries times a vector.</summary>
internal struct EntryArguments
{
    public ArrayView<double> Matrix, X, Y;
    public int Rows, Columns;
    public double Scale;

    /// <summary>0 for |a|, 1 for a².</summary>
    public int Squares;

    public readonly double Entry(int at)
    {
        double scaled = Scale * Matrix[at];
        return Squares != 0 ? scaled * scaled : Math.Abs(scaled);
    }
}

/// <summary>Aᵀ·diag(s)·A·x for one or two vectors.</summary>
internal struct GramArguments
{
    public ArrayView<double> Matrix, Factors, X, Y;

    /// <summary>Rows, columns, and the vectors of this call: the second is there or not.</summary>
    public int Rows, Columns, Vectors;

    /// <summary>One sum a group for each column, vector after vector.</summary>
    public ArrayView<double> Partials;

    public int Groups;
}

/// <summary>Products with matrices of which each entry is used once: they take as long as the matrix takes to read.</summary>
internal static class StreamedProductKernels
{
    /// <summary>Rows that a group takes at a time in <see cref="Gram"/>.</summary>
    public const int RowsAtOnce = 4;

    /// <summary>f(s·A)·x: a group for each row.</summary>
    public static void Entries(EntryArguments p)
    {
        for (int row = Grid.IdxX; row < p.Rows; row += Grid.DimX)
        {
            double sum = 0.0;
            for (int j = Group.IdxX; j < p.Columns; j += Group.DimX) sum += p.Entry(row * p.Columns + j) * p.X[j];
            sum = GroupSum.Of(sum);
            if (Group.IdxX == 0) p.Y[row] = sum;
        }
    }

    /// <summary>f(s·A)ᵀ·x: a thread for each column.</summary>
    public static void EntriesTransposed(EntryArguments p)
    {
        for (int j = Grid.GlobalIndex.X; j < p.Columns; j += Grid.DimX * Group.DimX)
        {
            double sum = 0.0;
            for (int row = 0; row < p.Rows; row++) sum += p.Entry(row * p.Columns + j) * p.X[row];
            p.Y[j] = sum;
        }
    }

    /// <summary>
    /// A group goes over a few rows for their inner products with the vectors and, while they are still in the caches, adds their multiples to sums of its
    /// own: the matrix comes from memory once. Rows whose factor is 0 are not read.
    /// </summary>
    public static void Gram(GramArguments p)
    {
        int group = Grid.IdxX, thread = Group.IdxX, threads = Group.DimX;
        for (int v = 0; v < p.Vectors; v++)
            for (int j = thread; j < p.Columns; j += threads) p.Partials[(v * p.Groups + group) * p.Columns + j] = 0.0;
        for (int first = group * RowsAtOnce; first < p.Rows; first += p.Groups * RowsAtOnce)
        {
            double s0 = FactorOf(p, first), s1 = FactorOf(p, first + 1), s2 = FactorOf(p, first + 2), s3 = FactorOf(p, first + 3);
            double u0 = 0.0, u1 = 0.0, u2 = 0.0, u3 = 0.0, w0 = 0.0, w1 = 0.0, w2 = 0.0, w3 = 0.0;
            for (int j = thread; j < p.Columns; j += threads)
            {
                double a0 = EntryOf(p, s0, first, j), a1 = EntryOf(p, s1, first + 1, j), a2 = EntryOf(p, s2, first + 2, j), a3 = EntryOf(p, s3, first + 3, j);
                double x = p.X[j];
                u0 += a0 * x;
                u1 += a1 * x;
                u2 += a2 * x;
                u3 += a3 * x;
                if (p.Vectors < 2) continue;
                x = p.X[p.Columns + j];
                w0 += a0 * x;
                w1 += a1 * x;
                w2 += a2 * x;
                w3 += a3 * x;
            }

            u0 = Scaled(s0, GroupSum.Of(u0));
            u1 = Scaled(s1, GroupSum.Of(u1));
            u2 = Scaled(s2, GroupSum.Of(u2));
            u3 = Scaled(s3, GroupSum.Of(u3));
            if (p.Vectors > 1)
            {
                w0 = Scaled(s0, GroupSum.Of(w0));
                w1 = Scaled(s1, GroupSum.Of(w1));
                w2 = Scaled(s2, GroupSum.Of(w2));
                w3 = Scaled(s3, GroupSum.Of(w3));
            }

            for (int j = thread; j < p.Columns; j += threads)
            {
                double a0 = EntryOf(p, s0, first, j), a1 = EntryOf(p, s1, first + 1, j), a2 = EntryOf(p, s2, first + 2, j), a3 = EntryOf(p, s3, first + 3, j);
                int at = group * p.Columns + j;
                p.Partials[at] = p.Partials[at] + u0 * a0 + u1 * a1 + u2 * a2 + u3 * a3;
                if (p.Vectors < 2) continue;
                at += p.Groups * p.Columns;
                p.Partials[at] = p.Partials[at] + w0 * a0 + w1 * a1 + w2 * a2 + w3 * a3;
            }
        }
    }

    private static double Scaled(double factor, double sum) => factor != 0.0 ? factor * sum : 0.0;

    private static double FactorOf(GramArguments p, int row) => row < p.Rows ? p.Factors[row] : 0.0;

    private static double EntryOf(GramArguments p, double factor, int row, int column) => factor != 0.0 ? p.Matrix[row * p.Columns + column] : 0.0;

    /// <summary>The sums of the groups, in order.</summary>
    public static void GramSums(GramArguments p)
    {
        for (int i = Grid.GlobalIndex.X; i < p.Vectors * p.Columns; i += Grid.DimX * Group.DimX)
        {
            int vector = i / p.Columns, j = i - vector * p.Columns;
            double sum = 0.0;
            for (int group = 0; group < p.Groups; group++) sum += p.Partials[(vector * p.Groups + group) * p.Columns + j];
            p.Y[i] = sum;
        }
    }
}
