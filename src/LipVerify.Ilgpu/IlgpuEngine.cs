using System.Runtime.CompilerServices;
using ILGPU;
using LipVerify.Compute;
using LipVerify.Ilgpu.Kernels;

namespace LipVerify.Ilgpu;

/// <summary>
/// An engine by kernels of our own, which ILGPU compiles for a CUDA card or, for tests, for the processor. Sums are direct sums in double precision whose
/// order hangs on shapes and the device alone. Work goes into one stream, and the host waits where it asks for a value. Storage stays on the device; host
/// storage is copied to it for one operation, and once for all where it is constant. Eigenvalues are computed on the host.
/// </summary>
public sealed partial class IlgpuEngine : IEngine
{
    private readonly Device _device;

    private readonly Tiles _tiles;

    /// <summary>Copies of constant host storage, as long as that lives.</summary>
    private readonly ConditionalWeakTable<HostStorage, DeviceStorage> _constants = [];

    /// <summary>Storage of the operation in progress: its memory must not be lent again before the work that uses it is on its way.</summary>
    private readonly List<DeviceStorage> _held = [];

    /// <summary>What has no kernel is computed on the host.</summary>
    private readonly IEngine _host;

    private CancellationToken _cancellation;

    private IlgpuEngine? _origin;

    private IlgpuEngine(Device device, Tiles tiles, int threads)
    {
        _device = device;
        _tiles = tiles;
        _host = Engines.OnProcessor(threads, out _);
    }

    /// <summary>Engines that were made: to make another one would mean to compile its kernels again.</summary>
    private static readonly Dictionary<(string Device, int Threads), IlgpuEngine> s_engines = [];

    /// <summary>The engine on a device, the same one for the same device and number of threads.</summary>
    /// <param name="device">
    /// <c>cuda</c> or <c>cuda:N</c> for a card, <c>auto</c> for the first that is fast in double precision; <c>cpu</c> for the same kernels on the processor, <c>cpu:4</c> in groups of four threads, and
    /// <c>cpu:256</c> in the groups and tiles of a card, which is slow.
    /// </param>
    /// <param name="threads">Threads of what is computed on the host; 0 for all cores.</param>
    /// <exception cref="EngineUnavailableException">There is no such device.</exception>
    /// <exception cref="ArgumentException"><paramref name="threads"/> is negative.</exception>
    public static IlgpuEngine Create(string device, int threads)
    {
        ArgumentNullException.ThrowIfNull(device);
        if (threads < 0) throw new ArgumentException($"the number of threads must not be negative, not {threads}", nameof(threads));
        lock (s_engines)
        {
            if (!s_engines.TryGetValue((device, threads), out var engine)) s_engines[(device, threads)] = engine = Make(device, threads);
            return engine;
        }
    }

    private static IlgpuEngine Make(string device, int threads)
    {
        switch (device)
        {
            case "auto": return new IlgpuEngine(Device.OfCard(null), new Tiles<CardSquare, CardFlat>(), threads);
            case "cpu": return new IlgpuEngine(Device.OfProcessor(1), new Tiles<ProcessorSquare, ProcessorSquare>(), threads);
            case "cpu:4": return new IlgpuEngine(Device.OfProcessor(4), new Tiles<ProcessorGroup, ProcessorFlatGroup>(), threads);
            case "cpu:256": return new IlgpuEngine(Device.OfProcessor(256), new Tiles<CardSquare, CardFlat>(), threads);
        }

        string[] parts = device.Split(':');
        int index = 0;
        if (parts[0] != "cuda" || parts.Length > 2 || (parts.Length == 2 && !(int.TryParse(parts[1], out index) && index >= 0)))
            throw new EngineUnavailableException($"there is no engine '{(parts[0] == "cuda" ? "" : "ilgpu:")}{device}'; use cuda, cuda:N or ilgpu:cpu");
        return new IlgpuEngine(Device.OfCard(index), new Tiles<CardSquare, CardFlat>(), threads);
    }

