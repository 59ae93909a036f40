using LipVerify.Compute;
using Microsoft.FSharp.Core;

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

    /// <summary>Where slopes come from in <see cref="LipschitzBound.Local"/>; the balls of Algorithm 1 by default.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not a member of the enumeration.</exception>
    public Enclosure Enclosure
    {
        get;
        init => field = Enum.IsDefined(value)
            ? value
            : throw new ArgumentOutOfRangeException(nameof(Enclosure), value, "the enclosure must be Ball, Interval, Crown or Probes");
    }

    /// <summary>
    /// <c>auto</c> (default), <c>openblas</c>, <c>managed</c>, <c>cuda[:N]</c> where the package LipVerify.Ilgpu is there, or <c>torch[:cpu|:cuda[:N]]</c>
    /// where LipVerify.TorchSharp is. With LipVerify.Ilgpu, <c>auto</c> is a CUDA card for large networks, where there is one.
    /// </summary>
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

    /// <summary>Probability with which all random certificates of one bound together may fail; 1e-9 by default.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not between 0 and 1, or below 1e-250.</exception>
    public double FailureProbability
    {
        get;
        init => field = value is >= Core.Computation.CertificationModule.leastFailureProbability and < 1
            ? value
            : throw new ArgumentOutOfRangeException(nameof(FailureProbability), value, "the failure probability must lie between 0 and 1, and not below 1e-250");
    } = 1e-9;

    /// <summary>Relative looseness aimed at in the spectral norms of large layers; null for 1e-3, or 1e-2 above 100 000 inputs.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not above 0, or above 1.</exception>
    public double? Tolerance
    {
        get;
        init => field = value is null or (> 0 and <= 1)
            ? value
            : throw new ArgumentOutOfRangeException(nameof(Tolerance), value, "the tolerance must be above 0 and at most 1");
    }

    /// <summary>Insists on certificates without random draws; false by default.</summary>
    public bool Deterministic { get; init; }

    internal Core.Numbers.Definition CoreDefinition =>
        Definition == Definition.Uniform ? Core.Numbers.Definition.Uniform : Core.Numbers.Definition.Nominal;

    internal Core.Enclosures.EnclosureKind CoreEnclosure => Enclosure switch
    {
        Enclosure.Crown => Core.Enclosures.EnclosureKind.Crown,
        Enclosure.Probes => Core.Enclosures.EnclosureKind.Probes,
        Enclosure.Interval => Core.Enclosures.EnclosureKind.Interval,
        _ => Core.Enclosures.EnclosureKind.Ball,
    };

    internal Core.Computation.Context CreateContext(Core.Networks.Network network, IProgress<string>? progress, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        var context = Core.Computation.ContextModule.configure(CreateEngine(), Seed, Certification, cancellation, progress ?? Silence.Instance);
        return Core.Networks.EngineChoice.fit(Engine, network, context);
    }

    private Core.Computation.Certification Certification =>
        new(FailureProbability, Tolerance is { } tolerance ? FSharpOption<double>.Some(tolerance) : null!, Deterministic);

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
