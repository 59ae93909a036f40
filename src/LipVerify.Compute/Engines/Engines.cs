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
    /// One line for the user once <c>auto</c> has had to fall back to the slower managed engine, saying why and what to install;
    /// null otherwise. Whoever talks to the user shows it once.
    /// </summary>
    public static string? Notice { get; private set; }

    /// <summary>Engines in assemblies of their own, which may lie beside this one: a type with <c>Create(string place, int threads)</c>.</summary>
    private static readonly Dictionary<string, (string Assembly, string Type)> Elsewhere = new()
    {
        ["torch"] = ("LipVerify.TorchSharp", "LipVerify.TorchSharp.TorchEngine"),
    };

    /// <summary>The names that <see cref="Create"/> knows; those of devices may be followed by a place: <c>torch:cuda:1</c>.</summary>
    public static IReadOnlyList<string> Names { get; } = ["auto", "openblas", "managed", .. Elsewhere.Keys];

    /// <summary>Whether <see cref="Create"/> knows a name, with a place or without.</summary>
    public static bool IsKnown(string name) => Names.Contains(name) || Elsewhere.ContainsKey(name.Split(':')[0]);

    /// <summary>Makes an engine.</summary>
    /// <param name="name">
    /// <c>openblas</c>, <c>managed</c>, <c>torch[:cpu|:cuda[:N]]</c>, or <c>auto</c>: <c>openblas</c> where it works, with our own matrix product on processors whose
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
                if (OpenBlas.TryLoad(out OpenBlas? library, out string reason))
                    return WidestProduct.Bits == 512 ? new CombinedEngine(library, threads) : new OpenBlasEngine(library, threads);
                Notice ??= $"using the slower managed engine: {reason}; {Remedy}";
                return new ManagedEngine(threads);
            default:
                string[] parts = name.Split(':', 2);
                return Elsewhere.TryGetValue(parts[0], out var place)
                    ? CreateElsewhere(parts[0], place.Assembly, place.Type, parts.Length == 2 ? parts[1] : "", threads)
                    : throw new EngineUnavailableException($"there is no engine '{name}'; use auto, openblas, managed or torch[:cpu|:cuda[:N]]");
        }
    }

    private static IEngine CreateElsewhere(string name, string assembly, string type, string place, int threads)
    {
        string[] folders = [AppContext.BaseDirectory, Path.Combine(AppContext.BaseDirectory, "..", name)];
        string? beside = folders.Select(folder => Path.GetFullPath(Path.Combine(folder, assembly + ".dll"))).FirstOrDefault(File.Exists);
        try
        {
            var create = (beside is null ? Assembly.Load(assembly) : Assembly.LoadFrom(beside)).GetType(type)?.GetMethod("Create", [typeof(string), typeof(int)])
                ?? throw new EngineUnavailableException($"the engine {name} cannot be used: {assembly} is not of this version");
            return (IEngine)create.Invoke(null, BindingFlags.DoNotWrapExceptions, null, [place, threads], null)!;
        }
        catch (FileNotFoundException)
        {
            throw new EngineUnavailableException($"the engine {name} is a package of its own, {assembly}, which must lie beside the program; in a checkout ./{name} brings it");
        }
    }
}
