using ILGPU;
using ILGPU.Runtime;
using LipVerify.Compute;
using LipVerify.Ilgpu.Kernels;

namespace LipVerify.Ilgpu;

/// <summary>
/// The tables of a convolution, or of its adjoint, as a product. Positions of an input that are as many strides apart meet the same taps in the adjoint, so
/// that each of these phases is a product of its own without a term that is 0 for want of a window.
/// </summary>
internal sealed class WindowPlan
{
    private readonly WindowGeometry _geometry;

    private readonly MemoryBuffer1D<int, Stride1D.Dense>[] _tables;

    private readonly int _positions;

    private WindowPlan(Device device, WindowGeometry geometry, List<int> phases, List<Tap> taps)
    {
        Rows = geometry.ResultChannels;
        Parts = phases.Count / WindowGeometry.PhaseLength * geometry.Groups;
        for (int phase = 0; phase < phases.Count; phase += WindowGeometry.PhaseLength)
        {
            _positions = Math.Max(_positions, phases[phase + 4] * phases[phase + 5]);
            Depth = Math.Max(Depth, phases[phase + 7]);
        }

        _tables =
        [
            device.Table(phases.ToArray()), device.Table(Array.ConvertAll(taps.ToArray(), tap => tap.Offset)), device.Table(Array.ConvertAll(taps.ToArray(), tap => tap.Row)),
            device.Table(Array.ConvertAll(taps.ToArray(), tap => tap.Column)), device.Table(Array.ConvertAll(taps.ToArray(), tap => tap.Weight)),
        ];
        geometry.PhaseCount = phases.Count / WindowGeometry.PhaseLength;
        geometry.Phases = _tables[0].View.BaseView;
        geometry.Offsets = _tables[1].View.BaseView;
        geometry.RowShifts = _tables[2].View.BaseView;
        geometry.ColumnShifts = _tables[3].View.BaseView;
        geometry.WeightOffsets = _tables[4].View.BaseView;
        _geometry = geometry;
    }

    private readonly record struct Tap(int Offset, int Row, int Column, int Weight);

    /// <summary>Rows of the product: channels of the result in a group.</summary>
    public int Rows { get; }

    /// <summary>Phases times groups.</summary>
    public int Parts { get; }

    /// <summary>Terms of the longest sum.</summary>
    public int Depth { get; }

    /// <summary>The geometry for a batch.</summary>
    public WindowGeometry For(int batch)
    {
        var geometry = _geometry;
        geometry.Batch = batch;
        return geometry;
    }

    /// <summary>Columns of the part that has most.</summary>
    public int Columns(int batch) => checked(batch * _positions);

    /// <summary>The plan of a convolution.</summary>
    public static WindowPlan OfConvolution(Device device, in ConvolutionGeometry g)
    {
        var taps = new List<Tap>();
        int plane = g.Rows.Input * g.Columns.Input;
        for (int channel = 0; channel < g.InChannels / g.Groups; channel++)
            for (int kr = 0; kr < g.Rows.Kernel; kr++)
                for (int kc = 0; kc < g.Columns.Kernel; kc++)
                {
                    int row = kr * g.Rows.Dilation, column = kc * g.Columns.Dilation;
                    taps.Add(new Tap(channel * plane + row * g.Columns.Input + column, row, column, taps.Count));
                }

        List<int> phases = [-g.Rows.PadBefore, -g.Columns.PadBefore, 0, 0, g.Rows.Output, g.Columns.Output, 0, taps.Count];
        return new WindowPlan(
            device,
            new WindowGeometry
            {
                SourceRows = g.Rows.Input,
                SourceColumns = g.Columns.Input,
                SourceRowStep = g.Rows.Stride,
                SourceColumnStep = g.Columns.Stride,
                ResultRows = g.Rows.Output,
                ResultColumns = g.Columns.Output,
                ResultRowStep = 1,
                ResultColumnStep = 1,
                SourceChannels = g.InChannels / g.Groups,
                ResultChannels = g.OutChannels / g.Groups,
                Groups = g.Groups,
                WeightStride = taps.Count,
                GroupWeights = g.OutChannels / g.Groups * taps.Count,
            },
            phases, taps);
    }

    /// <summary>The plan of its adjoint.</summary>
    public static WindowPlan OfAdjoint(Device device, in ConvolutionGeometry g)
    {
        var taps = new List<Tap>();
        var phases = new List<int>();
        int plane = g.Rows.Output * g.Columns.Output, kernel = g.Rows.Kernel * g.Columns.Kernel, inChannels = g.InChannels / g.Groups;
        for (int vertical = 0; vertical < g.Rows.Stride; vertical++)
            for (int horizontal = 0; horizontal < g.Columns.Stride; horizontal++)
            {
                var (row, window, rows) = Phase(g.Rows, vertical);
                var (column, windowColumn, columns) = Phase(g.Columns, horizontal);
                int first = taps.Count;
                for (int channel = 0; channel < g.OutChannels / g.Groups; channel++)
                    foreach (int kr in TapsOf(g.Rows, vertical))
                        foreach (int kc in TapsOf(g.Columns, horizontal))
                        {
                            int up = (vertical - kr * g.Rows.Dilation) / g.Rows.Stride, left = (horizontal - kc * g.Columns.Dilation) / g.Columns.Stride;
                            taps.Add(new Tap(channel * plane + up * g.Columns.Output + left, up, left, channel * inChannels * kernel + kr * g.Columns.Kernel + kc));
                        }

                phases.AddRange([window, windowColumn, row, column, rows, columns, first, taps.Count - first]);
            }

        return new WindowPlan(
            device,
            new WindowGeometry
            {
                SourceRows = g.Rows.Output,
                SourceColumns = g.Columns.Output,
                SourceRowStep = 1,
                SourceColumnStep = 1,
                ResultRows = g.Rows.Input,
                ResultColumns = g.Columns.Input,
                ResultRowStep = g.Rows.Stride,
                ResultColumnStep = g.Columns.Stride,
                SourceChannels = g.OutChannels / g.Groups,
                ResultChannels = inChannels,
                Groups = g.Groups,
                WeightStride = kernel,
                GroupWeights = g.OutChannels / g.Groups * inChannels * kernel,
            },
            phases, taps);
    }

    /// <summary>The first position of a phase, the window that would start there, and how many positions there are.</summary>
    private static (int Position, int Window, int Count) Phase(WindowAxis axis, int phase)
    {
        int position = ((phase - axis.PadBefore) % axis.Stride + axis.Stride) % axis.Stride;
        return (position, (position + axis.PadBefore) / axis.Stride, position < axis.Input ? (axis.Input - 1 - position) / axis.Stride + 1 : 0);
    }

    private static IEnumerable<int> TapsOf(WindowAxis axis, int phase) =>
        Enumerable.Range(0, axis.Kernel).Where(tap => (long)tap * axis.Dilation % axis.Stride == phase);
}