    /// <inheritdoc/>
    public string Name => _device.Name;

    /// <inheritdoc/>
    public string Description => _device.Description;

    /// <inheritdoc/>
    public int Threads => _host.Threads;

    /// <inheritdoc/>
    public IEngine Origin => _origin ?? this;

    /// <summary>Blocks that went between host and device, besides those that stay there.</summary>
    internal int Transfers => _device.Transfers;

    /// <summary>Times that the host waited for the device, transfers among them.</summary>
    internal int Waits => _device.Waits;

    /// <inheritdoc/>
    public IEngine EndedBy(CancellationToken cancellation)
    {
        var engine = (IlgpuEngine)MemberwiseClone();
        engine._cancellation = cancellation;
        engine._origin = _origin ?? this;
        return engine;
    }

    /// <inheritdoc/>
    public void Finish()
    {
        using var operation = Begin();
        _device.Finish();
    }

    /// <inheritdoc/>
    public Storage Allocate(int length)
    {
        Arguments.NotNegative(length);
        using var operation = Begin();
        var storage = new DeviceStorage(_device, length);
        if (length > 0) _device.Clear(storage.Values);
        return storage;
    }

    /// <summary>The time of one operation, through which what it uses is held, and no other thread begins one: whoever asks for the device gets this engine.</summary>
    private Operation Begin()
    {
        Monitor.Enter(_device);
        return new Operation(this);
    }

    private readonly struct Operation(IlgpuEngine engine) : IDisposable
    {
        public void Dispose()
        {
            engine._held.Clear();
            Monitor.Exit(engine._device);
        }
    }

    /// <summary>Room for what comes between the kernels of an operation.</summary>
    private ArrayView<double> Room(int length)
    {
        var room = new DeviceStorage(_device, length);
        _held.Add(room);
        return room.Values;
    }

    /// <summary>A range of a block on the device, checked to lie inside.</summary>
    private ArrayView<double> Input(Storage storage, int offset, long length, [CallerArgumentExpression(nameof(storage))] string name = "")
    {
        Arguments.Holds(storage, offset, length, name);
        switch (storage)
        {
            case DeviceStorage own:
                _held.Add(own);
                return own.Values.SubView(offset, length);
            case HostStorage { IsConstant: true } constant:
                var copy = _constants.GetValue(constant, host => Copied(host.Values));
                _held.Add(copy);
                return copy.Values.SubView(offset, length);
            case HostStorage host:
                var once = Copied(host.Values.AsSpan(offset, (int)length));
                _held.Add(once);
                return once.Values;
            default:
                throw new ArgumentException($"this engine computes on {Name}, but {name} is {storage.GetType().Name}", name);
        }
    }

    private DeviceStorage Copied(ReadOnlySpan<double> values)
    {
        var copy = new DeviceStorage(_device, values.Length);
        _device.Upload(values, copy.Values);
        return copy;
    }

    /// <summary>Lets <paramref name="work"/> write a range of a block, of which it gets a view; what belongs to the host goes back there.</summary>
    private void Change(Storage storage, int offset, long length, bool reads, Action<ArrayView<double>> work, [CallerArgumentExpression(nameof(storage))] string name = "")
    {
        Arguments.Holds(storage, offset, length, name);
        if (length == 0) return;
        if (storage is not HostStorage host)
        {
            work(Input(storage, offset, length, name));
            return;
        }

        var target = reads ? Input(new HostStorage(host.Values), offset, length, name) : Room((int)length);
        work(target);
        _device.Download(target, host.Values.AsSpan(offset, (int)length));
    }

    private static void RequireApart(Storage input, Storage output, string inputName, string outputName)
    {
        if (Arguments.AreOne(input, output)) throw new ArgumentException($"{outputName} must not be the same block as {inputName}", outputName);
    }
}
