using System.Runtime.CompilerServices;
using LipVerify.Compute;
using TorchSharp;
using static TorchSharp.torch;
using Storage = LipVerify.Compute.Storage;

namespace LipVerify.TorchSharp;

using EngineUnavailableException = LipVerify.Compute.EngineUnavailableException;

/// <summary>
/// An engine on the tensors of a torch device: sums are direct sums in double precision, in any order, so that bounds γ_k hold for them. Convolutions
/// are products of window matrices rather than the device's own, whose algorithms nobody promises. Storage stays on the device; host storage is
/// copied to it for one operation, and once for all where it is constant.
/// </summary>
public sealed partial class TorchEngine : IEngine
{
    private readonly Device _device;

    /// <summary>Copies of constant host storage, as long as that lives.</summary>
    private readonly ConditionalWeakTable<HostStorage, TorchStorage> _constants = [];

    private readonly TransferCount _transfers = new();

    private CancellationToken _cancellation;

    private TorchEngine? _origin;

    private TorchEngine(Device device, int threads)
    {
        _device = device;
        Threads = threads;
    }

    /// <summary>Makes an engine.</summary>
    /// <param name="device"><c>cpu</c>, <c>cuda</c> or <c>cuda:1</c>; empty for the first CUDA device where there is one, else <c>cpu</c>.</param>
    /// <param name="threads">Threads of libtorch on the processor, for the whole process; 0 for all cores.</param>
    /// <exception cref="EngineUnavailableException">libtorch or the device is missing; the message says how to get it.</exception>
    /// <exception cref="ArgumentException"><paramref name="threads"/> is negative.</exception>
    public static TorchEngine Create(string device, int threads)
    {
        ArgumentNullException.ThrowIfNull(device);
        if (threads < 0) throw new ArgumentException($"the number of threads must not be negative, not {threads}", nameof(threads));
        var engine = new TorchEngine(Find(device), threads == 0 ? Environment.ProcessorCount : threads);
        set_num_threads(engine.Threads);
        backends.cuda.matmul.allow_tf32 = false;
        backends.cudnn.allow_tf32 = false;
        return engine;
    }

    private static Device Find(string device)
    {
        try
        {
            bool hasCuda = HasCuda();
            switch (device)
            {
                case "": return hasCuda ? CUDA : CPU;
                case "cpu": return CPU;
            }

            string[] parts = device.Split(':');
            if (parts[0] != "cuda" || parts.Length > 2 || (parts.Length == 2 && !int.TryParse(parts[1], out _)))
                throw new EngineUnavailableException($"there is no engine 'torch:{device}'; use torch, torch:cpu, torch:cuda or torch:cuda:N");
            int index = parts.Length == 2 ? int.Parse(parts[1]) : 0, count = hasCuda ? cuda.device_count() : 0;
            return (uint)index < (uint)count
                ? new Device(DeviceType.CUDA, index)
                : throw new EngineUnavailableException($"the engine torch:{device} cannot be used: libtorch finds {count} CUDA devices");
        }
        catch (Exception missing) when (missing is NotSupportedException or TypeInitializationException or DllNotFoundException or BadImageFormatException or EntryPointNotFoundException)
        {
            throw new EngineUnavailableException(
                "the engine torch cannot be used: libtorch does not load; it comes with TorchSharp-cpu or TorchSharp-cuda-linux, beside LipVerify.TorchSharp, and needs a C++ library as new as that of GCC 13 (Debian 13, Ubuntu 24.04)",
                missing);
        }
    }

    /// <summary>Loads libtorch. Where it is missing, TorchSharp tells standard output all about it, which is not ours to write to.</summary>
    private static bool HasCuda()
    {
        var output = Console.Out;
        Console.SetOut(TextWriter.Null);
        try
        {
            return cuda.is_available();
        }
        finally
        {
            Console.SetOut(output);
        }
    }

    /// <inheritdoc/>
    public string Name => $"torch:{DeviceName}";

    private string DeviceName => _device.type == DeviceType.CPU ? "cpu" : $"cuda:{Math.Max(0, _device.index)}";

    /// <inheritdoc/>
    public string Description => $"libtorch {__version__} on {DeviceName}, {Threads} {(Threads == 1 ? "thread" : "threads")}";

    /// <inheritdoc/>
    public int Threads { get; }

    /// <inheritdoc/>
    public IEngine Origin => _origin ?? this;

    /// <inheritdoc/>
    public IEngine EndedBy(CancellationToken cancellation)
    {
        var engine = (TorchEngine)MemberwiseClone();
        engine._cancellation = cancellation;
        engine._origin = _origin ?? this;
        return engine;
    }

    /// <inheritdoc/>
    public Storage Allocate(int length)
    {
        Arguments.NotNegative(length);
        return new TorchStorage(zeros(length, dtype: ScalarType.Float64, device: _device));
    }

    /// <inheritdoc/>
    public void Finish()
    {
        if (_device.type == DeviceType.CUDA) cuda.synchronize(_device);
    }

    /// <summary>Blocks that went between host and device, besides those that stay there.</summary>
    internal int Transfers => _transfers.Count;

    private sealed class TransferCount
    {
        public int Count;
    }

    /// <summary>The values of a block on the device, checked to hold a range.</summary>
    private Tensor Input(Storage storage, int offset, long needed, string name)
    {
        Arguments.Holds(storage, offset, needed, name);
        switch (storage)
        {
            case TorchStorage own:
                return own.Values;
            case HostStorage { IsConstant: true } constant:
                return _constants.GetValue(constant, host =>
                {
                    _transfers.Count++;
                    return new TorchStorage(TorchStorage.FromHost(host.Values, _device));
                }).Values;
            case HostStorage host:
                _transfers.Count++;
                return TorchStorage.FromHost(host.Values, _device);
            default:
                throw new ArgumentException($"this engine computes on torch devices, but {name} is {storage.GetType().Name}", name);
        }
    }

    private Tensor Input(Storage storage, long needed, [CallerArgumentExpression(nameof(storage))] string name = "") =>
        Input(storage, 0, needed, name);

    /// <summary>Lets <paramref name="work"/> change a range of a block, which goes back to where it belongs.</summary>
    private void Change(Storage storage, int offset, long length, string name, Action<Tensor> work)
    {
        var values = Input(storage, offset, length, name);
        if (length == 0) return;
        work(values);
        if (storage is HostStorage host)
        {
            _transfers.Count++;
            TorchStorage.ToHost(values, offset, host.Values.AsSpan(offset, checked((int)length)));
        }
    }

    /// <summary>Writes a tensor of any shape over the first values of a block.</summary>
    private void Write(Storage storage, Tensor result, string name)
    {
        long length = result.numel();
        Change(storage, 0, length, name, values => values.narrow(0, 0, length).copy_(result.reshape(length)));
    }
}
