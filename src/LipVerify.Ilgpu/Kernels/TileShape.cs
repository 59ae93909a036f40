namespace LipVerify.Ilgpu.Kernels;

/// <summary>
/// How a group of threads shares a tile of a matrix product: constants, of which a kernel is compiled for each shape. A thread has four rows and
/// four columns of the tile, a group <see cref="RowThreads"/> × <see cref="ColumnThreads"/> threads.
/// </summary>
internal interface ITileShape
{
    /// <summary>Threads along the rows of a tile, which are four times as many.</summary>
    int RowThreads { get; }

    /// <summary>Threads along its columns.</summary>
    int ColumnThreads { get; }

    /// <summary>Terms of a sum that are in shared memory at a time.</summary>
    int Slab { get; }
}

/// <summary>64 × 64 by 256 threads, for cards.</summary>
internal readonly struct CardSquare : ITileShape
{
    public int RowThreads => 16;
    public int ColumnThreads => 16;
    public int Slab => 16;
}

/// <summary>16 × 256 by 256 threads, for products of few rows.</summary>
internal readonly struct CardFlat : ITileShape
{
    public int RowThreads => 4;
    public int ColumnThreads => 64;
    public int Slab => 16;
}

/// <summary>4 × 4 on a processor: a group is one thread, since a barrier takes longer there than a thousand terms.</summary>
internal readonly struct ProcessorSquare : ITileShape
{
    public int RowThreads => 1;
    public int ColumnThreads => 1;
    public int Slab => 128;
}

/// <summary>8 × 8 on a processor, for tests: four threads of the system work together.</summary>
internal readonly struct ProcessorGroup : ITileShape
{
    public int RowThreads => 2;
    public int ColumnThreads => 2;
    public int Slab => 128;
}

/// <summary>4 × 16 with them.</summary>
internal readonly struct ProcessorFlatGroup : ITileShape
{
    public int RowThreads => 1;
    public int ColumnThreads => 4;
    public int Slab => 128;
}
