using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Runtime;
using LipVerify.Compute;
using LipVerify.Ilgpu.Kernels;

namespace LipVerify.Ilgpu;

// Cholesky factorisations, Gram matrices of convolutions, and eigenvalues.
public sealed partial class IlgpuEngine
{
    /// <summary>Block columns after which a factorisation looks whether it is still wanted.</summary>
    private const int BlocksAtOnce = 32;

    private readonly ConditionalWeakTable<SymmetricEnvelope, TriangleTables> _triangles = [];

    /// <summary>Where the rows of a triangle lie, and how far down each block column reaches.</summary>
    private sealed class TriangleTables
    {
        public TriangleTables(Device device, SymmetricEnvelope envelope, Func<int, long> rowStart, Func<int, int> firstColumn)
        {
            Envelope = envelope;
            var starts = new int[envelope.Order];
            for (int row = 0; row < starts.Length; row++) starts[row] = checked((int)rowStart(row));
            var firsts = new int[envelope.Blocks];
            LastRows = new int[envelope.Blocks];
            for (int block = 0; block < firsts.Length; block++)
            {
                firsts[block] = firstColumn(block);
                int end = envelope.FirstRow(block) + envelope.Rows(block);
                for (int column = firsts[block] / SymmetricEnvelope.BlockRows; column <= block; column++) LastRows[column] = end;
            }

            RowStarts = device.Table(starts);
            FirstColumns = device.Table(firsts);
        }

        public SymmetricEnvelope Envelope { get; }

        public MemoryBuffer1D<int, Stride1D.Dense> RowStarts { get; }

        public MemoryBuffer1D<int, Stride1D.Dense> FirstColumns { get; }

        /// <summary>For each block column: where the rows end that may hold something in it.</summary>
        public int[] LastRows { get; }

        public Triangle Of(ArrayView<double> values) => new()
        {
            Values = values,
            RowStarts = RowStarts.View.BaseView,
            FirstColumns = FirstColumns.View.BaseView,
            Order = Envelope.Order,
        };
    }

    private TriangleTables Tables(SymmetricEnvelope envelope) =>
        _triangles.GetValue(envelope, key => new TriangleTables(_device, key, key.RowStart, key.FirstColumn));

    /// <inheritdoc/>
    public bool TryCholesky(int n, Storage a)
    {
        Arguments.NotNegative(n);
        Arguments.Holds(a, 0, (long)n * n, nameof(a));
        _cancellation.ThrowIfCancellationRequested();
        if (n == 0) return true;
        using var operation = Begin();
        var tables = new TriangleTables(_device, SymmetricEnvelope.Full(n), row => (long)row * n, _ => 0);
        bool isDefinite = false;
        Change(a, 0, (long)n * n, reads: true, values => isDefinite = Factor(tables, tables.Of(values)));
        return isDefinite;
    }

    /// <inheritdoc/>
    public bool TryCholesky(double shift, SymmetricEnvelope envelope, Storage a, Storage? factor)
    {
        ArgumentNullException.ThrowIfNull(envelope);
        Arguments.Holds(a, 0, envelope.Length, nameof(a));
        if (factor is not null) Arguments.Holds(factor, 0, envelope.Length, nameof(factor));
        _cancellation.ThrowIfCancellationRequested();
        if (envelope.Order == 0) return true;
        using var operation = Begin();
        var tables = Tables(envelope);
        var source = tables.Of(Input(a, 0, envelope.Length));
        bool Shifted(ArrayView<double> values)
        {
            var result = tables.Of(values);
            _device.Run(
                CholeskyKernels.Shift, Math.Min(envelope.Order, 16L * _device.WantedGroups), _device.GroupThreads,
                new ShiftArguments { Source = source, Result = result, Sign = -1, Shift = shift });
            return Factor(tables, result);
        }

        if (factor is null) return Shifted(Room((int)envelope.Length));
        bool isDefinite = false;
        Change(factor, 0, envelope.Length, reads: false, values => isDefinite = Shifted(values));
        return isDefinite;
    }

