using LipVerify.Compute;
using static TorchSharp.torch;
using static TorchSharp.torch.nn.functional;
using Storage = LipVerify.Compute.Storage;

namespace LipVerify.TorchSharp;

// Convolution and pooling. Windows are a view of the padded input: nothing is left to an algorithm that the device chooses.
public sealed partial class TorchEngine
{
    /// <summary>Entries of window matrices that are held at a time.</summary>
    private const long WindowEntries = 1L << 26;

    /// <summary>The padded extent that the windows of an axis reach.</summary>
    private static long Reached(WindowAxis axis) => (long)(axis.Output - 1) * axis.Stride + axis.Span;

    /// <summary>Inputs <c>batch × channels × rows × columns</c>, padded as far as windows reach.</summary>
    private static Tensor Padded(Tensor x, WindowAxis rows, WindowAxis columns, double value)
    {
        long below = Reached(rows) - rows.PadBefore - rows.Input, right = Reached(columns) - columns.PadBefore - columns.Input;
        if (rows.PadBefore == 0 && columns.PadBefore == 0 && below <= 0 && right <= 0) return x.contiguous();
        // Rows and columns that no window reaches may stay.
        return pad(x, [columns.PadBefore, Math.Max(0, right), rows.PadBefore, Math.Max(0, below)], global::TorchSharp.PaddingModes.Constant, value).contiguous();
    }

    /// <summary>All windows, as a view: batch × channels × window × tap, or with taps before windows.</summary>
    private static Tensor Windows(Tensor padded, WindowAxis rows, WindowAxis columns, bool tapsFirst)
    {
        long batch = padded.size(0), channels = padded.size(1), height = padded.size(2), width = padded.size(3);
        long[] windows = [rows.Output, columns.Output], taps = [rows.Kernel, columns.Kernel];
        long[] windowSteps = [rows.Stride * width, columns.Stride], tapSteps = [rows.Dilation * width, columns.Dilation];
        long[] outer = [batch, channels], outerSteps = [channels * height * width, height * width];
        return tapsFirst
            ? padded.as_strided([.. outer, .. taps, .. windows], [.. outerSteps, .. tapSteps, .. windowSteps], padded.storage_offset())
            : padded.as_strided([.. outer, .. windows, .. taps], [.. outerSteps, .. windowSteps, .. tapSteps], padded.storage_offset());
    }

    /// <summary>The sums over windows of columns <c>batch × (channels · taps) × windows</c> at each input: the adjoint of taking windows.</summary>
    private static Tensor Folded(Tensor columns, int channels, WindowAxis rows, WindowAxis across)
    {
        var whole = fold(
            columns, (Reached(rows), Reached(across)), (rows.Kernel, across.Kernel), (rows.Dilation, across.Dilation), (0, 0), (rows.Stride, across.Stride));
        long below = rows.PadBefore + rows.Input - whole.size(2), right = across.PadBefore + across.Input - whole.size(3);
        if (below > 0 || right > 0) whole = pad(whole, [0, Math.Max(0, right), 0, Math.Max(0, below)], global::TorchSharp.PaddingModes.Constant, 0);
        return whole.narrow(2, rows.PadBefore, rows.Input).narrow(3, across.PadBefore, across.Input);
    }

    /// <summary>Runs over a batch in parts whose windows have a bounded number of entries.</summary>
    private static void InParts(int batch, long entriesOfOne, Action<int, int> work)
    {
        int step = (int)Math.Clamp(WindowEntries / Math.Max(1, entriesOfOne), 1, Math.Max(1, batch));
        for (int first = 0; first < batch; first += step)
        {
            using var scope = NewDisposeScope();
            work(first, Math.Min(step, batch - first));
        }
    }

    private static long WindowEntriesOf(in ConvolutionGeometry g) =>
        (long)g.InChannels * g.Rows.Kernel * g.Columns.Kernel * g.Rows.Output * g.Columns.Output;

