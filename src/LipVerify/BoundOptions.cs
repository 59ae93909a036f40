using LipVerify.Compute;

namespace LipVerify;

/// <summary>How bounds are computed.</summary>
public sealed record BoundOptions
{
    /// <summary>Nominal by default.</summary>
    public Definition Definition { get; init; } = Definition.Nominal;

    /// <summary><c>auto</c> (default), <c>openblas</c> or <c>managed</c>.</summary>
    public string Engine { get; init; } = "auto";

    /// <summary>Threads of the engine; 0 takes all cores.</summary>
    public int Threads { get; init; }

    /// <summary>Seed of every random draw.</summary>
    public int Seed { get; init; }

    internal Core.Definition CoreDefinition =>
        Definition == Definition.Uniform ? Core.Definition.Uniform : Core.Definition.Nominal;

    internal Core.Context CreateContext(IProgress<string>? progress, CancellationToken cancellation) =>
        Core.ContextModule.configure(Engines.Create(Engine, Threads), Seed, cancellation, progress ?? Silence.Instance);

    private sealed class Silence : IProgress<string>
    {
        public static readonly Silence Instance = new();

        public void Report(string value) { }
    }
}
