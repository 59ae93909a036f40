using LipVerify.Ilgpu.Kernels;

namespace LipVerify.Ilgpu;

/// <summary>A tile of a matrix product.</summary>
/// <param name="Rows">Its rows.</param>
/// <param name="Columns">Its columns.</param>
/// <param name="Threads">Threads of the group that has it.</param>
/// <param name="Slab">Terms of a sum that are in shared memory at a time.</param>
internal readonly record struct Tile(int Rows, int Columns, int Threads, int Slab)
{
    /// <summary>The tile of a shape.</summary>
    public static Tile Of<TShape>()
        where TShape : struct, ITileShape
    {
        TShape shape = default;
        return new Tile(4 * shape.RowThreads, 4 * shape.ColumnThreads, shape.RowThreads * shape.ColumnThreads, shape.Slab);
    }
}

/// <summary>The products of a device, in tiles of two shapes: square ones, and flat ones for products of few rows.</summary>
internal abstract class Tiles
{
    public abstract Tile Square { get; }

    public abstract Tile Flat { get; }

    /// <summary>The tile for a product of so many rows.</summary>
    public Tile For(int rows) => rows <= Flat.Rows ? Flat : Square;

    public abstract void Run(Device device, Tile tile, long groups, ProductArguments<MatrixFactor, MatrixFactor, MatrixTarget> product);

    public abstract void Run(Device device, Tile tile, long groups, ProductArguments<WeightFactor, WindowFactor, ImageTarget> product);

    public abstract void Run(Device device, Tile tile, long groups, ProductArguments<EnvelopeFactor, EnvelopeFactor, EnvelopeTarget> product);
}

/// <summary>The same, of given shapes.</summary>
internal sealed class Tiles<TSquare, TFlat> : Tiles
    where TSquare : struct, ITileShape
    where TFlat : struct, ITileShape
{
    public override Tile Square { get; } = Tile.Of<TSquare>();

    public override Tile Flat { get; } = Tile.Of<TFlat>();

    public override void Run(Device device, Tile tile, long groups, ProductArguments<MatrixFactor, MatrixFactor, MatrixTarget> product) =>
        device.Run(tile == Flat ? ProductKernels<TFlat>.Matrices : ProductKernels<TSquare>.Matrices, groups, tile.Threads, product);

    public override void Run(Device device, Tile tile, long groups, ProductArguments<WeightFactor, WindowFactor, ImageTarget> product) =>
        device.Run(tile == Flat ? ProductKernels<TFlat>.Windows : ProductKernels<TSquare>.Windows, groups, tile.Threads, product);

    public override void Run(Device device, Tile tile, long groups, ProductArguments<EnvelopeFactor, EnvelopeFactor, EnvelopeTarget> product) =>
        device.Run(tile == Flat ? ProductKernels<TFlat>.Envelope : ProductKernels<TSquare>.Envelope, groups, tile.Threads, product);
}

/// <summary>How a product is cut: into tiles and, where these are too few to keep the device busy, its sums into slices.</summary>
internal readonly record struct ProductCut
{
    /// <summary>The cut of a product of so many parts, rows, columns and terms.</summary>
    public ProductCut(Tiles tiles, int wantedGroups, int parts, int rows, int columns, int depth)
    {
        Tile = tiles.For(rows);
        RowTiles = CeilingDivide(rows, Tile.Rows);
        ColumnTiles = CeilingDivide(columns, Tile.Columns);
        long groups = (long)parts * RowTiles * ColumnTiles;
        int slices = (int)Math.Clamp(wantedGroups / Math.Max(1, groups), 1, Math.Max(1, depth / Math.Max(64, Tile.Slab)));
        SliceLength = Math.Max(1, CeilingDivide(CeilingDivide(depth, slices), Tile.Slab)) * Tile.Slab;
        Slices = Math.Max(1, CeilingDivide(depth, SliceLength));
        Depth = Slices == 1 ? depth : SliceLength + Slices - 1;
        Groups = groups * Slices;
    }

    public Tile Tile { get; }

    public int RowTiles { get; }

    public int ColumnTiles { get; }

    public int Slices { get; }

    public int SliceLength { get; }

    /// <summary>Groups of threads.</summary>
    public long Groups { get; }

    /// <summary>The most roundings of one term: one a fused operation of its slice, and one for each slice that is added.</summary>
    public int Depth { get; }

    private static int CeilingDivide(int a, int b) => (int)(((long)a + b - 1) / b);
}
