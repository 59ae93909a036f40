using System.Buffers;
using System.Runtime.Intrinsics;

namespace LipVerify.Compute;

/// <summary>
/// Block rows of a factor in an envelope while they take part in products, packed once in the order in which a micro kernel reads
/// them: panels of a few rows, column by column. Rooms are made and given back by one thread; several may use those of their rows.
/// </summary>
internal sealed unsafe class PackedFactor(SymmetricEnvelope envelope, int panelRows) : IDisposable
{
    private const int LineDoubles = 8;

    private readonly Room?[] _rows = new Room[envelope.Blocks];
    private readonly Stack<Room> _free = new();

    /// <summary>Memory for a block row, which stays where it is.</summary>
    private sealed record Room(double[] Values, MemoryHandle Pin);

    /// <summary>Makes room for a block row, if it has none yet.</summary>
    public void Open(int row) => _rows[row] ??= Take(SymmetricEnvelope.BlockRows * envelope.Width(row) + LineDoubles);

    /// <summary>Gives the room of a block row back.</summary>
    public void Close(int row)
    {
        _free.Push(_rows[row]!);
        _rows[row] = null;
    }

    /// <summary>A block row that has room, seen from a block column of its own.</summary>
    public PackedRow Row(int row, int column)
    {
        const nuint Line = LineDoubles * sizeof(double);
        double* start = (double*)(((nuint)_rows[row]!.Pin.Pointer + Line - 1) & ~(Line - 1));
        return new PackedRow(start + (nint)(envelope.FirstRow(column) - envelope.FirstColumn(row)) * panelRows, panelRows, envelope.Width(row));
    }

    /// <summary>Ends the use of all rooms.</summary>
    public void Dispose()
    {
        foreach (Room? room in _rows)
            if (room != null) _free.Push(room);
        while (_free.TryPop(out Room? room)) Return(room);
    }

    private Room Take(int length)
    {
        if (_free.TryPop(out Room? kept))
        {
            if (kept.Values.Length >= length) return kept;
            Return(kept);
        }
        double[] values = ArrayPool<double>.Shared.Rent(length);
        return new Room(values, values.AsMemory().Pin());
    }

    private static void Return(Room room)
    {
        room.Pin.Dispose();
        ArrayPool<double>.Shared.Return(room.Values);
    }
}

/// <summary>Panels of a block row, one after the other; column 0 is the first one of some block.</summary>
internal readonly unsafe struct PackedRow(double* start, int panelRows, int width)
{
    /// <summary>From one panel to the next.</summary>
    public nint Distance => (nint)panelRows * width;

    /// <summary>The panel that starts with row <paramref name="i"/>, from column <paramref name="k"/> on, which may be negative.</summary>
    public double* Panel(int i, int k) => start + (nint)i * width + (nint)k * panelRows;

    /// <summary>Keeps a tile, whose lines are columns from <paramref name="k"/> on of as many rows from <paramref name="i"/> on as a line is long.</summary>
    public void Store(int i, int k, int lines, double* tile, int lineLength)
    {
        for (int row = 0; row < lineLength; row += panelRows)
        {
            double* source = tile + row, target = Panel(i + row, k);
            for (int column = 0; column < lines; column++, source += lineLength, target += panelRows)
                for (int q = 0; q < panelRows; q += 4) Vector256.Store(Vector256.Load(source + q), target + q);
        }
    }
}
