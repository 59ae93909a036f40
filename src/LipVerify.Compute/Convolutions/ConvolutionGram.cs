using System.Runtime.CompilerServices;

namespace LipVerify.Compute;

/// <summary>
/// The Gram matrix of a masked convolution, assembled as finite elements are: each position of the side that is summed over couples
/// the few positions whose windows meet there, by a small matrix product that is added where its rows have their places.
/// Strips of such positions, taken alternately, touch no common entry, so that threads never meet and the order of every sum is fixed.
/// </summary>
internal sealed unsafe class ConvolutionGram
{
    /// <summary>A position of the other side, and the tap of the kernel between the two.</summary>
    private readonly record struct Partner(int Position, int Tap);

    /// <summary>A row of the local matrix: its place in the Gram matrix and where that row starts, its factor, and where its weights start.</summary>
    private readonly record struct LocalRow(int Place, long Start, double Factor, int Weight);

    private readonly ConvolutionGeometry _geometry;
    private readonly bool _overOutputs;
    private readonly int[] _places;
    private readonly SymmetricEnvelope _envelope;
    private readonly Partner[][] _rowPartners, _columnPartners;
    private readonly int _inPerGroup, _outPerGroup, _taps, _rowChannels, _summedChannels, _stripHeight;

    public ConvolutionGram(in ConvolutionGeometry geometry, bool overOutputs, int[] places, SymmetricEnvelope envelope)
    {
        _geometry = geometry;
        _overOutputs = overOutputs;
        _places = places;
        _envelope = envelope;
        _rowPartners = Partners(geometry.Rows, overOutputs);
        _columnPartners = Partners(geometry.Columns, overOutputs);
        _inPerGroup = geometry.InChannels / geometry.Groups;
        _outPerGroup = geometry.OutChannels / geometry.Groups;
        _taps = geometry.Rows.Kernel * geometry.Columns.Kernel;
        (_rowChannels, _summedChannels) = overOutputs ? (_outPerGroup, _inPerGroup) : (_inPerGroup, _outPerGroup);
        // Positions this far apart share no window, and so no row of the Gram matrix.
        _stripHeight = overOutputs ? geometry.Rows.Span : Pieces.CeilingDivide(geometry.Rows.Span, geometry.Rows.Stride);
    }

    public void Run(CpuEngine engine, double* weights, double* rowFactors, double* columnFactors, double* gram)
    {
        // Side by side, since the first touch of fresh memory takes longer than anything else here.
        Pieces.Run(engine.Threads, _envelope.Blocks, 0, (block, _) =>
            new Span<double>(gram + _envelope.Offset(block), _envelope.Rows(block) * _envelope.Width(block)).Clear());
        int rows = checked(Most(_rowPartners) * Most(_columnPartners) * _rowChannels);
        int scratch = checked(rows * _summedChannels + rows * rows);
        int strips = Pieces.CeilingDivide(_rowPartners.Length, _stripHeight);
        for (int parity = 0; parity < 2; parity++)
            Pieces.Run(engine.Threads, (strips + 1 - parity) / 2, scratch, (piece, buffer) =>
            {
                var local = new LocalRow[rows];
                var summed = new int[_summedChannels];
                int first = (2 * piece + parity) * _stripHeight, last = Math.Min(_rowPartners.Length, first + _stripHeight);
                for (int row = first; row < last; row++)
                    for (int column = 0; column < _columnPartners.Length; column++)
                        for (int group = 0; group < _geometry.Groups; group++)
                            Add(engine, weights, rowFactors, columnFactors, row, column, group, local, summed, buffer, gram);
            });
    }

    private static int Most(Partner[][] partners) => partners.Max(list => list.Length);

    /// <summary>For each position that is summed over: the positions of the other side that it couples.</summary>
    private static Partner[][] Partners(WindowAxis axis, bool overOutputs)
    {
        var lists = new List<Partner>[overOutputs ? axis.Input : axis.Output];
        for (int i = 0; i < lists.Length; i++) lists[i] = [];
        for (int window = 0; window < axis.Output; window++)
            for (int tap = 0; tap < axis.Kernel; tap++)
            {
                int position = axis.Position(window, tap);
                if (position < 0 || position >= axis.Input) continue;
                if (overOutputs) lists[position].Add(new Partner(window, tap));
                else lists[window].Add(new Partner(position, tap));
            }
        return Array.ConvertAll(lists, list => list.ToArray());
    }

    /// <summary>Adds what one position contributes, in one group of channels. A bound calls it too few times for the compiler to come back to it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Add(
        CpuEngine engine, double* weights, double* rowFactors, double* columnFactors, int row, int column, int group,
        LocalRow[] local, int[] summed, double* scratch, double* gram)
    {
        int outPlane = _geometry.Rows.Output * _geometry.Columns.Output, inPlane = _geometry.Rows.Input * _geometry.Columns.Input;
        double* outFactors = rowFactors + (nint)group * _outPerGroup * outPlane, inFactors = columnFactors + (nint)group * _inPerGroup * inPlane;
        int center = row * _columnPartners.Length + column, depth = 0;
        for (int channel = 0; channel < _summedChannels; channel++)
            if ((_overOutputs ? inFactors[(nint)channel * inPlane + center] : outFactors[(nint)channel * outPlane + center]) != 0) summed[depth++] = channel;
        if (depth == 0) return;

        int rowPlane = _overOutputs ? outPlane : inPlane, rowWidth = _overOutputs ? _geometry.Columns.Output : _geometry.Columns.Input;
        int count = 0, firstPlace = group * _rowChannels * rowPlane;
        foreach (Partner vertical in _rowPartners[row])
            foreach (Partner horizontal in _columnPartners[column])
            {
                int position = vertical.Position * rowWidth + horizontal.Position, tap = vertical.Tap * _geometry.Columns.Kernel + horizontal.Tap;
                for (int channel = 0; channel < _rowChannels; channel++)
                {
                    int place = _places[firstPlace + channel * rowPlane + position];
                    if (place < 0) continue;
                    double factor = _overOutputs ? outFactors[(nint)channel * outPlane + position] : inFactors[(nint)channel * inPlane + position];
                    if (factor != 0) local[count++] = new LocalRow(place, _envelope.RowStart(place), factor, channel * (_overOutputs ? _inPerGroup * _taps : _taps) + tap);
                }
            }
        if (count == 0) return;

        // Along a row of the local matrix the weights of the channels that are summed over lie this far apart.
        int step = _overOutputs ? _taps : _inPerGroup * _taps;
        double* w = weights + (nint)group * _outPerGroup * _inPerGroup * _taps;
        double* matrix = scratch, product = scratch + (nint)count * depth;
        for (int i = 0; i < count; i++)
            for (int k = 0; k < depth; k++)
            {
                double factor = _overOutputs ? local[i].Factor : outFactors[(nint)summed[k] * outPlane + center];
                matrix[(nint)i * depth + k] = factor * w[local[i].Weight + (nint)summed[k] * step];
            }
        engine.MultiplyOnThisThread(false, true, count, count, depth, 1, matrix, depth, matrix, depth, 0, product, count);
        for (int i = 0; i < count; i++)
            for (int j = 0; j <= i; j++)
            {
                ref readonly LocalRow a = ref local[i], b = ref local[j];
                gram[a.Place >= b.Place ? a.Start + b.Place : b.Start + a.Place] += product[(nint)i * count + j];
            }
    }
}
