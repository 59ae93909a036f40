using ILGPU;
using ILGPU.Runtime;
using LipVerify.Compute;

namespace LipVerify.Ilgpu;

/// <summary>Doubles in the memory of a device.</summary>
internal sealed class DeviceStorage : Storage
{
    private readonly Device _device;

    private readonly MemoryBuffer1D<double, Stride1D.Dense> _buffer;

    /// <summary>Room for so many values, whatever they are.</summary>
    public DeviceStorage(Device device, int length)
    {
        _device = device;
        _buffer = device.Memory.Lend(length);
        Length = length;
    }

    /// <summary>Gives the memory back.</summary>
    ~DeviceStorage()
    {
        if (_buffer is not null) _device.Memory.Return(_buffer);
    }

    /// <inheritdoc/>
    public override int Length { get; }

    /// <summary>The values. Whoever uses them keeps this storage alive until the work that does is on its way.</summary>
    public ArrayView<double> Values => _buffer.View.BaseView.SubView(0, Length);

    /// <inheritdoc/>
    public override void CopyTo(int offset, Span<double> destination)
    {
        if (offset < 0 || offset > Length - destination.Length)
            throw new ArgumentOutOfRangeException(nameof(offset), offset, $"{destination.Length} values from there on are not all in {Length}");
        if (destination.Length > 0)
            lock (_device) _device.Download(Values.SubView(offset, destination.Length), destination);
        GC.KeepAlive(this);
    }
}
