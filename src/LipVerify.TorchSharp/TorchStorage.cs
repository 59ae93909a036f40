using System.Runtime.InteropServices;
using LipVerify.Compute;
using static TorchSharp.torch;
using Storage = LipVerify.Compute.Storage;

namespace LipVerify.TorchSharp;

/// <summary>Doubles in the memory of a torch device.</summary>
internal sealed class TorchStorage : Storage
{
    /// <summary>Values that go between host and device at a time.</summary>
    private const int Piece = 1 << 26;

    private readonly long _bytes;

    /// <summary>Takes a vector of doubles, which is this storage's own from here on.</summary>
    public TorchStorage(Tensor values)
    {
        Values = values.DetachFromDisposeScope();
        Length = checked((int)values.numel());
        _bytes = 8L * Length;
        // The collector knows nothing of the device's memory, and would let storage that nobody holds pile up.
        if (_bytes > 0) GC.AddMemoryPressure(_bytes);
    }

    /// <summary>Gives the memory back.</summary>
    ~TorchStorage()
    {
        if (_bytes > 0) GC.RemoveMemoryPressure(_bytes);
        Values.Dispose();
    }

    /// <summary>A vector of doubles, without gaps.</summary>
    public Tensor Values { get; }

    /// <inheritdoc/>
    public override int Length { get; }

    /// <inheritdoc/>
    public override void CopyTo(int offset, Span<double> destination)
    {
        if (offset < 0 || offset > Length - destination.Length)
            throw new ArgumentOutOfRangeException(nameof(offset), offset, $"{destination.Length} values from there on are not all in {Length}");
        ToHost(Values, offset, destination);
        GC.KeepAlive(this);
    }

    /// <summary>A vector on a device with the values of host memory.</summary>
    public static Tensor FromHost(ReadOnlySpan<double> values, Device device)
    {
        using var scope = NewDisposeScope();
        var result = empty(values.Length, dtype: ScalarType.Float64, device: device);
        FromHost(values, result, 0);
        return result.MoveToOuterDisposeScope();
    }

    /// <summary>Writes host memory into a vector from a position on.</summary>
    public static void FromHost(ReadOnlySpan<double> values, Tensor target, int offset)
    {
        using var scope = NewDisposeScope();
        for (int at = 0; at < values.Length; at += Piece)
        {
            int count = Math.Min(Piece, values.Length - at);
            var part = target.narrow(0, offset + at, count);
            if (target.device_type == global::TorchSharp.DeviceType.CPU)
            {
                values.Slice(at, count).CopyTo(MemoryMarshal.Cast<byte, double>(part.bytes));
                continue;
            }

            var host = empty(count, dtype: ScalarType.Float64);
            values.Slice(at, count).CopyTo(MemoryMarshal.Cast<byte, double>(host.bytes));
            part.copy_(host);
        }
    }

    /// <summary>Reads a vector from a position on into host memory.</summary>
    public static void ToHost(Tensor values, int offset, Span<double> destination)
    {
        using var scope = NewDisposeScope();
        for (int at = 0; at < destination.Length; at += Piece)
        {
            int count = Math.Min(Piece, destination.Length - at);
            var part = values.narrow(0, offset + at, count).cpu();
            MemoryMarshal.Cast<byte, double>(part.bytes).CopyTo(destination.Slice(at, count));
        }
    }
}
