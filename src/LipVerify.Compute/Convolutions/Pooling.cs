namespace LipVerify.Compute;

/// <summary>Pooling, one channel plane of one image at a time; planes are shared among the threads.</summary>
internal sealed unsafe class Pooling
{
    private readonly int _threads, _planes, _channels, _inputPlane, _outputPlane, _inputColumns, _outputRows, _outputColumns;
    private readonly Window[] _rows, _columns;

    /// <summary>The taps of one window that lie inside the input, and how many lie inside the padded input.</summary>
    private readonly record struct Window(int First, int Step, int Count, int PaddedCount);

    public Pooling(in PoolingGeometry geometry, int batch, int threads)
    {
        _threads = threads;
        _channels = geometry.Channels;
        _planes = checked(batch * geometry.Channels);
        _rows = Windows(geometry.Rows);
        _columns = Windows(geometry.Columns);
        _inputColumns = geometry.Columns.Input;
        _inputPlane = geometry.Rows.Input * geometry.Columns.Input;
        _outputRows = _rows.Length;
        _outputColumns = _columns.Length;
        _outputPlane = _outputRows * _outputColumns;
    }

    public void Max(double* x, double* y, int* winners) => Pieces.Run(_threads, _planes, 0, (plane, _) =>
    {
        double* input = x + (nint)plane * _inputPlane, output = y + (nint)plane * _outputPlane;
        int* winner = winners == null ? null : winners + (nint)plane * _outputPlane;
        int channelStart = plane % _channels * _inputPlane;
        foreach (Window row in _rows)
            foreach (Window column in _columns)
            {
                int best = row.First * _inputColumns + column.First;
                for (int i = 0, start = best; i < row.Count; i++, start += row.Step * _inputColumns)
                    for (int j = 0, position = start; j < column.Count; j++, position += column.Step)
                    {
                        // Larger, or the first that is not a number (which nothing exceeds then). Which tap wins is hard to
                        // foresee: the form without a branch is twice as fast.
                        double largest = input[best];
                        best = !(input[position] <= largest) & !double.IsNaN(largest) ? position : best;
                    }
                *output++ = input[best];
                if (winner != null) *winner++ = channelStart + best;
            }
    });

    public void Average(bool countPadding, double* x, double* y) => Pieces.Run(_threads, _planes, 0, (plane, _) =>
    {
        double* input = x + (nint)plane * _inputPlane, output = y + (nint)plane * _outputPlane;
        foreach (Window row in _rows)
            foreach (Window column in _columns)
            {
                double sum = 0;
                double* start = input + (nint)row.First * _inputColumns + column.First;
                for (int i = 0; i < row.Count; i++, start += (nint)row.Step * _inputColumns)
                    for (int j = 0; j < column.Count; j++) sum += start[(nint)j * column.Step];
                *output++ = sum / Divisor(row, column, countPadding);
            }
    });

    public void AverageAdjoint(bool countPadding, double* y, double* x) => Pieces.Run(_threads, _planes, 0, (plane, _) =>
    {
        double* input = x + (nint)plane * _inputPlane, output = y + (nint)plane * _outputPlane;
        new Span<double>(input, _inputPlane).Clear();
        foreach (Window row in _rows)
            foreach (Window column in _columns)
            {
                double share = *output++ / Divisor(row, column, countPadding);
                double* start = input + (nint)row.First * _inputColumns + column.First;
                for (int i = 0; i < row.Count; i++, start += (nint)row.Step * _inputColumns)
                    for (int j = 0; j < column.Count; j++) start[(nint)j * column.Step] += share;
            }
    });

    private static double Divisor(Window row, Window column, bool countPadding) =>
        countPadding ? (double)row.PaddedCount * column.PaddedCount : (double)row.Count * column.Count;

    private static Window[] Windows(WindowAxis axis)
    {
        var windows = new Window[axis.Output];
        for (int window = 0; window < windows.Length; window++)
        {
            int first = 0, count = 0, padded = 0;
            for (int tap = 0; tap < axis.Kernel; tap++)
            {
                int position = axis.Position(window, tap);
                if (position < axis.Input + axis.PadAfter) padded++;
                if (position < 0 || position >= axis.Input) continue;
                if (count++ == 0) first = position;
            }
            windows[window] = new Window(first, axis.Dilation, count, padded);
        }
        return windows;
    }
}
