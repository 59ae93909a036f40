using LipVerify.Compute;
using static TorchSharp.torch;
using Storage = LipVerify.Compute.Storage;

namespace LipVerify.TorchSharp;

// Products of matrices, factorisations and eigenvalues.
public sealed partial class TorchEngine
{
    /// <summary>Entries of a function of a matrix that are held at a time.</summary>
    private const int EntriesAtOnce = 1 << 25;

    /// <summary>Orders up to which a matrix in an envelope is factored as a whole on the device.</summary>
    private const int MostDense = 1 << 14;

    /// <summary>What has no kernel on the device is computed on the host.</summary>
    private readonly ManagedEngine _host = new(0);

    private static Tensor Whole(Tensor values, long rows, long columns, long stride, long offset) =>
        values.as_strided([rows, columns], [stride, 1], offset);

    private static long Span(int rows, int columns, int stride) => rows == 0 || columns == 0 ? 0 : (long)(rows - 1) * stride + columns;

    private Tensor Matrix(MatrixView view, int rows, int columns, string name)
    {
        if (view.Stride < columns) throw new ArgumentException($"{name} has rows of {columns} values, but a stride of {view.Stride}", name);
        return Whole(Input(view.Storage, view.Offset, Span(rows, columns, view.Stride), name), rows, columns, view.Stride, view.Offset);
    }

    /// <inheritdoc/>
    public void MatrixMultiply(bool transposeA, bool transposeB, int m, int n, int k, double alpha, MatrixView a, MatrixView b, double beta, MatrixView c)
    {
        Arguments.NotNegative(m);
        Arguments.NotNegative(n);
        Arguments.NotNegative(k);
        using var scope = NewDisposeScope();
        var (rowsA, columnsA) = transposeA ? (k, m) : (m, k);
        var (rowsB, columnsB) = transposeB ? (n, k) : (k, n);
        var left = Matrix(a, rowsA, columnsA, nameof(a));
        var right = Matrix(b, rowsB, columnsB, nameof(b));
        Matrix(c, m, n, nameof(c));
        Arguments.Apart(a, rowsA, columnsA, c, m, n, nameof(a), nameof(c));
        Arguments.Apart(b, rowsB, columnsB, c, m, n, nameof(b), nameof(c));
        _cancellation.ThrowIfCancellationRequested();
        if (m == 0 || n == 0) return;
        var product = (transposeA ? left.t() : left).mm(transposeB ? right.t() : right);
        if (alpha != 1) product = product.mul_(alpha);
        Change(c.Storage, c.Offset, Span(m, n, c.Stride), nameof(c), values =>
        {
            var result = Whole(values, m, n, c.Stride, c.Offset);
            if (beta == 0) result.copy_(product);
            else result.mul_(beta).add_(product);
        });
    }

    /// <inheritdoc/>
    public void MultiplyEntries(EntryFunction function, double scale, bool transpose, int rows, int columns, Storage a, Storage x, Storage y)
    {
        Arguments.NotNegative(rows);
        Arguments.NotNegative(columns);
        if (!Enum.IsDefined(function)) throw new ArgumentOutOfRangeException(nameof(function), function, "unknown function");
        using var scope = NewDisposeScope();
        var (inputs, outputs) = transpose ? (rows, columns) : (columns, rows);
        var matrix = Whole(Input(a, (long)rows * columns), rows, columns, columns, 0);
        var vector = Input(x, inputs).narrow(0, 0, inputs);
        Arguments.Holds(y, 0, outputs, nameof(y));
        RequireApart(a, y, nameof(a), nameof(y));
        RequireApart(x, y, nameof(x), nameof(y));
        _cancellation.ThrowIfCancellationRequested();
        var result = zeros(outputs, dtype: ScalarType.Float64, device: _device);
        int step = Math.Max(1, EntriesAtOnce / Math.Max(1, columns));
        for (int first = 0; first < rows; first += step)
        {
            using var part = NewDisposeScope();
            int count = Math.Min(step, rows - first);
            var scaled = matrix.narrow(0, first, count) * scale;
            var entries = function == EntryFunction.Absolute ? scaled.abs() : scaled * scaled;
            if (transpose) result.add_(entries.t().mv(vector.narrow(0, first, count)));
            else result.narrow(0, first, count).copy_(entries.mv(vector));
        }

        Write(y, result, nameof(y));
    }

