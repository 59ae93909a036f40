using System.Reflection;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using ILGPU.Runtime.Cuda;
using LipVerify.Compute;

namespace LipVerify.Ilgpu;

/// <summary>A CUDA card, or the processor in its place: memory, and one stream of work that runs in the order in which it was asked for.</summary>
internal sealed class Device
{
    private readonly Accelerator _accelerator;

    /// <summary>Kernels that were compiled, by their methods.</summary>
    private readonly Dictionary<MethodInfo, Delegate> _kernels = [];

    private MemoryBuffer1D<int, Stride1D.Dense>? _noIntegers;

    private Device(Accelerator accelerator, string name, string description, int groupThreads, int wantedGroups)
    {
        _accelerator = accelerator;
        Name = name;
        Description = description;
        GroupThreads = groupThreads;
        WantedGroups = wantedGroups;
        Memory = new DeviceMemory(accelerator);
    }

    /// <summary><c>cuda:0</c> or <c>ilgpu:cpu</c>.</summary>
    public string Name { get; }

    /// <summary>The device, the driver and the library.</summary>
    public string Description { get; }

    /// <summary>Whether this is a card.</summary>
    public bool IsCard => _accelerator is CudaAccelerator;

    /// <summary>Threads of a group where a kernel leaves it open; a power of two.</summary>
    public int GroupThreads { get; }

    /// <summary>Groups that keep the device busy: work is cut into so many where its shape does not give them. Results hang on it, so it is fixed.</summary>
    public int WantedGroups { get; }

    public DeviceMemory Memory { get; }

    /// <summary>Blocks that went between host and device.</summary>
    public int Transfers { get; private set; }

    /// <summary>Times that the host waited for the device, transfers among them.</summary>
    public int Waits { get; private set; }

    private static string Library => $"ILGPU {typeof(Context).Assembly.GetName().Version?.ToString(3)}";

    /// <summary>The processor, with groups of the given number of threads.</summary>
    public static Device OfProcessor(int groupThreads)
    {
        // A warp has two threads at least; a group need not use them.
        int warp = Math.Clamp(groupThreads, 2, 32);
        var device = new CPUDevice(warp, Math.Max(1, groupThreads / warp), Environment.ProcessorCount);
        var context = Context.Create(builder => builder.CPU(device).Optimize(OptimizationLevel.O2));
        var accelerator = context.GetDevice<CPUDevice>(0).CreateCPUAccelerator(context, CPUAcceleratorMode.Parallel);
        return new Device(
            accelerator, groupThreads == 1 ? "ilgpu:cpu" : $"ilgpu:cpu:{groupThreads}",
            $"kernels by {Library} on the processor, {groupThreads} {(groupThreads == 1 ? "thread" : "threads")} a group", groupThreads, 8);
    }

    /// <summary>
    /// Whether a card computes in double precision at half the rate of single precision, as those for data centers do. Others have a thirty-second or a
    /// sixty-fourth of it, which is about what processors have.
    /// </summary>
    private static bool IsFast(CudaDevice card) => card.Architecture is { Major: 6 or 7 or 8 or 9 or 10, Minor: 0 };

