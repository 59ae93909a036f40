using System.Collections.Concurrent;
using System.Numerics;
using ILGPU;
using ILGPU.Runtime;

namespace LipVerify.Ilgpu;

/// <summary>
/// Memory of a device, lent to storage and taken back when the collector finds that storage gone. All work goes through one stream, so that what is
/// lent again is written only after whatever still read it.
/// </summary>
internal sealed class DeviceMemory(Accelerator accelerator)
{
    /// <summary>Lengths up to this one are not told apart.</summary>
    private const int LeastLength = 256;

    /// <summary>Buffers that nobody holds, by length.</summary>
    private readonly Dictionary<long, Stack<MemoryBuffer1D<double, Stride1D.Dense>>> _free = [];

    /// <summary>Buffers that the collector has handed in, on a thread of its own.</summary>
    private readonly ConcurrentQueue<MemoryBuffer1D<double, Stride1D.Dense>> _returned = [];

    /// <summary>Buffers that are lent: a buffer that nobody holds would be freed by a finalizer of its own.</summary>
    private readonly ConcurrentDictionary<MemoryBuffer1D<double, Stride1D.Dense>, byte> _lent = [];

    private long _lentBytes, _freeBytes;

    /// <summary>A buffer of at least so many values, whatever they are.</summary>
    /// <exception cref="InsufficientMemoryException">The device has no room for it.</exception>
    public MemoryBuffer1D<double, Stride1D.Dense> Lend(int length)
    {
        long size = SizeOf(length), bytes = size * sizeof(double);
        // The collector knows nothing of this memory, and would let storage that nobody holds pile up.
        if (_lentBytes + bytes > accelerator.MemorySize / 4 * 3) Collect();
        Sort();
        if (!_free.TryGetValue(size, out var stack) || !stack.TryPop(out var buffer)) buffer = Allocate(size);
        else _freeBytes -= bytes;
        _lent[buffer] = 0;
        Interlocked.Add(ref _lentBytes, bytes);
        return buffer;
    }

    /// <summary>Takes a buffer back; from any thread.</summary>
    public void Return(MemoryBuffer1D<double, Stride1D.Dense> buffer)
    {
        Interlocked.Add(ref _lentBytes, -buffer.LengthInBytes);
        _returned.Enqueue(buffer);
        _lent.TryRemove(buffer, out _);
    }

    /// <summary>Rounds up by an eighth at most, so that lengths that are nearly the same share buffers.</summary>
    private static long SizeOf(int length)
    {
        if (length <= LeastLength) return LeastLength;
        long step = 1L << Math.Max(0, BitOperations.Log2((uint)length) - 3);
        return (length + step - 1) / step * step;
    }

    private MemoryBuffer1D<double, Stride1D.Dense> Allocate(long size)
    {
        // What is free in other sizes does not pile up either.
        if (_freeBytes > accelerator.MemorySize / 4) Release();
        try
        {
            return accelerator.Allocate1D<double>(size);
        }
        catch (AcceleratorException)
        {
            Collect();
            Release();
            try
            {
                return accelerator.Allocate1D<double>(size);
            }
            catch (AcceleratorException cause)
            {
                throw new InsufficientMemoryException($"{accelerator.Name} has no room for {size} more values", cause);
            }
        }
    }

    private void Sort()
    {
        while (_returned.TryDequeue(out var buffer))
        {
            if (!_free.TryGetValue(buffer.Length, out var stack)) _free[buffer.Length] = stack = new();
            stack.Push(buffer);
            _freeBytes += buffer.LengthInBytes;
        }
    }

    private void Collect()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        Sort();
    }

    private void Release()
    {
        foreach (var stack in _free.Values)
            while (stack.TryPop(out var buffer)) buffer.Dispose();
        _freeBytes = 0;
    }
}
