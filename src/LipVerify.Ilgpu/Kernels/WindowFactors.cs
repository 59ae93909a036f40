using ILGPU;

namespace LipVerify.Ilgpu.Kernels;

/// <summary>
/// What a convolution, or its adjoint, has for a matrix product without ever forming a matrix of windows. A part is a phase (positions of the
/// result that meet the same taps: one for a convolution, as many as strides for an adjoint) in one group of channels.
/// </summary>
internal struct WindowGeometry
{
    /// <summary>Rows of the table of phases, see the constants below.</summary>
    public ArrayView<int> Phases;

    /// <summary>For each depth: where its value lies, seen from a window's first tap, and how far its tap is from there.</summary>
    public ArrayView<int> Offsets, RowShifts, ColumnShifts;

    /// <summary>For each depth: where its weight lies, seen from that of the row.</summary>
    public ArrayView<int> WeightOffsets;

    public int PhaseCount, Batch;

    /// <summary>Extents of one plane that is read, and how far the windows of neighbouring results of a phase are apart there.</summary>
    public int SourceRows, SourceColumns, SourceRowStep, SourceColumnStep;

    /// <summary>Extents of one plane that is written, and how far neighbouring results of a phase are apart.</summary>
    public int ResultRows, ResultColumns, ResultRowStep, ResultColumnStep;

    /// <summary>Channels of a group that are read and written.</summary>
    public int SourceChannels, ResultChannels, Groups;

    /// <summary>Weights of one row of the left factor, and of a group, are so far apart.</summary>
    public int WeightStride, GroupWeights;

    /// <summary>Numbers of a phase.</summary>
    public const int PhaseLength = 8;

    private readonly int Phase(int part, int field) => Phases[part % PhaseCount * PhaseLength + field];

    /// <summary>The first tap of the first window.</summary>
    public readonly int SourceRow(int part) => Phase(part, 0);

    public readonly int SourceColumn(int part) => Phase(part, 1);

    /// <summary>The first position of the result.</summary>
    public readonly int ResultRow(int part) => Phase(part, 2);

    public readonly int ResultColumn(int part) => Phase(part, 3);

    /// <summary>Positions of the result.</summary>
    public readonly int Rows(int part) => Phase(part, 4);

    public readonly int Columns(int part) => Phase(part, 5);

    /// <summary>Taps and channels in the tables of depths.</summary>
    public readonly int FirstDepth(int part) => Phase(part, 6);

    public readonly int Depth(int part) => Phase(part, 7);

    public readonly int Group(int part) => part / PhaseCount;
}

/// <summary>The weights: a row is a channel of the result.</summary>
internal struct WeightFactor : IFactor
{
    public ArrayView<double> Values;
    public WindowGeometry Geometry;

    public readonly bool RunsAlongDepth => true;

    public readonly int LinesIn(int part) => Geometry.ResultChannels;

    public readonly int DepthOf(int part) => Geometry.Depth(part);

    public readonly Place PlaceOf(int part, int line) => new()
    {
        Start = Geometry.Group(part) * Geometry.GroupWeights + line * Geometry.WeightStride,
        IsInside = line < Geometry.ResultChannels,
    };

    public readonly double At(int part, Place place, int depth) => Values[place.Start + Geometry.WeightOffsets[Geometry.FirstDepth(part) + depth]];
}

/// <summary>The windows: a column is a position of the result in one image of the batch.</summary>
internal struct WindowFactor : IFactor
{
    public ArrayView<double> Values;
    public WindowGeometry Geometry;

    public readonly bool RunsAlongDepth => false;

    public readonly int LinesIn(int part) => Geometry.Batch * Geometry.Rows(part) * Geometry.Columns(part);

    public readonly int DepthOf(int part) => Geometry.Depth(part);

    public readonly Place PlaceOf(int part, int line)
    {
        int columns = Geometry.Columns(part), positions = Geometry.Rows(part) * columns;
        if (line >= Geometry.Batch * positions) return default;
        int image = line / positions, position = line - image * positions, row = position / columns;
        int sourceRow = Geometry.SourceRow(part) + row * Geometry.SourceRowStep;
        int sourceColumn = Geometry.SourceColumn(part) + (position - row * columns) * Geometry.SourceColumnStep;
        int plane = (image * Geometry.Groups + Geometry.Group(part)) * Geometry.SourceChannels;
        return new()
        {
            Start = (plane * Geometry.SourceRows + sourceRow) * Geometry.SourceColumns + sourceColumn,
            Row = sourceRow,
            Column = sourceColumn,
            IsInside = true,
        };
    }

    public readonly double At(int part, Place place, int depth)
    {
        int at = Geometry.FirstDepth(part) + depth;
        int row = place.Row + Geometry.RowShifts[at], column = place.Column + Geometry.ColumnShifts[at];
        if (row < 0 || row >= Geometry.SourceRows || column < 0 || column >= Geometry.SourceColumns) return 0.0;
        return Values[place.Start + Geometry.Offsets[at]];
    }
}

/// <summary>The images that a convolution, or its adjoint, writes.</summary>
internal struct ImageTarget : ITarget
{
    public ArrayView<double> Values;
    public WindowGeometry Geometry;

    public readonly bool Wants(int firstRow, int firstColumn, int tileRows) => true;

    public readonly void Put(int part, int row, int column, double sum)
    {
        int columns = Geometry.Columns(part), positions = Geometry.Rows(part) * columns;
        int image = column / positions, position = column - image * positions, line = position / columns;
        int resultRow = Geometry.ResultRow(part) + line * Geometry.ResultRowStep;
        int resultColumn = Geometry.ResultColumn(part) + (position - line * columns) * Geometry.ResultColumnStep;
        int plane = (image * Geometry.Groups + Geometry.Group(part)) * Geometry.ResultChannels + row;
        Values[(plane * Geometry.ResultRows + resultRow) * Geometry.ResultColumns + resultColumn] = sum;
    }
}
