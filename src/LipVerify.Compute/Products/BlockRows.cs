namespace LipVerify.Compute;

/// <summary>A symmetric matrix as block rows of an envelope: as the envelope lays it out, or row-major as a whole.</summary>
internal readonly unsafe struct BlockRows
{
    private readonly SymmetricEnvelope _envelope;
    private readonly double* _start;
    private readonly bool _isWhole;

    private BlockRows(SymmetricEnvelope envelope, double* start, bool isWhole)
    {
        _envelope = envelope;
        _start = start;
        _isWhole = isWhole;
    }

    /// <summary>True where there is no matrix.</summary>
    public bool IsEmpty => _start == null;

    /// <summary>In the layout of an envelope; empty where <paramref name="start"/> is null.</summary>
    public static BlockRows InEnvelope(SymmetricEnvelope envelope, double* start) => new(envelope, start, false);

    /// <summary>All entries, row-major.</summary>
    public static BlockRows Whole(SymmetricEnvelope envelope, double* start) => new(envelope, start, true);

    /// <summary>The distance between rows of a block row.</summary>
    public int Stride(int row) => _isWhole ? _envelope.Order : _envelope.Width(row);

    /// <summary>The first entry of a block in its row <paramref name="i"/>.</summary>
    public double* Entry(int row, int column, int i)
    {
        double* start = _isWhole
            ? _start + (nint)_envelope.FirstRow(row) * _envelope.Order
            : _start + (nint)_envelope.Offset(row) - _envelope.FirstColumn(row);
        return start + (nint)i * Stride(row) + _envelope.FirstRow(column);
    }
}