    /// <inheritdoc/>
    public void Convolve(in ConvolutionGeometry geometry, Storage weights, Storage x, int batch, Storage y)
    {
        var g = geometry;
        g.Validate();
        Arguments.NotNegative(batch);
        using var scope = NewDisposeScope();
        var kernel = Input(weights, g.WeightSize).narrow(0, 0, g.WeightSize);
        var input = Input(x, (long)batch * g.InputSize).narrow(0, 0, (long)batch * g.InputSize).view(batch, g.InChannels, g.Rows.Input, g.Columns.Input);
        Arguments.Holds(y, 0, (long)batch * g.OutputSize, nameof(y));
        RequireApart(x, y, nameof(x), nameof(y));
        RequireApart(weights, y, nameof(weights), nameof(y));
        _cancellation.ThrowIfCancellationRequested();
        if (batch == 0) return;
        long taps = (long)g.InChannels / g.Groups * g.Rows.Kernel * g.Columns.Kernel, windows = (long)g.Rows.Output * g.Columns.Output;
        var matrix = kernel.view(g.Groups, g.OutChannels / g.Groups, taps);
        Change(y, 0, (long)batch * g.OutputSize, nameof(y), values => InParts(batch, WindowEntriesOf(g), (first, count) =>
        {
            var columns = Windows(Padded(input.narrow(0, first, count), g.Rows, g.Columns, 0), g.Rows, g.Columns, tapsFirst: true)
                .reshape(count, g.Groups, taps, windows);
            values.narrow(0, (long)first * g.OutputSize, (long)count * g.OutputSize).copy_(matrix.matmul(columns).reshape(-1));
        }));
    }

    /// <inheritdoc/>
    public void ConvolveAdjoint(in ConvolutionGeometry geometry, Storage weights, Storage y, int batch, Storage x)
    {
        var g = geometry;
        g.Validate();
        Arguments.NotNegative(batch);
        using var scope = NewDisposeScope();
        var kernel = Input(weights, g.WeightSize).narrow(0, 0, g.WeightSize);
        long windows = (long)g.Rows.Output * g.Columns.Output, taps = (long)g.InChannels / g.Groups * g.Rows.Kernel * g.Columns.Kernel;
        var output = Input(y, (long)batch * g.OutputSize).narrow(0, 0, (long)batch * g.OutputSize)
            .view(batch, g.Groups, g.OutChannels / g.Groups, windows);
        Arguments.Holds(x, 0, (long)batch * g.InputSize, nameof(x));
        RequireApart(y, x, nameof(y), nameof(x));
        RequireApart(weights, x, nameof(weights), nameof(x));
        _cancellation.ThrowIfCancellationRequested();
        if (batch == 0) return;
        var matrix = kernel.view(g.Groups, g.OutChannels / g.Groups, taps).transpose(1, 2);
        Change(x, 0, (long)batch * g.InputSize, nameof(x), values => InParts(batch, WindowEntriesOf(g), (first, count) =>
        {
            var columns = matrix.matmul(output.narrow(0, first, count)).reshape(count, g.Groups * taps, windows);
            values.narrow(0, (long)first * g.InputSize, (long)count * g.InputSize)
                .copy_(Folded(columns, g.InChannels, g.Rows, g.Columns).reshape(-1));
        }));
    }

    /// <inheritdoc/>
    public int ConvolutionDepth(in ConvolutionGeometry geometry, int batch) =>
        checked(geometry.InChannels / geometry.Groups * geometry.Rows.Kernel * geometry.Columns.Kernel);

    /// <inheritdoc/>
    public int ConvolutionAdjointDepth(in ConvolutionGeometry geometry, int batch) =>
        checked((geometry.OutChannels / geometry.Groups) + (geometry.Rows.Kernel * geometry.Columns.Kernel));

    private Tensor Pooled(in PoolingGeometry g, Storage x, int batch) =>
        Input(x, (long)batch * g.InputSize, nameof(x)).narrow(0, 0, (long)batch * g.InputSize).view(batch, g.Channels, g.Rows.Input, g.Columns.Input);

    private static void CheckPooling(in PoolingGeometry g, Storage x, int batch, Storage y)
    {
        g.Validate();
        Arguments.NotNegative(batch);
        Arguments.Holds(x, 0, (long)batch * g.InputSize, nameof(x));
        Arguments.Holds(y, 0, (long)batch * g.OutputSize, nameof(y));
        RequireApart(x, y, nameof(x), nameof(y));
    }

    private static long WindowEntriesOf(in PoolingGeometry g) => (long)g.OutputSize * g.Rows.Kernel * g.Columns.Kernel;

