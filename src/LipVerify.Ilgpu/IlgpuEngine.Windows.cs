using ILGPU;
using LipVerify.Compute;
using LipVerify.Ilgpu.Kernels;

namespace LipVerify.Ilgpu;

// Convolution and pooling.
public sealed partial class IlgpuEngine
{
    /// <summary>Tables of the geometries that were met.</summary>
    private readonly Dictionary<(ConvolutionGeometry Geometry, bool IsAdjoint), WindowPlan> _plans = [];

    private WindowPlan Plan(in ConvolutionGeometry geometry, bool isAdjoint)
    {
        var key = (geometry, isAdjoint);
        if (_plans.TryGetValue(key, out var plan)) return plan;
        return _plans[key] = isAdjoint ? WindowPlan.OfAdjoint(_device, geometry) : WindowPlan.OfConvolution(_device, geometry);
    }

    private ProductCut Cut(WindowPlan plan, int batch) =>
        new(_tiles, _device.WantedGroups, plan.Parts, plan.Rows, plan.Columns(batch), plan.Depth);

    /// <inheritdoc/>
    public int ConvolutionDepth(in ConvolutionGeometry geometry, int batch)
    {
        using var operation = Begin();
        return Cut(Plan(geometry, false), batch).Depth;
    }

    /// <inheritdoc/>
    public int ConvolutionAdjointDepth(in ConvolutionGeometry geometry, int batch)
    {
        using var operation = Begin();
        return Cut(Plan(geometry, true), batch).Depth;
    }

    /// <inheritdoc/>
    public void Convolve(in ConvolutionGeometry geometry, Storage weights, Storage x, int batch, Storage y)
    {
        geometry.Validate();
        Arguments.NotNegative(batch);
        using var operation = Begin();
        var w = Input(weights, 0, geometry.WeightSize);
        var input = Input(x, 0, (long)batch * geometry.InputSize);
        Arguments.Holds(y, 0, (long)batch * geometry.OutputSize, nameof(y));
        RequireApart(x, y, nameof(x), nameof(y));
        RequireApart(weights, y, nameof(weights), nameof(y));
        _cancellation.ThrowIfCancellationRequested();
        if (batch == 0) return;
        var plan = Plan(geometry, false);
        Change(y, 0, (long)batch * geometry.OutputSize, reads: false, output => MultiplyWindows(plan, w, input, batch, output));
    }

    /// <inheritdoc/>
    public void ConvolveAdjoint(in ConvolutionGeometry geometry, Storage weights, Storage y, int batch, Storage x)
    {
        geometry.Validate();
        Arguments.NotNegative(batch);
        using var operation = Begin();
        var w = Input(weights, 0, geometry.WeightSize);
        var output = Input(y, 0, (long)batch * geometry.OutputSize);
        Arguments.Holds(x, 0, (long)batch * geometry.InputSize, nameof(x));
        RequireApart(y, x, nameof(y), nameof(x));
        RequireApart(weights, x, nameof(weights), nameof(x));
        _cancellation.ThrowIfCancellationRequested();
        if (batch == 0) return;
        var plan = Plan(geometry, true);
        Change(x, 0, (long)batch * geometry.InputSize, reads: false, input => MultiplyWindows(plan, w, output, batch, input));
    }

    private void MultiplyWindows(WindowPlan plan, ArrayView<double> weights, ArrayView<double> source, int batch, ArrayView<double> result)
    {
        var geometry = plan.For(batch);
        var cut = Cut(plan, batch);
        int columns = plan.Columns(batch);
        var product = new ProductArguments<WeightFactor, WindowFactor, ImageTarget>
        {
            Left = new WeightFactor { Values = weights, Geometry = geometry },
            Right = new WindowFactor { Values = source, Geometry = geometry },
            Target = new ImageTarget { Values = result, Geometry = geometry },
            Rows = plan.Rows,
            Columns = columns,
            RowTiles = cut.RowTiles,
            ColumnTiles = cut.ColumnTiles,
            Slices = cut.Slices,
            SliceLength = cut.SliceLength,
            Parts = plan.Parts,
            Partials = cut.Slices == 1 ? result : Room(checked(cut.Slices * plan.Parts * plan.Rows * columns)),
        };
        _tiles.Run(_device, cut.Tile, cut.Groups, product);
        if (cut.Slices > 1) _device.RunOver(SliceKernels.Windows, (long)plan.Parts * plan.Rows * columns, product);
    }

