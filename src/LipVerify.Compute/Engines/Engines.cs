using System.Reflection;

namespace LipVerify.Compute;

/// <summary>The engine that was asked for cannot be made here; the message says what would help.</summary>
public sealed class EngineUnavailableException : Exception
{
    /// <summary>Makes the exception.</summary>
    public EngineUnavailableException(string message, Exception? cause = null) : base(message, cause) { }
}

/// <summary>Finds engines by name.</summary>
public static class Engines
{
    private const string Remedy = "install OpenBLAS (on Debian and Ubuntu: apt-get install libopenblas0-pthread; on macOS: brew install openblas)";

    /// <summary>
    /// One line for the user once <c>auto</c> has had to fall back to a slower engine, saying why and what to install;
    /// null otherwise. Whoever talks to the user shows it once.
    /// </summary>
    public static string? Notice { get; private set; }

    /// <summary>An engine in an assembly of its own, which may lie beside this one.</summary>
    /// <param name="Assembly">The assembly.</param>
    /// <param name="Type">A type in it with <c>Create(string device, int threads)</c>.</param>
    /// <param name="Device">The device that is meant by what stands behind the name.</param>
    /// <param name="Remedy">Where the assembly comes from.</param>
    private sealed record Distant(string Assembly, string Type, Func<string, string> Device, string Remedy);

    private static readonly Dictionary<string, Distant> Elsewhere = new()
    {
        ["cuda"] = new("LipVerify.Ilgpu", "LipVerify.Ilgpu.IlgpuEngine", place => place.Length == 0 ? "cuda" : $"cuda:{place}", ""),
        ["ilgpu"] = new("LipVerify.Ilgpu", "LipVerify.Ilgpu.IlgpuEngine", place => place.Length == 0 ? "cuda" : place, ""),
        ["torch"] = new("LipVerify.TorchSharp", "LipVerify.TorchSharp.TorchEngine", place => place, "; in a checkout ./torch brings it"),
    };

    private const string Known = "auto, openblas, managed, cuda[:N], ilgpu:cpu or torch[:cpu|:cuda[:N]]";

    /// <summary>The names that <see cref="Create"/> knows; those of devices may be followed by a place: <c>cuda:1</c>, <c>torch:cuda:1</c>.</summary>
    public static IReadOnlyList<string> Names { get; } = ["auto", "openblas", "managed", .. Elsewhere.Keys];

    /// <summary>Whether <see cref="Create"/> knows a name, with a place or without.</summary>
    public static bool IsKnown(string name) => Names.Contains(name) || Elsewhere.ContainsKey(name.Split(':')[0]);

    /// <summary>Makes an engine.</summary>
    /// <param name="name">
    /// <c>openblas</c>, <c>managed</c>, <c>cuda[:N]</c>, <c>ilgpu:cpu</c>, <c>torch[:cpu|:cuda[:N]]</c>, or <c>auto</c>: <c>openblas</c> where it works, with our own matrix product on processors whose
    /// vectors have 512 bits, where that is faster; else <c>managed</c>.
    /// </param>
    /// <param name="threads">Threads inside an operation; 0 for all cores.</param>
    /// <exception cref="EngineUnavailableException">The name is unknown, or what the engine needs is missing.</exception>
    /// <exception cref="ArgumentException"><paramref name="threads"/> is negative.</exception>
    public static IEngine Create(string name, int threads)
    {
        ArgumentNullException.ThrowIfNull(name);
        switch (name)
        {
            case "managed":
                return new ManagedEngine(threads);
            case "openblas":
                if (OpenBlasEngine.TryCreate(threads, out OpenBlasEngine? engine, out string missing)) return engine;
                throw new EngineUnavailableException($"the engine openblas cannot be used: {missing}; {Remedy}");
            case "auto":
                var fastest = OnProcessor(threads, out string? notice);
                Notice ??= notice;
                return fastest;
            default:
                string[] parts = name.Split(':', 2);
                return Elsewhere.TryGetValue(parts[0], out var engineElsewhere)
                    ? CreateElsewhere(parts[0], engineElsewhere, parts.Length == 2 ? parts[1] : "", threads)
                    : throw new EngineUnavailableException($"there is no engine '{name}'; use {Known}");
        }
    }

    /// <summary>The fastest engine on the processor, and what would make for a faster one.</summary>
    internal static IEngine OnProcessor(int threads, out string? notice)
    {
        bool hasOpenBlas = OpenBlas.TryLoad(out OpenBlas? library, out string reason);
        notice = hasOpenBlas ? null : $"using the slower managed engine: {reason}; {Remedy}";
        if (library is null) return new ManagedEngine(threads);
        return WidestProduct.Bits == 512 ? new CombinedEngine(library, threads) : new OpenBlasEngine(library, threads);
    }

    /// <summary>
    /// An engine on the first CUDA card that is fast in double precision, or null where there is none. Where NVIDIA's driver is missing nothing else is
    /// looked for; where it is there and no card serves, <see cref="Notice"/> says why.
    /// </summary>
    /// <param name="threads">Threads of what is computed on the host; 0 for all cores.</param>
    public static IEngine? TryCard(int threads)
    {
        if (!NvidiaDriver.IsThere) return null;
        try
        {
            return Create("ilgpu:auto", threads);
        }
        catch (EngineUnavailableException reason)
        {
            Notice ??= $"computing on the processor: {reason.Message}";
            return null;
        }
    }

    private static IEngine CreateElsewhere(string name, Distant engine, string place, int threads)
    {
        var (assembly, type, device, remedy) = engine;
        string[] folders = [AppContext.BaseDirectory, Path.Combine(AppContext.BaseDirectory, "..", name)];
        string? beside = folders.Select(folder => Path.GetFullPath(Path.Combine(folder, assembly + ".dll"))).FirstOrDefault(File.Exists);
        try
        {
            var create = (beside is null ? Assembly.Load(assembly) : Assembly.LoadFrom(beside)).GetType(type)?.GetMethod("Create", [typeof(string), typeof(int)])
                ?? throw new EngineUnavailableException($"the engine {name} cannot be used: {assembly} is not of this version");
            return (IEngine)create.Invoke(null, BindingFlags.DoNotWrapExceptions, null, [device(place), threads], null)!;
        }
        catch (FileNotFoundException)
        {
            throw new EngineUnavailableException($"the engine {name} is a package of its own, {assembly}, which must lie beside the program{remedy}");
        }
    }
}
