using LipVerify.Compute;

namespace LipVerify;

/// <summary>How bounds are computed.</summary>
public sealed record BoundOptions
{
    /// <summary>Nominal by default.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not a member of the enumeration.</exception>
    public Definition Definition
    {
        get;
        init => field = Enum.IsDefined(value)
            ? value
            : throw new ArgumentOutOfRangeException(nameof(Definition), value, "the definition must be Nominal or Uniform");
    }

    /// <summary><c>auto</c> (default), <c>openblas</c> or <c>managed</c>.</summary>
    public string Engine { get; init; } = "auto";

    /// <summary>Threads of the engine; 0, the default, takes all cores.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Negative.</exception>
    public int Threads
    {
        get;
        init => field = value >= 0
            ? value
            : throw new ArgumentOutOfRangeException(nameof(Threads), value, "the number of threads must not be negative");
    }

    /// <summary>Seed of every random draw; 0 by default.</summary>
    public int Seed { get; init; }

    internal Core.Definition CoreDefinition =>
        Definition == Definition.Uniform ? Core.Definition.Uniform : Core.Definition.Nominal;

    internal Core.Context CreateContext(IProgress<string>? progress, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        return Core.ContextModule.configure(CreateEngine(), Seed, cancellation, progress ?? Silence.Instance);
    }

    private IEngine CreateEngine()
    {
        try
        {
            return Engines.Create(Engine, Threads);
        }
        catch (Compute.EngineUnavailableException cause)
        {
            throw new EngineUnavailableException(Engine, cause);
        }
    }

    private sealed class Silence : IProgress<string>
    {
        public static readonly Silence Instance = new();

        public void Report(string value) { }
    }
}