    /// <inheritdoc/>
    public void MultiplyGram(int rows, int columns, Storage a, Storage s, int batch, Storage x, Storage y)
    {
        Arguments.NotNegative(rows);
        Arguments.NotNegative(columns);
        Arguments.NotNegative(batch);
        using var scope = NewDisposeScope();
        var matrix = Whole(Input(a, (long)rows * columns), rows, columns, columns, 0);
        var factors = Input(s, rows).narrow(0, 0, rows);
        var vectors = Whole(Input(x, (long)batch * columns), batch, columns, columns, 0);
        Arguments.Holds(y, 0, (long)batch * columns, nameof(y));
        RequireApart(a, y, nameof(a), nameof(y));
        RequireApart(s, y, nameof(s), nameof(y));
        RequireApart(x, y, nameof(x), nameof(y));
        _cancellation.ThrowIfCancellationRequested();
        // What rows with a factor of 0 hold does not matter, numbers or not.
        var kept = factors.nonzero().flatten();
        bool isWhole = kept.numel() == rows;
        var read = isWhole ? matrix : matrix.index_select(0, kept);
        var weights = isWhole ? factors : factors.index_select(0, kept);
        Write(y, (vectors.mm(read.t()) * weights).mm(read), nameof(y));
    }

    /// <inheritdoc/>
    public int GramProductDepth(int rows, int columns)
    {
        Arguments.NotNegative(rows);
        Arguments.NotNegative(columns);
        return checked(rows + columns + 1);
    }

    /// <inheritdoc/>
    public int MatrixProductDepth(bool transposeA, bool transposeB, int m, int n, int k)
    {
        Arguments.NotNegative(k);
        return k;
    }

    /// <summary>The factor of the lower triangle, or none: a pivot that is no positive number ends it.</summary>
    private static Tensor? Factor(Tensor lower)
    {
        var (factor, info) = linalg.cholesky_ex(lower);
        return info.item<int>() == 0 && factor.diagonal().isfinite().all().item<bool>() ? factor : null;
    }

    /// <inheritdoc/>
    public bool TryCholesky(int n, Storage a)
    {
        Arguments.NotNegative(n);
        Arguments.Holds(a, 0, (long)n * n, nameof(a));
        _cancellation.ThrowIfCancellationRequested();
        if (n == 0) return true;
        bool isDefinite = false;
        using var scope = NewDisposeScope();
        Change(a, 0, (long)n * n, nameof(a), values =>
        {
            var matrix = Whole(values, n, n, n, 0);
            var factor = Factor(matrix.tril());
            isDefinite = factor is not null;
            if (factor is not null) matrix.copy_(factor.tril() + matrix.triu(1));
        });
        return isDefinite;
    }

    /// <inheritdoc/>
    public bool TryCholesky(double shift, SymmetricEnvelope envelope, Storage a, Storage? factor)
    {
        ArgumentNullException.ThrowIfNull(envelope);
        Arguments.Holds(a, 0, envelope.Length, nameof(a));
        if (factor is not null) Arguments.Holds(factor, 0, envelope.Length, nameof(factor));
        _cancellation.ThrowIfCancellationRequested();
        int n = envelope.Order;
        if (n == 0) return true;
        if (n > MostDense) return OnHost(host =>
        {
            var values = host(a, false);
            return _host.EndedBy(_cancellation).TryCholesky(shift, envelope, values, factor is null ? null : host(factor, true));
        });
        using var scope = NewDisposeScope();
        var source = Input(a, envelope.Length);
        var dense = zeros([n, n], dtype: ScalarType.Float64, device: _device);
        foreach (var (first, rows, column, width, offset) in BlocksOf(envelope))
            dense.narrow(0, first, rows).narrow(1, column, width).copy_(Whole(source, rows, width, width, offset));
        // What lies above the diagonal is unspecified, and need not be a number.
        var shifted = dense.tril().neg_();
        shifted.diagonal().add_(shift);
        var lower = Factor(shifted);
        if (lower is null) return false;
        if (factor is not null)
            Change(factor, 0, envelope.Length, nameof(factor), values =>
            {
                foreach (var (first, rows, column, width, offset) in BlocksOf(envelope))
                    Whole(values, rows, width, width, offset).copy_(lower.narrow(0, first, rows).narrow(1, column, width));
            });
        return true;
    }

