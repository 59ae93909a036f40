using System.Runtime.CompilerServices;

namespace LipVerify.Compute;

/// <summary>Checks at the edge of an engine: past them, code works on bare pointers.</summary>
internal static class Arguments
{
    /// <summary>The array behind a block, which must be host storage of at least <paramref name="needed"/> values.</summary>
    public static double[] Host(Storage storage, long needed, [CallerArgumentExpression(nameof(storage))] string name = "") =>
        Host(storage, 0, needed, name);

    /// <summary>The array behind a block, which must be host storage and hold the given range.</summary>
    public static double[] Host(Storage storage, int offset, long needed, [CallerArgumentExpression(nameof(storage))] string name = "")
    {
        ArgumentNullException.ThrowIfNull(storage, name);
        if (storage is not HostStorage host)
            throw new ArgumentException($"this engine computes in host memory, but {name} is {storage.GetType().Name}", name);
        Holds(storage, offset, needed, name);
        return host.Values;
    }

    /// <summary>Throws unless a block holds the given range.</summary>
    public static void Holds(Storage storage, int offset, long needed, string name)
    {
        ArgumentNullException.ThrowIfNull(storage, name);
        if (offset < 0) throw new ArgumentException($"the offset into {name} must not be negative, not {offset}", name);
        if (offset + needed > storage.Length)
            throw new ArgumentException(
                offset == 0
                    ? $"{name} must hold at least {needed} values, but holds {storage.Length}"
                    : $"{name} must hold at least {needed} values from position {offset} on, but holds {storage.Length}",
                name);
    }

    /// <summary>The array behind a matrix of the given size, checked to the last row.</summary>
    public static double[] Matrix(MatrixView view, int rows, int columns, string name)
    {
        if (view.Stride < columns) throw new ArgumentException($"{name} has rows of {columns} values, but a stride of {view.Stride}", name);
        long needed = rows == 0 || columns == 0 ? 0 : (long)(rows - 1) * view.Stride + columns;
        return Host(view.Storage, view.Offset, needed, name);
    }

    /// <summary>Throws unless a size is zero or more.</summary>
    public static void NotNegative(int value, [CallerArgumentExpression(nameof(value))] string name = "")
    {
        if (value < 0) throw new ArgumentException($"{name} must not be negative, not {value}", name);
    }

    /// <summary>Whether two blocks share their memory.</summary>
    public static bool AreOne(Storage a, Storage b) =>
        ReferenceEquals(a, b) || (a is HostStorage first && b is HostStorage second && ReferenceEquals(first.Values, second.Values));

    /// <summary>Throws when an output shares memory with an input that is still being read while the output is written.</summary>
    public static void Distinct(double[] input, double[] output, string inputName, string outputName)
    {
        if (ReferenceEquals(input, output)) throw new ArgumentException($"{outputName} must not be the same block as {inputName}", outputName);
    }

    /// <summary>Throws when a matrix shares memory with the result that is written while the matrix is read.</summary>
    public static void Apart(MatrixView a, int rows, int columns, MatrixView c, int resultRows, int resultColumns, string name, string resultName)
    {
        if (rows == 0 || columns == 0 || resultRows == 0 || resultColumns == 0) return;
        if (!AreOne(a.Storage, c.Storage)) return;
        long end = a.Offset + (long)(rows - 1) * a.Stride + columns, resultEnd = c.Offset + (long)(resultRows - 1) * c.Stride + resultColumns;
        if (a.Offset >= resultEnd || c.Offset >= end) return;
        // Column blocks of one matrix interleave row by row without meeting.
        if (a.Stride == c.Stride)
        {
            int shift = Math.Abs(a.Offset - c.Offset) % a.Stride, gap = a.Stride - shift;
            var (firstWidth, secondWidth) = a.Offset <= c.Offset ? (columns, resultColumns) : (resultColumns, columns);
            if (shift >= firstWidth && gap >= secondWidth) return;
        }
        throw new ArgumentException($"{resultName} must not overlap {name}: they share values between positions {Math.Max(a.Offset, c.Offset)} and {Math.Min(end, resultEnd)}", resultName);
    }

    /// <summary>Throws when two ranges of one array overlap without being the same range.</summary>
    public static void SameOrApart(double[] x, int offsetX, double[] y, int offsetY, int length)
    {
        if (ReferenceEquals(x, y) && offsetX != offsetY && Math.Abs((long)offsetX - offsetY) < length)
            throw new ArgumentException($"{length} values from positions {offsetX} and {offsetY} of the same block overlap");
    }
}
