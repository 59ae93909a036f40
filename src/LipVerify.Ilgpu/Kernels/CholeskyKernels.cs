using ILGPU;

namespace LipVerify.Ilgpu.Kernels;

/// <summary>The lower triangle of a symmetric matrix: where column 0 of each row would be, and the first column that each block of rows keeps.</summary>
internal struct Triangle
{
    public ArrayView<double> Values;
    public ArrayView<int> RowStarts, FirstColumns;
    public int Order;

    /// <summary>Rows of a block, as in a <c>SymmetricEnvelope</c>.</summary>
    public const int BlockRows = Compute.SymmetricEnvelope.BlockRows;

    public readonly int First(int row) => FirstColumns[row / BlockRows];

    public readonly int At(int row, int column) => RowStarts[row] + column;
}

/// <summary>A ← sign·A + shift·I.</summary>
internal struct ShiftArguments
{
    public Triangle Source, Result;
    public double Sign, Shift;
}

/// <summary>A step of a factorisation: one block column.</summary>
internal struct CholeskyArguments
{
    public Triangle Matrix;

    /// <summary>First column of the block, and its columns.</summary>
    public int Column, Width;

    /// <summary>Rows below the block that may hold something in it end here.</summary>
    public int LastRow;

    /// <summary>1 once a pivot was no positive number: nothing is done any more.</summary>
    public ArrayView<int> Failed;
}

/// <summary>Blocks of a Cholesky factorisation, with true roots and divisions, as the bound on its rounding asks for.</summary>
internal static class CholeskyKernels
{
    /// <summary>Rows that a group solves at a time.</summary>
    public const int SolvedRows = 32;

    private const int Block = Triangle.BlockRows;

    /// <summary>Copies a triangle, each row by a group.</summary>
    public static void Shift(ShiftArguments p)
    {
        for (int row = Grid.IdxX; row < p.Source.Order; row += Grid.DimX)
            for (int column = p.Source.First(row) + Group.IdxX; column <= row; column += Group.DimX)
            {
                double value = p.Sign * p.Source.Values[p.Source.At(row, column)];
                p.Result.Values[p.Result.At(row, column)] = column == row ? p.Shift + value : value;
            }
    }

    /// <summary>The factor of a diagonal block, by one group.</summary>
    public static void Diagonal(CholeskyArguments p)
    {
        var block = SharedMemory.Allocate<double>(Block * Block);
        int thread = Group.IdxX, threads = Group.DimX, width = p.Width;
        if (p.Failed[0] != 0) return;
        for (int at = thread; at < width * width; at += threads)
        {
            int row = at / width, column = at - row * width;
            if (column <= row) block[at] = p.Matrix.Values[p.Matrix.At(p.Column + row, p.Column + column)];
        }

        Group.Barrier();
        for (int k = 0; k < width; k++)
        {
            // Every thread takes the same root: that is cheaper than to wait for one that does.
            double pivot = block[k * width + k];
            bool isGood = pivot > 0.0 && pivot < double.PositiveInfinity;
            double root = isGood ? Math.Sqrt(pivot) : 1.0;
            if (!isGood && thread == 0) p.Failed[0] = 1;
            Group.Barrier();
            if (thread == 0) block[k * width + k] = root;
            for (int row = k + 1 + thread; row < width; row += threads) block[row * width + k] /= root;
            Group.Barrier();
            int rest = width - k - 1;
            for (int at = thread; at < rest * rest; at += threads)
            {
                int down = at / rest, across = at - down * rest, row = k + 1 + down, column = k + 1 + across;
                if (across <= down) block[row * width + column] -= block[row * width + k] * block[column * width + k];
            }

            Group.Barrier();
        }

        for (int at = thread; at < width * width; at += threads)
        {
            int row = at / width, column = at - row * width;
            if (column <= row) p.Matrix.Values[p.Matrix.At(p.Column + row, p.Column + column)] = block[at];
        }
    }

    /// <summary>L ← A·D⁻ᵀ for rows below a diagonal block with the factor D; a group has some rows of a block.</summary>
    public static void Solve(CholeskyArguments p)
    {
        var factor = SharedMemory.Allocate<double>(Block * (Block + 1) / 2);
        var rows = SharedMemory.Allocate<double>(SolvedRows * Block);
        int thread = Group.IdxX, threads = Group.DimX, width = p.Width, firstRow = p.Column + width + Grid.IdxX * SolvedRows;
        if (p.Failed[0] != 0) return;
        int count = IntrinsicMath.Min(SolvedRows, p.LastRow - firstRow);
        for (int at = thread; at < width * width; at += threads)
        {
            int row = at / width, column = at - row * width;
            if (column <= row) factor[row * (row + 1) / 2 + column] = p.Matrix.Values[p.Matrix.At(p.Column + row, p.Column + column)];
        }

        for (int at = thread; at < count * width; at += threads)
        {
            int row = at / width, column = at - row * width;
            rows[at] = p.Matrix.First(firstRow + row) <= p.Column ? p.Matrix.Values[p.Matrix.At(firstRow + row, p.Column + column)] : 0.0;
        }

        Group.Barrier();
        for (int k = 0; k < width; k++)
        {
            for (int row = thread; row < count; row += threads) rows[row * width + k] /= factor[k * (k + 1) / 2 + k];
            Group.Barrier();
            int rest = width - k - 1;
            for (int at = thread; at < count * rest; at += threads)
            {
                int row = at / rest, column = k + 1 + at - row * rest;
                rows[row * width + column] -= rows[row * width + k] * factor[column * (column + 1) / 2 + k];
            }

            Group.Barrier();
        }

        for (int at = thread; at < count * width; at += threads)
        {
            int row = at / width, column = at - row * width;
            if (p.Matrix.First(firstRow + row) <= p.Column) p.Matrix.Values[p.Matrix.At(firstRow + row, p.Column + column)] = rows[at];
        }
    }
}

/// <summary>The solved rows of a block column, as both factors of what they take from the rest of the matrix.</summary>
internal struct EnvelopeFactor : IFactor
{
    public Triangle Matrix;
    public int Column, Width, FirstRow, LastRow;

    public readonly bool RunsAlongDepth => true;

    public readonly int LinesIn(int part) => LastRow - FirstRow;

    public readonly int DepthOf(int part) => Width;

    public readonly Place PlaceOf(int part, int line)
    {
        int row = FirstRow + line;
        if (row >= LastRow) return default;
        return new() { Start = Matrix.At(row, Column), IsInside = Matrix.First(row) <= Column };
    }

    public readonly double At(int part, Place place, int depth) => Matrix.Values[place.Start + depth];
}

/// <summary>The rest of the matrix, from which sums are subtracted.</summary>
internal struct EnvelopeTarget : ITarget
{
    public Triangle Matrix;
    public int FirstRow;

    public readonly bool Wants(int firstRow, int firstColumn, int tileRows) => firstColumn < firstRow + tileRows;

    public readonly void Put(int part, int row, int column, double sum)
    {
        row += FirstRow;
        column += FirstRow;
        if (column > row || column < Matrix.First(row)) return;
        int at = Matrix.At(row, column);
        Matrix.Values[at] -= sum;
    }
}
