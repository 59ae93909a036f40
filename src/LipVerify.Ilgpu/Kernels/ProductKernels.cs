using ILGPU;

namespace LipVerify.Ilgpu.Kernels;

/// <summary>A product of factors, cut into tiles and its sums into slices.</summary>
internal struct ProductArguments<TLeft, TRight, TTarget>
    where TLeft : struct
    where TRight : struct
    where TTarget : struct
{
    public TLeft Left;
    public TRight Right;
    public TTarget Target;

    /// <summary>Rows, and the columns of the part that has most.</summary>
    public int Rows, Columns;

    /// <summary>Tiles of a part.</summary>
    public int RowTiles, ColumnTiles;

    /// <summary>Slices of each sum, of so many terms; where there are several, their sums go to <see cref="Partials"/>: slice by slice, part by part.</summary>
    public int Slices, SliceLength, Parts;

    public ArrayView<double> Partials;
}

/// <summary>
/// Products of matrices, convolutions among them: a group of threads has a tile of the result, and brings the terms of its sums slab by slab into
/// shared memory. Each sum is one chain of fused operations in the order of its terms, or one a slice, added in order.
/// </summary>
internal static class ProductKernels<TShape>
    where TShape : struct, ITileShape
{
    public static void Matrices(ProductArguments<MatrixFactor, MatrixFactor, MatrixTarget> product) => Multiply(product);

    public static void Windows(ProductArguments<WeightFactor, WindowFactor, ImageTarget> product) => Multiply(product);

    public static void Envelope(ProductArguments<EnvelopeFactor, EnvelopeFactor, EnvelopeTarget> product) => Multiply(product);

    private static void Multiply<TLeft, TRight, TTarget>(ProductArguments<TLeft, TRight, TTarget> p)
        where TLeft : struct, IFactor
        where TRight : struct, IFactor
        where TTarget : struct, ITarget
    {
        TShape shape = default;
        int rowThreads = shape.RowThreads, columnThreads = shape.ColumnThreads, slab = shape.Slab;
        int threads = rowThreads * columnThreads, tileRows = 4 * rowThreads, tileColumns = 4 * columnThreads;
        // One value of room after each line: threads that write one line after the other do not meet in a bank.
        int leftStride = tileRows + 1, rightStride = tileColumns + 1;
        var left = SharedMemory.Allocate<double>(shape.Slab * (4 * shape.RowThreads + 1));
        var right = SharedMemory.Allocate<double>(shape.Slab * (4 * shape.ColumnThreads + 1));

        int tile = Grid.IdxX, columnTile = tile % p.ColumnTiles;
        tile /= p.ColumnTiles;
        int rowTile = tile % p.RowTiles;
        tile /= p.RowTiles;
        int slice = tile % p.Slices, part = tile / p.Slices;
        int firstRow = rowTile * tileRows, firstColumn = columnTile * tileColumns;
        int lines = p.Right.LinesIn(part);
        if (firstColumn >= lines || !p.Target.Wants(firstRow, firstColumn, tileRows)) return;

        int thread = Group.IdxX, row = thread / columnThreads, column = thread % columnThreads;
        int depth = p.Right.DepthOf(part), from = slice * p.SliceLength, to = IntrinsicMath.Min(depth, from + p.SliceLength);
        Accumulators sums = default;
        for (int start = from; start < to; start += slab)
        {
            Fill(p.Left, left, leftStride, part, firstRow, tileRows, start, to, slab, thread, threads);
            Fill(p.Right, right, rightStride, part, firstColumn, tileColumns, start, to, slab, thread, threads);
            Group.Barrier();
            int count = IntrinsicMath.Min(slab, to - start);
            for (int k = 0; k < count; k++)
            {
                // Rows and columns of a thread are as far apart as there are threads: neighbours read neighbours.
                int a = k * leftStride + row, b = k * rightStride + column;
                sums.Add(
                    left[a], left[a + rowThreads], left[a + 2 * rowThreads], left[a + 3 * rowThreads],
                    right[b], right[b + columnThreads], right[b + 2 * columnThreads], right[b + 3 * columnThreads]);
            }

            Group.Barrier();
        }

        int i = firstRow + row, j = firstColumn + column;
        PutRow(p, slice, part, lines, i, j, columnThreads, sums.C00, sums.C01, sums.C02, sums.C03);
        PutRow(p, slice, part, lines, i + rowThreads, j, columnThreads, sums.C10, sums.C11, sums.C12, sums.C13);
        PutRow(p, slice, part, lines, i + 2 * rowThreads, j, columnThreads, sums.C20, sums.C21, sums.C22, sums.C23);
        PutRow(p, slice, part, lines, i + 3 * rowThreads, j, columnThreads, sums.C30, sums.C31, sums.C32, sums.C33);
    }

    /// <summary>Brings a slab of a factor into shared memory, so that neighbouring threads read neighbouring values.</summary>
    private static void Fill<TFactor>(
        TFactor factor, ArrayView<double> slabValues, int stride, int part, int firstLine, int tileLines, int start, int end, int slab, int thread, int threads)
        where TFactor : struct, IFactor
    {
        int depthLanes = factor.RunsAlongDepth ? IntrinsicMath.Min(slab, threads) : IntrinsicMath.Max(1, threads / tileLines);
        int lineLanes = threads / depthLanes, depthLane = factor.RunsAlongDepth ? thread % depthLanes : thread / lineLanes;
        int lineLane = factor.RunsAlongDepth ? thread / depthLanes : thread % lineLanes;
        for (int line = lineLane; line < tileLines; line += lineLanes)
        {
            Place place = factor.PlaceOf(part, firstLine + line);
            for (int k = depthLane; k < slab; k += depthLanes)
                slabValues[k * stride + line] = place.IsInside && start + k < end ? factor.At(part, place, start + k) : 0.0;
        }
    }

    private static void PutRow<TLeft, TRight, TTarget>(
        ProductArguments<TLeft, TRight, TTarget> p, int slice, int part, int lines, int row, int column, int step, double c0, double c1, double c2, double c3)
        where TLeft : struct
        where TRight : struct
        where TTarget : struct, ITarget
    {
        if (row >= p.Rows) return;
        Put(p, slice, part, lines, row, column, c0);
        Put(p, slice, part, lines, row, column + step, c1);
        Put(p, slice, part, lines, row, column + 2 * step, c2);
        Put(p, slice, part, lines, row, column + 3 * step, c3);
    }

    private static void Put<TLeft, TRight, TTarget>(
        ProductArguments<TLeft, TRight, TTarget> p, int slice, int part, int lines, int row, int column, double sum)
        where TLeft : struct
        where TRight : struct
        where TTarget : struct, ITarget
    {
        if (column >= lines) return;
        if (p.Slices == 1) p.Target.Put(part, row, column, sum);
        else p.Partials[((slice * p.Parts + part) * p.Rows + row) * p.Columns + column] = sum;
    }
}

/// <summary>Adds the slices of sums, in order.</summary>
internal static class SliceKernels
{
    public static void Matrices(ProductArguments<MatrixFactor, MatrixFactor, MatrixTarget> product) => Add(product);

    public static void Windows(ProductArguments<WeightFactor, WindowFactor, ImageTarget> product) => Add(product);

    private static void Add<TLeft, TRight, TTarget>(ProductArguments<TLeft, TRight, TTarget> p)
        where TLeft : struct
        where TRight : struct, IFactor
        where TTarget : struct, ITarget
    {
        int entries = p.Parts * p.Rows * p.Columns;
        for (int at = Grid.GlobalIndex.X; at < entries; at += Grid.DimX * Group.DimX)
        {
            int column = at % p.Columns, line = at / p.Columns, row = line % p.Rows, part = line / p.Rows;
            if (column >= p.Right.LinesIn(part)) continue;
            double sum = p.Partials[at];
            for (int slice = 1; slice < p.Slices; slice++) sum += p.Partials[slice * entries + at];
            p.Target.Put(part, row, column, sum);
        }
    }
}
