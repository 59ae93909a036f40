using System.Runtime.CompilerServices;
using ILGPU;
using LipVerify.Compute;
using LipVerify.Ilgpu.Kernels;

namespace LipVerify.Ilgpu;

// Vectors, entry by entry, and their inner products.
public sealed partial class IlgpuEngine
{
    /// <summary>Chunks of an inner product at most, and the fewest values of one.</summary>
    private const int MostChunks = 256, LeastChunk = 2048;

    /// <summary>Index arrays that were used before.</summary>
    private readonly ConditionalWeakTable<int[], IndexTable> _tables = [];

    /// <inheritdoc/>
    public void MultiplyRows(Storage x, int batch, Storage factor, Storage result) => ByRows(VectorKernels.MultiplyRows, x, batch, factor, result, nameof(factor));

    /// <inheritdoc/>
    public void AddToRows(Storage x, int batch, Storage term, Storage result) => ByRows(VectorKernels.AddToRows, x, batch, term, result, nameof(term));

    private void ByRows(Action<RowArguments> kernel, Storage x, int batch, Storage vector, Storage result, string vectorName)
    {
        Arguments.NotNegative(batch);
        ArgumentNullException.ThrowIfNull(vector, vectorName);
        using var operation = Begin();
        int size = vector.Length;
        long needed = (long)batch * size;
        var rows = new RowArguments { X = Input(x, 0, needed), Vector = Input(vector, 0, size, vectorName), Batch = batch, Size = size };
        Change(result, 0, needed, reads: false, target =>
        {
            rows.Result = target;
            _device.RunOver(kernel, needed, rows);
        });
    }

    private IndexTable Table(int[] indices, int inputSize, int size, int batch)
    {
        ArgumentNullException.ThrowIfNull(indices);
        Arguments.NotNegative(size);
        if (batch < 1 || indices.Length != size && indices.Length != (long)batch * size)
            throw new ArgumentException($"{indices.Length} indices are neither those of one row of {size} nor of {batch}", nameof(indices));
        if (_tables.TryGetValue(indices, out var table) && table.IsOf(indices, inputSize, size)) return table;
        foreach (int index in indices)
            if ((uint)index >= (uint)inputSize) throw new ArgumentException($"the index {index} lies outside an input of {inputSize} values", nameof(indices));
        table = new IndexTable(_device, indices, inputSize, size);
        _tables.AddOrUpdate(indices, table);
        return table;
    }

    /// <inheritdoc/>
    public void Gather(Storage x, int inputSize, int[] indices, int size, int batch, Storage y)
    {
        using var operation = Begin();
        var table = Table(indices, inputSize, size, batch);
        var gather = new IndexArguments
        {
            Input = Input(x, 0, (long)batch * inputSize),
            Indices = table.Picked,
            Targets = _device.NoIntegers,
            Starts = _device.NoIntegers,
            Batch = batch,
            InputSize = inputSize,
            Size = size,
            IsShared = table.IsShared ? 1 : 0,
        };
        Change(y, 0, (long)batch * size, reads: false, output =>
        {
            gather.Output = output;
            _device.RunOver(VectorKernels.Gather, (long)batch * size, gather);
        });
    }

    /// <inheritdoc/>
    public void ScatterAdd(Storage y, int inputSize, int[] indices, int size, int batch, Storage x)
    {
        using var operation = Begin();
        var table = Table(indices, inputSize, size, batch);
        var (sources, targets, starts) = table.Sums();
        var scatter = new IndexArguments
        {
            Output = Input(y, 0, (long)batch * size),
            Indices = sources,
            Targets = targets,
            Starts = starts,
            TargetCount = table.TargetCount,
            Batch = batch,
            InputSize = inputSize,
            Size = size,
            IsShared = table.IsShared ? 1 : 0,
        };
        Change(x, 0, (long)batch * inputSize, reads: true, input =>
        {
            scatter.Input = input;
            _device.RunOver(VectorKernels.ScatterAdd, (long)(table.IsShared ? batch : 1) * table.TargetCount, scatter);
        });
    }

    /// <inheritdoc/>
    public void Rectify(Storage x, Storage y)
    {
        ArgumentNullException.ThrowIfNull(x);
        using var operation = Begin();
        var input = Input(x, 0, x.Length);
        Change(y, 0, x.Length, reads: false, output => _device.RunOver(VectorKernels.Rectify, x.Length, new SumArguments { X = input, Y = output, Z = input }));
    }

    /// <inheritdoc/>
    public void AddScaled(double alpha, Storage x, int offsetX, Storage y, int offsetY, int length)
    {
        Arguments.NotNegative(length);
        using var operation = Begin();
        var from = Input(x, offsetX, length);
        if (Arguments.AreOne(x, y) && offsetX != offsetY && Math.Abs((long)offsetX - offsetY) < length)
            throw new ArgumentException($"{length} values from positions {offsetX} and {offsetY} of the same block overlap");
        Change(y, offsetY, length, reads: true, to => _device.RunOver(VectorKernels.AddScaled, length, new SumArguments { Alpha = alpha, X = from, Y = to, Z = from }));
    }

