namespace LipVerify.Compute;

/// <summary>
/// Where the lower triangle of a symmetric matrix is kept whose row i holds nothing left of a column of its own, as in the Gram
/// matrix of a convolution: its Cholesky factor holds nothing there either. Rows go in blocks, each a row-major matrix from its
/// first column, a multiple of <see cref="BlockRows"/>, to the last column of its diagonal block. What lies above the diagonal in
/// a diagonal block is unspecified.
/// </summary>
public sealed class SymmetricEnvelope
{
    /// <summary>Rows of a block, a multiple of what micro kernels take at a time; the last one may have fewer.</summary>
    public const int BlockRows = 72;

    private readonly int[] _firsts;
    private readonly long[] _offsets;

    /// <summary>The envelope of a matrix whose row i starts at column <paramref name="firstColumns"/>[i] ≤ i.</summary>
    /// <exception cref="ArgumentException">A row starts right of its diagonal or left of column 0.</exception>
    public SymmetricEnvelope(ReadOnlySpan<int> firstColumns)
    {
        Order = firstColumns.Length;
        var coupled = new int[Order + 1];
        double operations = 0;
        for (int i = 0; i < Order; i++)
        {
            int first = firstColumns[i], width = i - first + 1;
            if (first < 0 || first > i) throw new ArgumentException($"row {i} must start between columns 0 and {i}, not at {first}", nameof(firstColumns));
            operations += (double)width * width;
            LongestRow = Math.Max(LongestRow, width);
            coupled[first]++;
            coupled[i]--;
        }
        Operations = operations;
        int below = 0;
        for (int i = 0; i < Order; i++)
        {
            below += coupled[i];
            // What the lower triangle holds of row i, and of column i below it.
            MostCoupled = Math.Max(MostCoupled, i - firstColumns[i] + 1 + below);
        }

        Blocks = Pieces.CeilingDivide(Order, BlockRows);
        _firsts = new int[Blocks];
        _offsets = new long[Blocks + 1];
        for (int block = 0; block < Blocks; block++)
        {
            int first = Order;
            for (int i = FirstRow(block); i < FirstRow(block) + Rows(block); i++) first = Math.Min(first, firstColumns[i]);
            _firsts[block] = first / BlockRows * BlockRows;
            _offsets[block + 1] = _offsets[block] + (long)Rows(block) * Width(block);
        }
    }

    /// <summary>The envelope of a matrix of which nothing is known to be zero.</summary>
    public static SymmetricEnvelope Full(int order) => new(new int[order]);

    /// <summary>Rows of the matrix.</summary>
    public int Order { get; }

    /// <summary>The most entries of a row from its first column to the diagonal: terms of the longest sum in a factorisation.</summary>
    public int LongestRow { get; }

    /// <summary>The most entries of a row of the whole symmetric matrix.</summary>
    public int MostCoupled { get; }

    /// <summary>Floating-point operations of a Cholesky factorisation, about.</summary>
    public double Operations { get; }

    /// <summary>The number of values of the storage; it may be more than a block can hold.</summary>
    public long Length => _offsets[Blocks];

    /// <summary>The number of blocks.</summary>
    public int Blocks { get; }

    /// <summary>The first row of a block.</summary>
    public int FirstRow(int block) => block * BlockRows;

    /// <summary>The number of rows of a block.</summary>
    public int Rows(int block) => Math.Min(BlockRows, Order - FirstRow(block));

    /// <summary>The first column that a block keeps.</summary>
    public int FirstColumn(int block) => _firsts[block];

    /// <summary>Columns that a block keeps: the distance between the starts of its rows.</summary>
    public int Width(int block) => FirstRow(block) + Rows(block) - _firsts[block];

    /// <summary>Position of the first value of a block.</summary>
    public long Offset(int block) => _offsets[block];

    /// <summary>Where column 0 of row i would be: entry (i, j) lies at this position plus j.</summary>
    public long RowStart(int i)
    {
        int block = i / BlockRows;
        return _offsets[block] + (long)(i - block * BlockRows) * Width(block) - _firsts[block];
    }

    /// <summary>Position of entry (i, j), j ≤ i, which must lie in the envelope.</summary>
    public long Index(int i, int j) => RowStart(i) + j;
}
