namespace LipVerify.Compute;

/// <summary>The engine that was asked for cannot be made here; the message says what would help.</summary>
public sealed class EngineUnavailableException : Exception
{
    /// <summary>Makes the exception.</summary>
    public EngineUnavailableException(string message) : base(message) { }
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

    /// <summary>The names that <see cref="Create"/> knows.</summary>
    public static IReadOnlyList<string> Names { get; } = ["auto", "openblas", "managed"];

    /// <summary>Makes an engine.</summary>
    /// <param name="name">
    /// <c>openblas</c>, <c>managed</c>, or <c>auto</c>: <c>openblas</c> where it works, with our own matrix product on processors whose
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
                throw new EngineUnavailableException($"there is no engine '{name}'; use auto, openblas or managed");
        }
    }
}