    /// <summary>Factors a triangle in place, block column by block column: the diagonal block, the rows below it, and what they take from the rest.</summary>
    private bool Factor(TriangleTables tables, Triangle matrix)
    {
        var envelope = tables.Envelope;
        using var failed = _device.Integers(1);
        _device.Clear(failed.View.BaseView);
        for (int block = 0; block < envelope.Blocks; block++)
        {
            if (block % BlocksAtOnce == BlocksAtOnce - 1)
            {
                // Work that waits in the stream could not be called back.
                if (HasFailed(failed)) return false;
                _cancellation.ThrowIfCancellationRequested();
            }

            var step = new CholeskyArguments
            {
                Matrix = matrix,
                Column = envelope.FirstRow(block),
                Width = envelope.Rows(block),
                LastRow = tables.LastRows[block],
                Failed = failed.View.BaseView,
            };
            _device.Run(CholeskyKernels.Diagonal, 1, _device.GroupThreads, step);
            int first = step.Column + step.Width, rows = step.LastRow - first;
            if (rows <= 0) continue;
            _device.Run(CholeskyKernels.Solve, (rows + CholeskyKernels.SolvedRows - 1) / CholeskyKernels.SolvedRows, _device.GroupThreads, step);
            var solved = new EnvelopeFactor { Matrix = matrix, Column = step.Column, Width = step.Width, FirstRow = first, LastRow = step.LastRow };
            Tile tile = _tiles.Square;
            int rowTiles = (rows + tile.Rows - 1) / tile.Rows, columnTiles = (rows + tile.Columns - 1) / tile.Columns;
            _tiles.Run(_device, tile, (long)rowTiles * columnTiles, new ProductArguments<EnvelopeFactor, EnvelopeFactor, EnvelopeTarget>
            {
                Left = solved,
                Right = solved,
                Target = new EnvelopeTarget { Matrix = matrix, FirstRow = first },
                Rows = rows,
                Columns = rows,
                RowTiles = rowTiles,
                ColumnTiles = columnTiles,
                Slices = 1,
                SliceLength = step.Width,
                Parts = 1,
                Partials = matrix.Values,
            });
        }

        return !HasFailed(failed);
    }

    private bool HasFailed(MemoryBuffer1D<int, Stride1D.Dense> failed)
    {
        Span<int> value = stackalloc int[1];
        _device.Download(failed.View.BaseView, value);
        return value[0] != 0;
    }

    private static GramAxis GramAxisOf(WindowAxis axis) => new()
    {
        Input = axis.Input,
        Output = axis.Output,
        Kernel = axis.Kernel,
        Stride = axis.Stride,
        Pad = axis.PadBefore,
        Dilation = axis.Dilation,
    };

    /// <inheritdoc/>
    public void ConvolutionGram(
        in ConvolutionGeometry geometry, Storage weights, Storage rowFactors, Storage columnFactors, bool overOutputs, int[] places, SymmetricEnvelope envelope, Storage g)
    {
        geometry.Validate();
        using var operation = Begin();
        int size = overOutputs ? geometry.OutputSize : geometry.InputSize;
        if (places.Length != size) throw new ArgumentException($"places must hold {size} values, but holds {places.Length}", nameof(places));
        var coordinates = new int[envelope.Order];
        Array.Fill(coordinates, -1);
        for (int coordinate = 0; coordinate < places.Length; coordinate++)
        {
            int place = places[coordinate];
            if (place < -1 || place >= envelope.Order) throw new ArgumentException($"the Gram matrix has {envelope.Order} rows, but a place is {place}", nameof(places));
            if (place < 0) continue;
            if (coordinates[place] >= 0) throw new ArgumentException($"two values have the place {place}", nameof(places));
            coordinates[place] = coordinate;
        }

        var gram = new ConvolutionGramArguments
        {
            Weights = Input(weights, 0, geometry.WeightSize),
            RowFactors = Input(rowFactors, 0, geometry.OutputSize),
            ColumnFactors = Input(columnFactors, 0, geometry.InputSize),
            Rows = GramAxisOf(geometry.Rows),
            Columns = GramAxisOf(geometry.Columns),
            InChannels = geometry.InChannels / geometry.Groups,
            OutChannels = geometry.OutChannels / geometry.Groups,
            OverOutputs = overOutputs ? 1 : 0,
        };
        Arguments.Holds(g, 0, envelope.Length, nameof(g));
        _cancellation.ThrowIfCancellationRequested();
        var tables = Tables(envelope);
        using var table = _device.Table(coordinates);
        gram.Coordinates = table.View.BaseView;
        Change(g, 0, envelope.Length, reads: false, values =>
        {
            gram.Gram = tables.Of(values);
            _device.Run(ConvolutionGramKernels.Entries, Math.Min(envelope.Order, 64L * _device.WantedGroups), _device.GroupThreads, gram);
        });
    }

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">The lower triangle holds a value that is not finite.</exception>
    public double[] SymmetricEigen(int n, Storage a, bool vectors)
    {
        Arguments.NotNegative(n);
        Arguments.Holds(a, 0, (long)n * n, nameof(a));
        if (a is HostStorage) return _host.EndedBy(_cancellation).SymmetricEigen(n, a, vectors);
        var copy = new double[n * n];
        a.CopyTo(0, copy);
        double[] result = _host.EndedBy(_cancellation).SymmetricEigen(n, new HostStorage(copy), vectors);
        Copy(new HostStorage(copy), 0, a, 0, copy.Length);
        return result;
    }
}