    /// <inheritdoc/>
    public void AddTwoScaled(double alpha, Storage x, double beta, Storage z, Storage y, int offset, int length)
    {
        Arguments.NotNegative(length);
        using var operation = Begin();
        var first = Input(x, offset, length);
        var second = Input(z, offset, length);
        Arguments.Holds(y, offset, length, nameof(y));
        RequireApart(x, y, nameof(x), nameof(y));
        RequireApart(z, y, nameof(z), nameof(y));
        Change(y, offset, length, reads: true, to =>
            _device.RunOver(VectorKernels.AddTwoScaled, length, new SumArguments { Alpha = alpha, Beta = beta, X = first, Z = second, Y = to }));
    }

    /// <inheritdoc/>
    public void Scale(double alpha, Storage x, int offset, int length)
    {
        Arguments.NotNegative(length);
        using var operation = Begin();
        Change(x, offset, length, reads: true, values => _device.RunOver(VectorKernels.Scale, length, new SumArguments { Alpha = alpha, X = values, Y = values, Z = values }));
    }

    private static int ChunkLength(int length) => Math.Max(LeastChunk, (int)(((long)length + MostChunks - 1) / MostChunks));

    private static int Chunks(int length) => (int)(((long)length + ChunkLength(length) - 1) / ChunkLength(length));

    /// <inheritdoc/>
    public double Dot(Storage x, int offsetX, Storage y, int offsetY, int length)
    {
        Arguments.NotNegative(length);
        using var operation = Begin();
        var left = Input(x, offsetX, length);
        var right = Input(y, offsetY, length);
        if (length == 0) return 0;
        int chunks = Chunks(length);
        var partials = Room(chunks);
        _device.Run(
            InnerProductKernels.Chunks, chunks, _device.GroupThreads,
            new InnerProductArguments { X = left, Y = right, Length = length, ChunkLength = ChunkLength(length), Chunks = chunks, Partials = partials });
        Span<double> sums = stackalloc double[chunks];
        _device.Download(partials, sums);
        double sum = 0;
        foreach (double part in sums) sum += part;
        return sum;
    }

    /// <inheritdoc/>
    public void Recur(Storage next, Storage current, Storage previous, double[] before, int length, double least, double[] alphas, double[] betas)
    {
        int count = before.Length;
        if (count > VectorFactors.Most || length == 0 || next is not DeviceStorage || current is not DeviceStorage || previous is not DeviceStorage)
        {
            Recurrence.Step(this, next, current, previous, before, length, least, alphas, betas);
            return;
        }

        Recurrence.Check(next, current, previous, before, length, alphas, betas);
        using var operation = Begin();
        int chunks = Chunks(length), groups = count * chunks;
        var room = Room(2 * groups + 2 * count);
        var step = new RecurrenceArguments
        {
            Next = Input(next, 0, (long)count * length),
            Current = Input(current, 0, (long)count * length),
            Previous = Input(previous, 0, (long)count * length),
            Before = FactorsOf(before),
            Least = least,
            Length = length,
            ChunkLength = ChunkLength(length),
            Chunks = chunks,
            Products = room.SubView(0, groups),
            Squares = room.SubView(groups, groups),
            Coefficients = room.SubView(2 * groups, 2 * count),
        };
        _device.Run(
            InnerProductKernels.Chunks, groups, _device.GroupThreads,
            new InnerProductArguments { X = step.Next, Y = step.Current, Length = length, ChunkLength = step.ChunkLength, Chunks = chunks, Partials = step.Products });
        _device.Run(InnerProductKernels.Recur, groups, _device.GroupThreads, step);
        _device.Run(InnerProductKernels.Normalise, groups, _device.GroupThreads, step);
        Span<double> coefficients = stackalloc double[2 * count];
        _device.Download(step.Coefficients, coefficients);
        for (int i = 0; i < count; i++) (alphas[i], betas[i]) = (coefficients[2 * i], coefficients[2 * i + 1]);
    }

    private static VectorFactors FactorsOf(double[] values)
    {
        double At(int i) => i < values.Length ? values[i] : 0;
        return new() { F0 = At(0), F1 = At(1), F2 = At(2), F3 = At(3), F4 = At(4), F5 = At(5), F6 = At(6), F7 = At(7) };
    }

    /// <inheritdoc/>
    public void Copy(Storage source, int sourceOffset, Storage destination, int destinationOffset, int length)
    {
        Arguments.NotNegative(length);
        Arguments.Holds(source, sourceOffset, length, nameof(source));
        Arguments.Holds(destination, destinationOffset, length, nameof(destination));
        if (length == 0) return;
        using var operation = Begin();
        switch (source, destination)
        {
            case (HostStorage from, HostStorage to):
                from.Values.AsSpan(sourceOffset, length).CopyTo(to.Values.AsSpan(destinationOffset));
                break;
            case (HostStorage { IsConstant: false } from, DeviceStorage to):
                _device.Upload(from.Values.AsSpan(sourceOffset, length), to.Values.SubView(destinationOffset, length));
                break;
            case (DeviceStorage from, HostStorage to):
                from.CopyTo(sourceOffset, to.Values.AsSpan(destinationOffset, length));
                break;
            default:
                var values = Input(source, sourceOffset, length);
                if (Arguments.AreOne(source, destination))
                {
                    // The ranges may overlap.
                    var room = Room(length);
                    _device.Copy(values, room);
                    values = room;
                }

                Change(destination, destinationOffset, length, reads: false, target => _device.Copy(values, target));
                break;
        }
    }
}