    private static IEnumerable<(int First, int Rows, int Column, int Width, long Offset)> BlocksOf(SymmetricEnvelope envelope)
    {
        for (int block = 0; block < envelope.Blocks; block++)
            yield return (envelope.FirstRow(block), envelope.Rows(block), envelope.FirstColumn(block), envelope.Width(block), envelope.Offset(block));
    }

    /// <summary>Runs on copies of blocks on the host; those that are written go back.</summary>
    private T OnHost<T>(Func<Func<Storage, bool, HostStorage>, T> work)
    {
        var written = new List<(Storage Storage, HostStorage Copy)>();
        var result = work((storage, isWritten) =>
        {
            if (storage is HostStorage host) return host;
            var values = new double[storage.Length];
            _transfers.Count++;
            storage.CopyTo(0, values);
            var copy = new HostStorage(values);
            if (isWritten) written.Add((storage, copy));
            return copy;
        });
        foreach (var (storage, copy) in written)
        {
            _transfers.Count++;
            TorchStorage.FromHost(copy.Values, ((TorchStorage)storage).Values, 0);
        }

        return result;
    }

    /// <inheritdoc/>
    public void ConvolutionGram(
        in ConvolutionGeometry geometry, Storage weights, Storage rowFactors, Storage columnFactors, bool overOutputs, int[] places, SymmetricEnvelope envelope, Storage g)
    {
        var copy = geometry;
        OnHost(host =>
        {
            var (w, rows, columns, gram) = (host(weights, false), host(rowFactors, false), host(columnFactors, false), host(g, true));
            _host.EndedBy(_cancellation).ConvolutionGram(copy, w, rows, columns, overOutputs, places, envelope, gram);
            return true;
        });
    }

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">The lower triangle holds a value that is not finite.</exception>
    public double[] SymmetricEigen(int n, Storage a, bool vectors)
    {
        Arguments.NotNegative(n);
        Arguments.Holds(a, 0, (long)n * n, nameof(a));
        _cancellation.ThrowIfCancellationRequested();
        if (n == 0) return [];
        var result = new double[n];
        using var scope = NewDisposeScope();
        Change(a, 0, (long)n * n, nameof(a), values =>
        {
            var matrix = Whole(values, n, n, n, 0);
            var lower = matrix.tril();
            var odd = lower.isfinite().logical_not().nonzero();
            if (odd.size(0) > 0)
            {
                long i = odd[0, 0].item<long>(), j = odd[0, 1].item<long>();
                throw new ArgumentException($"the matrix holds {lower[i, j].item<double>()} at ({i}, {j}); eigenvalues need finite values", nameof(a));
            }

            var symmetric = lower + lower.tril(-1).t();
            if (vectors)
            {
                var (eigenvalues, eigenvectors) = linalg.eigh(symmetric);
                matrix.copy_(eigenvectors.t());
                TorchStorage.ToHost(eigenvalues, 0, result);
            }
            else
            {
                TorchStorage.ToHost(linalg.eigvalsh(symmetric), 0, result);
            }
        });
        return result;
    }

    private static void RequireApart(Storage input, Storage output, string inputName, string outputName)
    {
        if (Arguments.AreOne(input, output)) throw new ArgumentException($"{outputName} must not be the same block as {inputName}", outputName);
    }
}