    private static PoolingAxis AxisOf(WindowAxis axis) => new()
    {
        Input = axis.Input,
        Output = axis.Output,
        Kernel = axis.Kernel,
        Stride = axis.Stride,
        PadBefore = axis.PadBefore,
        PadAfter = axis.PadAfter,
        Dilation = axis.Dilation,
    };

    private static PoolingArguments PoolingOf(in PoolingGeometry g, int batch, bool countPadding) => new()
    {
        Rows = AxisOf(g.Rows),
        Columns = AxisOf(g.Columns),
        Planes = checked(batch * g.Channels),
        Channels = g.Channels,
        CountPadding = countPadding ? 1 : 0,
    };

    private static void CheckPooling(in PoolingGeometry g, Storage x, int batch, Storage y)
    {
        g.Validate();
        Arguments.NotNegative(batch);
        Arguments.Holds(x, 0, (long)batch * g.InputSize, nameof(x));
        Arguments.Holds(y, 0, (long)batch * g.OutputSize, nameof(y));
        RequireApart(x, y, nameof(x), nameof(y));
    }

    /// <inheritdoc/>
    public void MaxPool(in PoolingGeometry geometry, Storage x, int batch, Storage y, int[]? winners)
    {
        CheckPooling(geometry, x, batch, y);
        int outputs = checked(batch * geometry.OutputSize);
        if (winners != null && winners.Length < outputs)
            throw new ArgumentException($"winners must hold at least {outputs} values, but holds {winners.Length}", nameof(winners));
        if (batch == 0) return;
        using var operation = Begin();
        using var places = winners == null ? null : _device.Integers(outputs);
        var pooling = PoolingOf(geometry, batch, false);
        pooling.Input = Input(x, 0, (long)batch * geometry.InputSize);
        pooling.Winners = places?.View.BaseView ?? _device.NoIntegers;
        pooling.HasWinners = winners == null ? 0 : 1;
        Change(y, 0, outputs, reads: false, output =>
        {
            pooling.Output = output;
            _device.RunOver(PoolingKernels.Max, outputs, pooling);
        });
        if (winners != null) _device.Download(pooling.Winners, winners.AsSpan(0, outputs));
    }

    /// <inheritdoc/>
    public void AveragePool(in PoolingGeometry geometry, bool countPadding, Storage x, int batch, Storage y)
    {
        CheckPooling(geometry, x, batch, y);
        if (batch == 0) return;
        using var operation = Begin();
        var pooling = PoolingOf(geometry, batch, countPadding);
        pooling.Input = Input(x, 0, (long)batch * geometry.InputSize);
        long outputs = (long)batch * geometry.OutputSize;
        Change(y, 0, outputs, reads: false, output =>
        {
            pooling.Output = output;
            _device.RunOver(PoolingKernels.Average, outputs, pooling);
        });
    }

    /// <inheritdoc/>
    public void AveragePoolAdjoint(in PoolingGeometry geometry, bool countPadding, Storage y, int batch, Storage x)
    {
        CheckPooling(geometry, x, batch, y);
        if (batch == 0) return;
        using var operation = Begin();
        var pooling = PoolingOf(geometry, batch, countPadding);
        pooling.Output = Input(y, 0, (long)batch * geometry.OutputSize);
        long inputs = (long)batch * geometry.InputSize;
        Change(x, 0, inputs, reads: false, input =>
        {
            pooling.Input = input;
            _device.RunOver(PoolingKernels.AverageAdjoint, inputs, pooling);
        });
    }
}