    /// <summary>A CUDA card by its number, or the first that is fast in double precision.</summary>
    /// <exception cref="EngineUnavailableException">There is no such card, or no driver.</exception>
    public static Device OfCard(int? wanted)
    {
        if (!NvidiaDriver.IsThere) throw new EngineUnavailableException($"the engine cuda cannot be used: {NvidiaDriver.Missing}");
        Context? context = null;
        try
        {
            context = Context.Create(builder => builder.Cuda().Optimize(OptimizationLevel.O2).WithFusedOperations());
            var cards = context.GetCudaDevices();
            int index = wanted ?? 0;
            while (wanted is null && index < cards.Count && !IsFast(cards[index])) index++;
            if (wanted is null && index == cards.Count)
                throw new EngineUnavailableException($"of {cards.Count} CUDA devices none is fast in double precision; --engine cuda takes the first all the same");
            if (index >= cards.Count)
                throw new EngineUnavailableException($"the engine cuda:{index} cannot be used: the driver knows {cards.Count} CUDA devices");
            var accelerator = cards[index].CreateCudaAccelerator(context);
            return new Device(
                accelerator, $"cuda:{index}", $"{accelerator.Name}, compute capability {accelerator.Architecture.Major}.{accelerator.Architecture.Minor}, CUDA driver {accelerator.DriverVersion}, {Library}",
                256, 3 * accelerator.NumMultiprocessors);
        }
        catch (Exception failure) when (failure is CudaException or NotSupportedException or DllNotFoundException or EntryPointNotFoundException or TypeInitializationException)
        {
            context?.Dispose();
            throw new EngineUnavailableException($"the engine cuda cannot be used: {failure.Message.ReplaceLineEndings(" ")}", failure);
        }
    }

    /// <summary>Starts a kernel on so many groups and goes on.</summary>
    public void Run<TArguments>(Action<TArguments> kernel, long groups, int threads, TArguments arguments)
        where TArguments : struct
    {
        if (!_kernels.TryGetValue(kernel.Method, out var compiled)) _kernels[kernel.Method] = compiled = _accelerator.LoadStreamKernel(kernel);
        ((Action<KernelConfig, TArguments>)compiled)(new KernelConfig(checked((int)groups), threads), arguments);
    }

    /// <summary>Starts a kernel whose threads take entries in turn.</summary>
    public void RunOver<TArguments>(Action<TArguments> kernel, long entries, TArguments arguments)
        where TArguments : struct
    {
        if (entries == 0) return;
        Run(kernel, Math.Min((entries + GroupThreads - 1) / GroupThreads, 16L * WantedGroups), GroupThreads, arguments);
    }

    /// <summary>Copies values of the host; they may change as soon as this returns.</summary>
    public void Upload<T>(ReadOnlySpan<T> values, ArrayView<T> target)
        where T : unmanaged
    {
        if (values.IsEmpty) return;
        Transfers++;
        Waits++;
        target.CopyFromCPU(_accelerator.DefaultStream, in values);
    }

    /// <summary>Waits for all work, and copies values to the host.</summary>
    public void Download<T>(ArrayView<T> source, Span<T> values)
        where T : unmanaged
    {
        if (values.IsEmpty) return;
        Transfers++;
        Waits++;
        source.CopyToCPU(_accelerator.DefaultStream, in values);
    }

    /// <summary>Copies between blocks of the device, which do not overlap.</summary>
    public void Copy(ArrayView<double> source, ArrayView<double> target) => source.CopyTo(_accelerator.DefaultStream, target);

    /// <summary>Writes zeros.</summary>
    public void Clear(ArrayView<double> values) => values.MemSetToZero(_accelerator.DefaultStream);

    /// <summary>Writes zeros.</summary>
    public void Clear(ArrayView<int> values) => values.MemSetToZero(_accelerator.DefaultStream);

    /// <summary>Room for whole numbers, at least one, as long as the buffer is held.</summary>
    public MemoryBuffer1D<int, Stride1D.Dense> Integers(int length) => _accelerator.Allocate1D<int>(Math.Max(1, length));

    /// <summary>Whole numbers on the device.</summary>
    public MemoryBuffer1D<int, Stride1D.Dense> Table(ReadOnlySpan<int> values)
    {
        var table = Integers(values.Length);
        Upload(values, table.View.BaseView.SubView(0, values.Length));
        return table;
    }

    /// <summary>What stands where a kernel is given whole numbers that it does not look at.</summary>
    public ArrayView<int> NoIntegers => (_noIntegers ??= Integers(1)).View.BaseView;

    /// <summary>Waits until everything is done.</summary>
    public void Finish()
    {
        Waits++;
        _accelerator.Synchronize();
    }
}
