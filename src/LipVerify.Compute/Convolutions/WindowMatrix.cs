using System.Runtime.Intrinsics;

namespace LipVerify.Compute;

/// <summary>
/// The matrix of all windows of one image (im2col): row (channel, kernel row, kernel column), one column for each output
/// position. It is never formed whole: <see cref="Gather"/> writes a block of it, <see cref="ScatterAdd"/> is the adjoint.
/// </summary>
internal readonly unsafe struct WindowMatrix(WindowAxis rows, WindowAxis columns)
{
    private readonly int _taps = rows.Kernel * columns.Kernel;
    private readonly int _outputColumns = columns.Output;

    /// <summary>True where the window matrix is the image itself.</summary>
    public bool IsIdentity => _taps == 1 && IsIdentityAxis(rows) && IsIdentityAxis(columns);

    /// <summary>tile ← rows [k0, k1), columns [p0, p1) of the window matrix; padding gives exact zeros.</summary>
    public void Gather(double* image, int k0, int k1, int p0, int p1, double* tile, int stride)
    {
        for (int k = k0; k < k1; k++, tile += stride)
        {
            Tap tap = Locate(k);
            double* plane = image + tap.Plane;
            double* target = tile;
            int outputRow = p0 / _outputColumns, outputColumn = p0 % _outputColumns;
            for (int left = p1 - p0; left > 0; outputRow++, outputColumn = 0)
            {
                int count = Math.Min(_outputColumns - outputColumn, left);
                int row = rows.Position(outputRow, tap.Row);
                if ((uint)row >= (uint)rows.Input)
                {
                    Fill(target, count);
                }
                else
                {
                    int first = Math.Clamp(tap.First, outputColumn, outputColumn + count);
                    int last = Math.Clamp(tap.Last, first, outputColumn + count);
                    double* source = plane + (nint)row * columns.Input + columns.Position(first, tap.Column);
                    Fill(target, first - outputColumn);
                    Take(source, columns.Stride, target + (first - outputColumn), last - first);
                    Fill(target + (last - outputColumn), outputColumn + count - last);
                }
                target += count;
                left -= count;
            }
        }
    }

    /// <summary>
    /// image ← image + the block's values, each added to the input element that it came from, as far as that lies in the
    /// input rows [firstRow, lastRow).
    /// </summary>
    public void ScatterAdd(double* tile, int stride, int k0, int k1, int p0, int p1, double* image, int firstRow, int lastRow)
    {
        for (int k = k0; k < k1; k++, tile += stride)
        {
            Tap tap = Locate(k);
            double* plane = image + tap.Plane;
            double* source = tile;
            int outputRow = p0 / _outputColumns, outputColumn = p0 % _outputColumns;
            for (int left = p1 - p0; left > 0; outputRow++, outputColumn = 0)
            {
                int count = Math.Min(_outputColumns - outputColumn, left);
                int row = rows.Position(outputRow, tap.Row);
                if (row >= firstRow && row < lastRow)
                {
                    int first = Math.Clamp(tap.First, outputColumn, outputColumn + count);
                    int last = Math.Clamp(tap.Last, first, outputColumn + count);
                    double* target = plane + (nint)row * columns.Input + columns.Position(first, tap.Column);
                    AddTo(target, columns.Stride, source + (first - outputColumn), last - first);
                }
                source += count;
                left -= count;
            }
        }
    }

    /// <summary>The output rows whose windows may reach the input rows [firstRow, lastRow).</summary>
    public (int First, int Last) OutputRowsReaching(int firstRow, int lastRow)
    {
        long above = (long)firstRow + rows.PadBefore - (rows.Span - 1);
        int first = above <= 0 ? 0 : (int)((above + rows.Stride - 1) / rows.Stride);
        int last = Math.Min(rows.Output, (lastRow - 1 + rows.PadBefore) / rows.Stride + 1);
        return (Math.Min(first, last), last);
    }

    /// <summary>A row of the window matrix: where its channel starts, its tap, and the output columns at which the tap is inside the input.</summary>
    private readonly record struct Tap(nint Plane, int Row, int Column, int First, int Last);

    private Tap Locate(int k)
    {
        int channel = k / _taps, tap = k % _taps, column = tap % columns.Kernel;
        int shift = columns.PadBefore - column * columns.Dilation;
        int first = Math.Clamp(CeilingDivide(shift, columns.Stride), 0, _outputColumns);
        int last = Math.Clamp(CeilingDivide(columns.Input + shift, columns.Stride), first, _outputColumns);
        return new Tap((nint)channel * rows.Input * columns.Input, tap / columns.Kernel, column, first, last);
    }

    private static int CeilingDivide(int a, int b) => a <= 0 ? 0 : Pieces.CeilingDivide(a, b);

    private static bool IsIdentityAxis(WindowAxis axis) => axis is { Stride: 1, PadBefore: 0, PadAfter: 0 };

    private static void Fill(double* target, int count)
    {
        // Runs are short (padding columns), and a span's Clear is not worth its call for one or two values.
        if (count <= 4) for (int i = 0; i < count; i++) target[i] = 0;
        else new Span<double>(target, count).Clear();
    }

    private static void Take(double* source, int stride, double* target, int count)
    {
        int i = 0;
        if (stride == 1)
        {
            for (; i <= count - 8; i += 8) Vector512.Store(Vector512.Load(source + i), target + i);
            for (; i < count; i++) target[i] = source[i];
        }
        else
        {
            for (; i < count; i++) target[i] = source[(nint)i * stride];
        }
    }

    private static void AddTo(double* target, int stride, double* source, int count)
    {
        int i = 0;
        if (stride == 1)
        {
            for (; i <= count - 8; i += 8) Vector512.Store(Vector512.Load(target + i) + Vector512.Load(source + i), target + i);
            for (; i < count; i++) target[i] += source[i];
        }
        else
        {
            for (; i < count; i++) target[(nint)i * stride] += source[i];
        }
    }
}
