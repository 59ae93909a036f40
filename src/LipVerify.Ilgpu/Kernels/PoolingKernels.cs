using ILGPU;

namespace LipVerify.Ilgpu.Kernels;

/// <summary>One axis of a pooling layer, as <c>WindowAxis</c> has it.</summary>
internal struct PoolingAxis
{
    public int Input, Output, Kernel, Stride, PadBefore, PadAfter, Dilation;

    public readonly int Position(int window, int tap) => window * Stride - PadBefore + tap * Dilation;

    public readonly bool IsInside(int position) => position >= 0 && position < Input;

    /// <summary>Taps of a window that count for a mean: those in the input, or in the padded input.</summary>
    public readonly int Counted(int window, bool countPadding)
    {
        int low = countPadding ? -PadBefore : 0, high = countPadding ? Input + PadAfter : Input, count = 0;
        for (int tap = 0; tap < Kernel; tap++)
        {
            int position = Position(window, tap);
            if (position >= low && position < high) count++;
        }

        return count;
    }
}

/// <summary>A pooling layer on planes, one a channel and image.</summary>
internal struct PoolingArguments
{
    public ArrayView<double> Input, Output;
    public ArrayView<int> Winners;
    public PoolingAxis Rows, Columns;
    public int Planes, Channels, CountPadding, HasWinners;

    public readonly double Divisor(int row, int column) =>
        (double)Rows.Counted(row, CountPadding != 0) * Columns.Counted(column, CountPadding != 0);
}

/// <summary>Pooling: a thread for each output, or each input of an adjoint.</summary>
internal static class PoolingKernels
{
    public static void Max(PoolingArguments p)
    {
        int plane = p.Rows.Output * p.Columns.Output;
        for (int i = Grid.GlobalIndex.X; i < p.Planes * plane; i += Grid.DimX * Group.DimX)
        {
            int image = i / plane, window = i - image * plane, row = window / p.Columns.Output, column = window - row * p.Columns.Output;
            int start = image * p.Rows.Input * p.Columns.Input, best = -1;
            double largest = 0.0;
            for (int kr = 0; kr < p.Rows.Kernel; kr++)
                for (int kc = 0; kc < p.Columns.Kernel; kc++)
                {
                    int r = p.Rows.Position(row, kr), c = p.Columns.Position(column, kc);
                    if (!p.Rows.IsInside(r) || !p.Columns.IsInside(c)) continue;
                    int position = r * p.Columns.Input + c;
                    double value = p.Input[start + position];
                    // The first, a larger one, or the first that is no number, which nothing exceeds then.
                    if (best >= 0 && (double.IsNaN(largest) || !double.IsNaN(value) && value <= largest)) continue;
                    best = position;
                    largest = value;
                }

            p.Output[i] = largest;
            if (p.HasWinners != 0) p.Winners[i] = image % p.Channels * p.Rows.Input * p.Columns.Input + best;
        }
    }

    public static void Average(PoolingArguments p)
    {
        int plane = p.Rows.Output * p.Columns.Output;
        for (int i = Grid.GlobalIndex.X; i < p.Planes * plane; i += Grid.DimX * Group.DimX)
        {
            int image = i / plane, window = i - image * plane, row = window / p.Columns.Output, column = window - row * p.Columns.Output;
            int start = image * p.Rows.Input * p.Columns.Input;
            double sum = 0.0;
            for (int kr = 0; kr < p.Rows.Kernel; kr++)
                for (int kc = 0; kc < p.Columns.Kernel; kc++)
                {
                    int r = p.Rows.Position(row, kr), c = p.Columns.Position(column, kc);
                    if (p.Rows.IsInside(r) && p.Columns.IsInside(c)) sum += p.Input[start + r * p.Columns.Input + c];
                }

            p.Output[i] = sum / p.Divisor(row, column);
        }
    }

    /// <summary>An input takes the shares of the windows that it lies in.</summary>
    public static void AverageAdjoint(PoolingArguments p)
    {
        int plane = p.Rows.Input * p.Columns.Input;
        for (int i = Grid.GlobalIndex.X; i < p.Planes * plane; i += Grid.DimX * Group.DimX)
        {
            int image = i / plane, position = i - image * plane, row = position / p.Columns.Input, column = position - row * p.Columns.Input;
            int start = image * p.Rows.Output * p.Columns.Output;
            double sum = 0.0;
            for (int kr = 0; kr < p.Rows.Kernel; kr++)
            {
                int r = WindowAt(p.Rows, row, kr);
                if (r < 0) continue;
                for (int kc = 0; kc < p.Columns.Kernel; kc++)
                {
                    int c = WindowAt(p.Columns, column, kc);
                    if (c >= 0) sum += p.Output[start + r * p.Columns.Output + c] / p.Divisor(r, c);
                }
            }

            p.Input[i] = sum;
        }
    }

    /// <summary>The window that has a tap at a position, or −1.</summary>
    private static int WindowAt(PoolingAxis axis, int position, int tap)
    {
        int start = position + axis.PadBefore - tap * axis.Dilation;
        if (start < 0 || start % axis.Stride != 0) return -1;
        int window = start / axis.Stride;
        return window < axis.Output ? window : -1;
    }
}
