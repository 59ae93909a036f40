using LipVerify.Core.Methods;

namespace LipVerify;

/// <summary>A radius within which no input changes the class of an input (Proposition 6 of Avant and Morgansen, or bounds on margins).</summary>
/// <param name="Label">Position of the largest output; null where rounding leaves open which one it is.</param>
/// <param name="TopTwoGap">The gap between the two largest outputs, rounded downward; negative where the class is undecided.</param>
/// <param name="Radius">The radius in the 2-norm, in the units of the input; 0 where the class is undecided, and then nothing is claimed.</param>
/// <param name="Rigor">What the radius promises. A failure probability is for all evaluations of the search together.</param>
/// <param name="Lipschitz">The Lipschitz bound that shows it, over a ball of this radius or a larger one; null where bounds on margins do, and where the class is undecided.</param>
/// <param name="NotShownAt">The smallest radius beyond it at which the search failed to show it; null where it failed nowhere.</param>
/// <param name="Evaluations">Bounds that were computed.</param>
public sealed record CertifiedRadius(
    int? Label, double TopTwoGap, double Radius, Rigor Rigor, double? Lipschitz, double? NotShownAt, int Evaluations)
{
    /// <summary>The class and the radius in ten digits, rounded downward, with what it promises.</summary>
    public override string ToString() => Label is { } label
        ? $"class {label} within radius {Core.Numbers.Figure.downwardTo(10, Radius)} ({Rigor})"
        : "class undecided, radius 0";

    /// <summary>Searches for the largest radius that local Lipschitz bounds (<see cref="LipschitzBound.Local"/>) certify.</summary>
    /// <param name="network">The network, with two outputs or more.</param>
    /// <param name="input">The input, row-major, as the network takes it (after preprocessing).</param>
    /// <param name="options">Definition, engine, threads and seed. Nominal bounds certify the larger radii.</param>
    /// <param name="progress">Receives one line a step of long work.</param>
    /// <param name="cancellationToken">Ends the computation between two steps.</param>
    /// <exception cref="ArgumentException">
    /// The network has a single output, or the input has the wrong size or a value that is not finite.
    /// </exception>
    /// <exception cref="NotCertifiableException">A deterministic bound was insisted on, and a layer is too large for one.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    /// <exception cref="EngineUnavailableException">The engine asked for is unknown or not available here.</exception>
    public static CertifiedRadius Analytic(
        Network network, ReadOnlySpan<double> input, BoundOptions? options = null,
        IProgress<string>? progress = null, CancellationToken cancellationToken = default)
        => Compute("analytic", network, input, null, options, progress, cancellationToken);

    /// <summary>The radius that the global Lipschitz bound (<see cref="LipschitzBound.Global"/>) certifies.</summary>
    /// <param name="network">The network, with two outputs or more.</param>
    /// <param name="input">The input, row-major, as the network takes it (after preprocessing).</param>
    /// <param name="options">Engine, threads and seed.</param>
    /// <param name="progress">Receives one line a step of long work.</param>
    /// <param name="cancellationToken">Ends the computation between two steps.</param>
    /// <exception cref="ArgumentException">
    /// The network has a single output, or the input has the wrong size or a value that is not finite.
    /// </exception>
    /// <exception cref="NotCertifiableException">A deterministic bound was insisted on, and a layer is too large for one.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    /// <exception cref="EngineUnavailableException">The engine asked for is unknown or not available here.</exception>
    public static CertifiedRadius Global(
        Network network, ReadOnlySpan<double> input, BoundOptions? options = null,
        IProgress<string>? progress = null, CancellationToken cancellationToken = default)
        => Compute("global", network, input, null, options, progress, cancellationToken);

    /// <summary>
    /// Searches for the largest radius within which structured bounds on margins keep the class: none of the differences to other outputs loses all of
    /// its lead. Never below the radius that Algorithm 1 certifies. It rests on random draws.
    /// </summary>
    /// <param name="network">The network, with two outputs or more.</param>
    /// <param name="input">The input, row-major, as the network takes it (after preprocessing).</param>
    /// <param name="timeLimit">When the largest radius shown so far has to do; null for no limit, which can take minutes.</param>
    /// <param name="options">Definition, engine, threads, seed and failure probability.</param>
    /// <param name="progress">Receives one line a step of long work.</param>
    /// <param name="cancellationToken">Ends the computation between two steps.</param>
    /// <exception cref="ArgumentException">
    /// The network has a single output, or the input has the wrong size or a value that is not finite.
    /// </exception>
    /// <exception cref="NotCertifiableException">A deterministic bound was insisted on.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    /// <exception cref="EngineUnavailableException">The engine asked for is unknown or not available here.</exception>
    public static CertifiedRadius Structured(
        Network network, ReadOnlySpan<double> input, TimeSpan? timeLimit = null, BoundOptions? options = null,
        IProgress<string>? progress = null, CancellationToken cancellationToken = default)
        => Compute("structured", network, input, timeLimit, options, progress, cancellationToken);

    /// <summary>Searches for the largest radius within which linear functions carried back to the input (CROWN) keep every margin positive.</summary>
    /// <param name="network">The network, with two outputs or more.</param>
    /// <param name="input">The input, row-major, as the network takes it (after preprocessing).</param>
    /// <param name="options">Engine, threads and seed.</param>
    /// <param name="progress">Receives one line a step of long work.</param>
    /// <param name="cancellationToken">Ends the computation between two steps.</param>
    /// <exception cref="ArgumentException">
    /// The network has a single output, or the input has the wrong size or a value that is not finite.
    /// </exception>
    /// <exception cref="NotCertifiableException">A deterministic bound was insisted on, and a layer is too large for one.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    /// <exception cref="EngineUnavailableException">The engine asked for is unknown or not available here.</exception>
    public static CertifiedRadius Crown(
        Network network, ReadOnlySpan<double> input, BoundOptions? options = null,
        IProgress<string>? progress = null, CancellationToken cancellationToken = default)
        => Compute("crown", network, input, null, options, progress, cancellationToken);

    /// <summary>Searches for the largest radius that local LipSDP on the margins certifies; never below that of <see cref="Crown"/>.</summary>
    /// <param name="network">The network, with two outputs or more.</param>
    /// <param name="input">The input, row-major, as the network takes it (after preprocessing).</param>
    /// <param name="timeLimit">When the largest radius shown so far has to do; null for no limit, which can take minutes.</param>
    /// <param name="options">Engine, threads and seed.</param>
    /// <param name="progress">Receives one line a step of long work.</param>
    /// <param name="cancellationToken">Ends the computation between two steps.</param>
    /// <exception cref="ArgumentException">
    /// The network has a single output, or the input has the wrong size or a value that is not finite.
    /// </exception>
    /// <exception cref="NotCertifiableException">A deterministic bound was insisted on, and a layer is too large for one.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    /// <exception cref="EngineUnavailableException">The engine asked for is unknown or not available here.</exception>
    public static CertifiedRadius LocalLipSdp(
        Network network, ReadOnlySpan<double> input, TimeSpan? timeLimit = null, BoundOptions? options = null,
        IProgress<string>? progress = null, CancellationToken cancellationToken = default)
        => Compute("local-lipsdp", network, input, timeLimit, options, progress, cancellationToken);

    /// <summary>The methods that there are, by name and what each does, in the order in which the command line lists them.</summary>
    public static IReadOnlyDictionary<string, string> Methods { get; } =
        new OrderedDictionary<string, string>(RadiusMethods.all.Select(method => KeyValuePair.Create(method.Name, method.Summary)));

    /// <summary>Searches for the largest radius that a method of <see cref="Methods"/> certifies.</summary>
    /// <param name="method">The name of the method.</param>
    /// <param name="network">The network, with two outputs or more.</param>
    /// <param name="input">The input, row-major, as the network takes it (after preprocessing).</param>
    /// <param name="timeLimit">When the largest radius shown so far has to do; null for no limit, which can take minutes.</param>
    /// <param name="options">Definition, enclosure, engine, threads, seed and failure probability, where the method has a use for them.</param>
    /// <param name="progress">Receives one line a step of long work.</param>
    /// <param name="cancellationToken">Ends the computation between two steps.</param>
    /// <exception cref="ArgumentException">
    /// There is no such method, the network has a single output, or the input has the wrong size or a value that is not finite.
    /// </exception>
    /// <exception cref="NotCertifiableException">A deterministic bound was insisted on, and there is none.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    /// <exception cref="EngineUnavailableException">The engine asked for is unknown or not available here.</exception>
    public static CertifiedRadius Compute(
        string method, Network network, ReadOnlySpan<double> input, TimeSpan? timeLimit = null, BoundOptions? options = null,
        IProgress<string>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(method);
        ArgumentNullException.ThrowIfNull(network);
        var known = RadiusMethods.tryFind(method)
            ?? throw new ArgumentException($"there is no method \"{method}\"; there are {string.Join(", ", Methods.Keys)}", nameof(method));
        options ??= new BoundOptions();
        var nominal = network.CheckedInput(input, nameof(input));
        var context = options.CreateContext(network.Value, progress, cancellationToken).Within(timeLimit);
        var query = new RadiusQuery(network.Value, options.CoreDefinition, options.CoreEnclosure);
        // The only failure of Core is a network with a single output.
        var result = Checked.Certifiable(() => known.Value.Prepare.Invoke(query).Invoke(context).Invoke(nominal));
        if (result.IsError) throw new ArgumentException(result.ErrorValue, nameof(network));
        var found = result.ResultValue.Result;
        return new(
            found.Label.ToNullable(), found.TopTwoGap, found.Radius, Rigor.From(found.Rigor), found.Lipschitz?.Value.Value,
            found.NotShownAt.ToNullable(), found.Evaluations);
    }
}
