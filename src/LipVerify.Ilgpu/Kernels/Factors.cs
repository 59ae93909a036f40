using ILGPU;

namespace LipVerify.Ilgpu.Kernels;

/// <summary>Where a line (a row of a left factor, a column of a right one) begins.</summary>
internal struct Place
{
    /// <summary>Position of the line's entry of depth 0; it may lie outside, where a window does.</summary>
    public int Start;

    /// <summary>Row and column of a window's first tap.</summary>
    public int Row, Column;

    /// <summary>Whether there is such a line.</summary>
    public bool IsInside;
}

/// <summary>A factor of a product by its entries; products come in parts, such as the groups of a convolution.</summary>
internal interface IFactor
{
    /// <summary>Whether neighbouring depths lie side by side in memory, rather than neighbouring lines.</summary>
    bool RunsAlongDepth { get; }

    /// <summary>Lines in a part.</summary>
    int LinesIn(int part);

    /// <summary>Terms of the sums of a part.</summary>
    int DepthOf(int part);

    /// <summary>A line of a part.</summary>
    Place PlaceOf(int part, int line);

    /// <summary>The entry of a line at a depth below that of the part; 0 outside of a window's input.</summary>
    double At(int part, Place place, int depth);
}

/// <summary>Where the sums of a product go.</summary>
internal interface ITarget
{
    /// <summary>Whether anything of a tile is wanted.</summary>
    bool Wants(int firstRow, int firstColumn, int tileRows);

    /// <summary>Takes the sum of a row and a column.</summary>
    void Put(int part, int row, int column, double sum);
}

/// <summary>A matrix, transposed or not.</summary>
internal struct MatrixFactor : IFactor
{
    public ArrayView<double> Values;
    public int Start, Lines, Depth, LineStride, DepthStride;

    public readonly bool RunsAlongDepth => DepthStride == 1;

    public readonly int LinesIn(int part) => Lines;

    public readonly int DepthOf(int part) => Depth;

    public readonly Place PlaceOf(int part, int line) => new() { Start = Start + line * LineStride, IsInside = line < Lines };

    public readonly double At(int part, Place place, int depth) => Values[place.Start + depth * DepthStride];
}

/// <summary>C ← α·sum + β·C; β = 0 ignores what C held.</summary>
internal struct MatrixTarget : ITarget
{
    public ArrayView<double> Values;
    public int Start, RowStride, ColumnStride;
    public double Alpha, Beta;

    public readonly bool Wants(int firstRow, int firstColumn, int tileRows) => true;

    public readonly void Put(int part, int row, int column, double sum)
    {
        int at = Start + row * RowStride + column * ColumnStride;
        double scaled = Alpha * sum;
        Values[at] = Beta == 0.0 ? scaled : scaled + Beta * Values[at];
    }
}
