using ILGPU;
using LipVerify.Compute;
using LipVerify.Ilgpu.Kernels;

namespace LipVerify.Ilgpu;

// Products of matrices.
public sealed partial class IlgpuEngine
{
    private static long Span(int rows, int columns, int stride) => rows == 0 || columns == 0 ? 0 : (long)(rows - 1) * stride + columns;

    private ArrayView<double> Matrix(MatrixView view, int rows, int columns, string name)
    {
        if (view.Stride < columns) throw new ArgumentException($"{name} has rows of {columns} values, but a stride of {view.Stride}", name);
        return Input(view.Storage, view.Offset, Span(rows, columns, view.Stride), name);
    }

    /// <summary>Products of few columns are computed as those of few rows, with the factors exchanged and turned around.</summary>
    private bool IsTurned(int m, int n) => n <= _tiles.Flat.Rows && n < m;

    private ProductCut Cut(int m, int n, int k) =>
        IsTurned(m, n) ? new ProductCut(_tiles, _device.WantedGroups, 1, n, m, k) : new ProductCut(_tiles, _device.WantedGroups, 1, m, n, k);

    /// <inheritdoc/>
    public int MatrixProductDepth(bool transposeA, bool transposeB, int m, int n, int k)
    {
        Arguments.NotNegative(k);
        return Cut(m, n, k).Depth;
    }

    /// <inheritdoc/>
    public void MatrixMultiply(bool transposeA, bool transposeB, int m, int n, int k, double alpha, MatrixView a, MatrixView b, double beta, MatrixView c)
    {
        Arguments.NotNegative(m);
        Arguments.NotNegative(n);
        Arguments.NotNegative(k);
        using var operation = Begin();
        var (rowsA, columnsA) = transposeA ? (k, m) : (m, k);
        var (rowsB, columnsB) = transposeB ? (n, k) : (k, n);
        var left = new MatrixFactor
        {
            Values = Matrix(a, rowsA, columnsA, nameof(a)),
            Lines = m,
            Depth = k,
            LineStride = transposeA ? 1 : a.Stride,
            DepthStride = transposeA ? a.Stride : 1,
        };
        var right = new MatrixFactor
        {
            Values = Matrix(b, rowsB, columnsB, nameof(b)),
            Lines = n,
            Depth = k,
            LineStride = transposeB ? b.Stride : 1,
            DepthStride = transposeB ? 1 : b.Stride,
        };
        if (c.Stride < n) throw new ArgumentException($"{nameof(c)} has rows of {n} values, but a stride of {c.Stride}", nameof(c));
        Arguments.Holds(c.Storage, c.Offset, Span(m, n, c.Stride), nameof(c));
        Arguments.Apart(a, rowsA, columnsA, c, m, n, nameof(a), nameof(c));
        Arguments.Apart(b, rowsB, columnsB, c, m, n, nameof(b), nameof(c));
        _cancellation.ThrowIfCancellationRequested();
        if (m == 0 || n == 0) return;
        bool isTurned = IsTurned(m, n);
        var cut = Cut(m, n, k);
        var product = new ProductArguments<MatrixFactor, MatrixFactor, MatrixTarget>
        {
            Left = isTurned ? right : left,
            Right = isTurned ? left : right,
            Rows = isTurned ? n : m,
            Columns = isTurned ? m : n,
            RowTiles = cut.RowTiles,
            ColumnTiles = cut.ColumnTiles,
            Slices = cut.Slices,
            SliceLength = cut.SliceLength,
            Parts = 1,
        };
        Change(c.Storage, c.Offset, Span(m, n, c.Stride), reads: true, target =>
        {
            product.Target = new MatrixTarget
            {
                Values = target,
                Alpha = alpha,
                Beta = beta,
                RowStride = isTurned ? 1 : c.Stride,
                ColumnStride = isTurned ? c.Stride : 1,
            };
            product.Partials = cut.Slices == 1 ? target : Room(checked(cut.Slices * m * n));
            _tiles.Run(_device, cut.Tile, cut.Groups, product);
            if (cut.Slices > 1) _device.RunOver(SliceKernels.Matrices, (long)m * n, product);
        }, nameof(c));
    }