    /// <inheritdoc/>
    public void MaxPool(in PoolingGeometry geometry, Storage x, int batch, Storage y, int[]? winners)
    {
        var g = geometry;
        CheckPooling(g, x, batch, y);
        if (winners != null && winners.Length < (long)batch * g.OutputSize)
            throw new ArgumentException($"winners must hold at least {(long)batch * g.OutputSize} values, but holds {winners.Length}", nameof(winners));
        if (batch == 0) return;
        using var scope = NewDisposeScope();
        var input = Pooled(g, x, batch);
        Tensor Offsets(int count, int step, int start) => arange(count, dtype: ScalarType.Int64, device: _device) * step + start;
        // The place of the first tap of each window in its channel, and of each tap from there.
        var corners = Offsets(g.Rows.Output, g.Rows.Stride, -g.Rows.PadBefore).unsqueeze(1) * g.Columns.Input
            + Offsets(g.Columns.Output, g.Columns.Stride, -g.Columns.PadBefore).unsqueeze(0);
        var taps = (Offsets(g.Rows.Kernel, g.Rows.Dilation, 0).unsqueeze(1) * g.Columns.Input
            + Offsets(g.Columns.Kernel, g.Columns.Dilation, 0).unsqueeze(0)).reshape(-1);
        var planes = Offsets(g.Channels, g.Rows.Input * g.Columns.Input, 0).view(g.Channels, 1, 1);
        Change(y, 0, (long)batch * g.OutputSize, nameof(y), values => InParts(batch, WindowEntriesOf(g), (first, count) =>
        {
            var part = input.narrow(0, first, count);
            // Padding is less than every value, −∞ among them.
            var ranked = part.masked_fill(part.eq(double.NegativeInfinity), double.MinValue);
            var windows = Windows(Padded(ranked, g.Rows, g.Columns, double.NegativeInfinity), g.Rows, g.Columns, tapsFirst: false)
                .reshape(count, g.Channels, g.Rows.Output, g.Columns.Output, -1);
            var places = taps.index_select(0, windows.argmax(-1).reshape(-1)).view(count, g.Channels, g.Rows.Output, g.Columns.Output) + corners + planes;
            var flat = places.view(count, -1);
            values.narrow(0, (long)first * g.OutputSize, (long)count * g.OutputSize).copy_(part.reshape(count, -1).gather(1, flat).reshape(-1));
            if (winners == null) return;
            _transfers.Count++;
            var host = flat.to(ScalarType.Int32).cpu().contiguous();
            System.Runtime.InteropServices.MemoryMarshal.Cast<byte, int>(host.bytes).CopyTo(winners.AsSpan(first * g.OutputSize));
        }));
    }

    /// <summary>One over the number of taps of each window that count.</summary>
    private Tensor Divisors(in PoolingGeometry g, bool countPadding)
    {
        static double[] Counts(WindowAxis axis, bool countPadding)
        {
            var counts = new double[axis.Output];
            int low = countPadding ? -axis.PadBefore : 0, high = axis.Input + (countPadding ? axis.PadAfter : 0);
            for (int window = 0; window < axis.Output; window++)
                for (int tap = 0; tap < axis.Kernel; tap++)
                {
                    int position = axis.Position(window, tap);
                    if (position >= low && position < high) counts[window]++;
                }

            return counts;
        }

        var rows = TorchStorage.FromHost(Counts(g.Rows, countPadding), _device).unsqueeze(1);
        return rows * TorchStorage.FromHost(Counts(g.Columns, countPadding), _device).unsqueeze(0);
    }

    /// <inheritdoc/>
    public void AveragePool(in PoolingGeometry geometry, bool countPadding, Storage x, int batch, Storage y)
    {
        var g = geometry;
        CheckPooling(g, x, batch, y);
        if (batch == 0) return;
        using var scope = NewDisposeScope();
        var input = Pooled(g, x, batch);
        var divisors = Divisors(g, countPadding);
        Change(y, 0, (long)batch * g.OutputSize, nameof(y), values => InParts(batch, WindowEntriesOf(g), (first, count) =>
        {
            var windows = Windows(Padded(input.narrow(0, first, count), g.Rows, g.Columns, 0), g.Rows, g.Columns, tapsFirst: false);
            values.narrow(0, (long)first * g.OutputSize, (long)count * g.OutputSize).copy_((windows.sum([-2L, -1L]) / divisors).reshape(-1));
        }));
    }

    /// <inheritdoc/>
    public void AveragePoolAdjoint(in PoolingGeometry geometry, bool countPadding, Storage y, int batch, Storage x)
    {
        var g = geometry;
        CheckPooling(g, x, batch, y);
        if (batch == 0) return;
        using var scope = NewDisposeScope();
        var output = Input(y, (long)batch * g.OutputSize).narrow(0, 0, (long)batch * g.OutputSize)
            .view(batch, g.Channels, g.Rows.Output, g.Columns.Output) / Divisors(g, countPadding);
        long taps = (long)g.Rows.Kernel * g.Columns.Kernel, windows = (long)g.Rows.Output * g.Columns.Output;
        Change(x, 0, (long)batch * g.InputSize, nameof(x), values => InParts(batch, WindowEntriesOf(g), (first, count) =>
        {
            var columns = output.narrow(0, first, count).reshape(count, g.Channels, 1, windows)
                .expand(count, g.Channels, taps, windows).reshape(count, g.Channels * taps, windows);
            values.narrow(0, (long)first * g.InputSize, (long)count * g.InputSize)
                .copy_(Folded(columns, g.Channels, g.Rows, g.Columns).reshape(-1));
        }));
    }
}
