using LipVerify.Compute;
using static TorchSharp.torch;
using Storage = LipVerify.Compute.Storage;

namespace LipVerify.TorchSharp;

// Vectors, entry by entry.
public sealed partial class TorchEngine
{
    private (Tensor X, Tensor Vector) Rows(Storage x, int batch, Storage vector, Storage result, string vectorName)
    {
        Arguments.NotNegative(batch);
        var values = Input(vector, 0, vectorName);
        long size = values.numel();
        var rows = Input(x, batch * size).narrow(0, 0, batch * size).view(batch, size);
        Arguments.Holds(result, 0, batch * size, nameof(result));
        return (rows, values);
    }

    /// <inheritdoc/>
    public void MultiplyRows(Storage x, int batch, Storage factor, Storage result)
    {
        using var scope = NewDisposeScope();
        var (rows, vector) = Rows(x, batch, factor, result, nameof(factor));
        Write(result, rows * vector, nameof(result));
    }

    /// <inheritdoc/>
    public void AddToRows(Storage x, int batch, Storage term, Storage result)
    {
        using var scope = NewDisposeScope();
        var (rows, vector) = Rows(x, batch, term, result, nameof(term));
        Write(result, rows + vector, nameof(result));
    }

    /// <summary>Indices of each row, or of one that serves all, on the device.</summary>
    private Tensor Indices(int[] indices, int inputSize, int size, int batch)
    {
        ArgumentNullException.ThrowIfNull(indices);
        Arguments.NotNegative(size);
        if (batch < 1 || indices.Length != size && indices.Length != (long)batch * size)
            throw new ArgumentException($"{indices.Length} indices are neither those of one row of {size} nor of {batch}", nameof(indices));
        foreach (int index in indices)
            if ((uint)index >= (uint)inputSize) throw new ArgumentException($"the index {index} lies outside an input of {inputSize} values", nameof(indices));
        _transfers.Count++;
        var places = tensor(indices, dtype: ScalarType.Int32).to(ScalarType.Int64).to(_device);
        return indices.Length == size ? places.view(1, size).expand(batch, size) : places.view(batch, size);
    }

    /// <inheritdoc/>
    public void Gather(Storage x, int inputSize, int[] indices, int size, int batch, Storage y)
    {
        using var scope = NewDisposeScope();
        var places = Indices(indices, inputSize, size, batch);
        var input = Input(x, (long)batch * inputSize).narrow(0, 0, (long)batch * inputSize).view(batch, inputSize);
        Arguments.Holds(y, 0, (long)batch * size, nameof(y));
        Write(y, input.gather(1, places), nameof(y));
    }

    /// <inheritdoc/>
    public void ScatterAdd(Storage y, int inputSize, int[] indices, int size, int batch, Storage x)
    {
        using var scope = NewDisposeScope();
        var places = Indices(indices, inputSize, size, batch);
        var output = Input(y, (long)batch * size).narrow(0, 0, (long)batch * size).view(batch, size);
        Change(x, 0, (long)batch * inputSize, nameof(x), values =>
        {
            var input = values.narrow(0, 0, (long)batch * inputSize);
            if (_device.type == global::TorchSharp.DeviceType.CPU) input.view(batch, inputSize).scatter_add_(1, places.contiguous(), output);
            else
            {
                // Atomic sums of a scatter come in any order, and would not give the same bits again; those of an indexed sum are sorted first.
                var starts = arange(batch, dtype: ScalarType.Int64, device: _device).mul_(inputSize).unsqueeze(1);
                input.index_put_(output.reshape(-1), true, (places + starts).reshape(-1));
            }
        });
    }

    /// <inheritdoc/>
    public void Rectify(Storage x, Storage y)
    {
        using var scope = NewDisposeScope();
        var values = Input(x, 0);
        Arguments.Holds(y, 0, values.numel(), nameof(y));
        Write(y, values.clamp(min: 0.0), nameof(y));
    }

    private static void RequireSameOrApart(Storage x, int offsetX, Storage y, int offsetY, int length)
    {
        if (Arguments.AreOne(x, y) && offsetX != offsetY && Math.Abs((long)offsetX - offsetY) < length)
            throw new ArgumentException($"{length} values from positions {offsetX} and {offsetY} of the same block overlap");
    }

    /// <inheritdoc/>
    public void AddScaled(double alpha, Storage x, int offsetX, Storage y, int offsetY, int length)
    {
        Arguments.NotNegative(length);
        using var scope = NewDisposeScope();
        var from = Input(x, offsetX, length, nameof(x)).narrow(0, offsetX, length);
        RequireSameOrApart(x, offsetX, y, offsetY, length);
        Change(y, offsetY, length, nameof(y), values => values.narrow(0, offsetY, length).add_(from, alpha: alpha));
    }

    /// <inheritdoc/>
    public void AddTwoScaled(double alpha, Storage x, double beta, Storage z, Storage y, int offset, int length)
    {
        Arguments.NotNegative(length);
        using var scope = NewDisposeScope();
        var first = Input(x, offset, length, nameof(x)).narrow(0, offset, length);
        var second = Input(z, offset, length, nameof(z)).narrow(0, offset, length);
        Arguments.Holds(y, offset, length, nameof(y));
        RequireApart(x, y, nameof(x), nameof(y));
        RequireApart(z, y, nameof(z), nameof(y));
        Change(y, offset, length, nameof(y), values => values.narrow(0, offset, length).add_(first, alpha: alpha).add_(second, alpha: beta));
    }

    /// <inheritdoc/>
    public void Scale(double alpha, Storage x, int offset, int length)
    {
        Arguments.NotNegative(length);
        using var scope = NewDisposeScope();
        Change(x, offset, length, nameof(x), values => values.narrow(0, offset, length).mul_(alpha));
    }

    /// <inheritdoc/>
    public double Dot(Storage x, int offsetX, Storage y, int offsetY, int length)
    {
        Arguments.NotNegative(length);
        using var scope = NewDisposeScope();
        var left = Input(x, offsetX, length, nameof(x)).narrow(0, offsetX, length);
        var right = Input(y, offsetY, length, nameof(y)).narrow(0, offsetY, length);
        return length == 0 ? 0 : left.dot(right).item<double>();
    }

    /// <inheritdoc/>
    public void Copy(Storage source, int sourceOffset, Storage destination, int destinationOffset, int length)
    {
        Arguments.NotNegative(length);
        Arguments.Holds(source, sourceOffset, length, nameof(source));
        Arguments.Holds(destination, destinationOffset, length, nameof(destination));
        if (length == 0) return;
        using var scope = NewDisposeScope();
        switch (source, destination)
        {
            case (HostStorage from, HostStorage to):
                from.Values.AsSpan(sourceOffset, length).CopyTo(to.Values.AsSpan(destinationOffset));
                break;
            case (HostStorage from, TorchStorage to):
                _transfers.Count++;
                TorchStorage.FromHost(from.Values.AsSpan(sourceOffset, length), to.Values, destinationOffset);
                break;
            case (TorchStorage from, HostStorage to):
                _transfers.Count++;
                from.CopyTo(sourceOffset, to.Values.AsSpan(destinationOffset, length));
                break;
            default:
                var part = Input(source, sourceOffset, length, nameof(source)).narrow(0, sourceOffset, length);
                var values = Arguments.AreOne(source, destination) ? part.clone() : part;
                Change(destination, destinationOffset, length, nameof(destination), target => target.narrow(0, destinationOffset, length).copy_(values));
                break;
        }
    }
}