    /// <inheritdoc/>
    public void MultiplyEntries(EntryFunction function, double scale, bool transpose, int rows, int columns, Storage a, Storage x, Storage y)
    {
        Arguments.NotNegative(rows);
        Arguments.NotNegative(columns);
        if (!Enum.IsDefined(function)) throw new ArgumentOutOfRangeException(nameof(function), function, "unknown function");
        using var operation = Begin();
        var (inputs, outputs) = transpose ? (rows, columns) : (columns, rows);
        var product = new EntryArguments
        {
            Matrix = Input(a, 0, (long)rows * columns),
            X = Input(x, 0, inputs),
            Rows = rows,
            Columns = columns,
            Scale = scale,
            Squares = function == EntryFunction.Square ? 1 : 0,
        };
        Arguments.Holds(y, 0, outputs, nameof(y));
        RequireApart(a, y, nameof(a), nameof(y));
        RequireApart(x, y, nameof(x), nameof(y));
        _cancellation.ThrowIfCancellationRequested();
        Change(y, 0, outputs, reads: false, target =>
        {
            product.Y = target;
            if (transpose) _device.RunOver(StreamedProductKernels.EntriesTransposed, columns, product);
            else _device.Run(StreamedProductKernels.Entries, Math.Min(rows, 1 << 20), _device.GroupThreads, product);
        });
    }

    /// <summary>Groups of a Gram product, each with rows of its own.</summary>
    private int GramGroups(int rows) =>
        Math.Clamp((rows + StreamedProductKernels.RowsAtOnce - 1) / StreamedProductKernels.RowsAtOnce, 1, _device.WantedGroups);

    /// <inheritdoc/>
    public void MultiplyGram(int rows, int columns, Storage a, Storage s, int batch, Storage x, Storage y)
    {
        Arguments.NotNegative(rows);
        Arguments.NotNegative(columns);
        Arguments.NotNegative(batch);
        using var operation = Begin();
        var matrix = Input(a, 0, (long)rows * columns);
        var factors = Input(s, 0, rows);
        var vectors = Input(x, 0, (long)batch * columns);
        Arguments.Holds(y, 0, (long)batch * columns, nameof(y));
        RequireApart(a, y, nameof(a), nameof(y));
        RequireApart(s, y, nameof(s), nameof(y));
        RequireApart(x, y, nameof(x), nameof(y));
        _cancellation.ThrowIfCancellationRequested();
        int groups = GramGroups(rows);
        Change(y, 0, (long)batch * columns, reads: false, target =>
        {
            var partials = Room(checked(2 * groups * columns));
            for (int vector = 0; vector < batch; vector += 2)
            {
                int count = Math.Min(2, batch - vector);
                var product = new GramArguments
                {
                    Matrix = matrix,
                    Factors = factors,
                    Rows = rows,
                    Columns = columns,
                    Vectors = count,
                    Groups = groups,
                    Partials = partials,
                    X = vectors.SubView((long)vector * columns, (long)count * columns),
                    Y = target.SubView((long)vector * columns, (long)count * columns),
                };
                _device.Run(StreamedProductKernels.Gram, groups, _device.GroupThreads, product);
                _device.RunOver(StreamedProductKernels.GramSums, (long)count * columns, product);
            }
        });
    }

    /// <summary>
    /// The terms of a thread, one addition a level of its group's tree, and the factor of the row; then the rows of a group and the groups. No
    /// term goes through more additions than the sums have terms.
    /// </summary>
    /// <inheritdoc/>
    public int GramProductDepth(int rows, int columns)
    {
        Arguments.NotNegative(rows);
        Arguments.NotNegative(columns);
        int threads = _device.GroupThreads, groups = GramGroups(rows), levels = int.Log2(threads);
        int across = Math.Min(columns, (columns + threads - 1) / threads + levels);
        int rounds = (rows + groups * StreamedProductKernels.RowsAtOnce - 1) / (groups * StreamedProductKernels.RowsAtOnce);
        return checked(across + 1 + rounds * StreamedProductKernels.RowsAtOnce + groups);
    }
}
