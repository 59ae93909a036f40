using LipVerify.Core.Methods;
using Microsoft.FSharp.Core;

namespace LipVerify;

/// <summary>An upper bound on a Lipschitz constant of a network, in the 2-norm unless another was asked for, and where it comes from.</summary>
/// <param name="Value">The bound: output distance per input distance.</param>
/// <param name="Rigor">What it promises.</param>
/// <param name="Layers">The layers' own bounds, in order.</param>
public sealed record LipschitzBound(double Value, Rigor Rigor, IReadOnlyList<LayerBound> Layers)
{
    /// <summary>What was bounded how, where the layers do not tell; null for bounds that the layers make up.</summary>
    public string? Explanation { get; init; }

    /// <summary>The bound in ten digits, rounded upward, with what it promises.</summary>
    public override string ToString() => $"{Rigor.Relation} {Core.Numbers.Figure.upwardTo(10, Value)} ({Rigor})";

    /// <summary>Bounds the local Lipschitz constant on a ball (Algorithm 1 of Avant and Morgansen).</summary>
    /// <param name="network">The network.</param>
    /// <param name="input">The nominal input, row-major, as the network takes it (after preprocessing).</param>
    /// <param name="radius">Radius of the ball around the input in the 2-norm, in the units of the input.</param>
    /// <param name="options">Definition, enclosure, engine, threads and seed.</param>
    /// <param name="progress">Receives one line a step of long work.</param>
    /// <param name="cancellationToken">Ends the computation between two steps.</param>
    /// <exception cref="ArgumentException">The input has the wrong size or a value that is not finite.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The radius is negative or not finite.</exception>
    /// <exception cref="NotCertifiableException">A deterministic bound was insisted on, and a layer is too large for one.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    /// <exception cref="EngineUnavailableException">The engine asked for is unknown or not available here.</exception>
    public static LipschitzBound Local(
        Network network, ReadOnlySpan<double> input, double radius, BoundOptions? options = null,
        IProgress<string>? progress = null, CancellationToken cancellationToken = default)
        => Compute("analytic", network, input, radius, Norm.Euclidean, null, null, options, progress, cancellationToken);

    /// <summary>
    /// Bounds the local Lipschitz constant on a ball by local LipSDP with slope intervals: tight, for networks of up to a few thousand units.
    /// Never above <see cref="Local"/>, whose layers it has. Larger networks get the structured bound where draws are allowed.
    /// </summary>
    /// <param name="network">The network.</param>
    /// <param name="input">The nominal input, row-major, as the network takes it (after preprocessing).</param>
    /// <param name="radius">Radius of the ball around the input in the 2-norm, in the units of the input.</param>
    /// <param name="timeLimit">When the best multipliers so far have to do; null for no limit.</param>
    /// <param name="options">Definition, engine, threads and seed.</param>
    /// <param name="progress">Receives one line a step of long work.</param>
    /// <param name="cancellationToken">Ends the computation between two steps.</param>
    /// <exception cref="ArgumentException">The input has the wrong size or a value that is not finite.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The radius is negative or not finite.</exception>
    /// <exception cref="NotCertifiableException">A deterministic bound was insisted on, and a layer is too large for one.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    /// <exception cref="EngineUnavailableException">The engine asked for is unknown or not available here.</exception>
    public static LipschitzBound LocalLipSdp(
        Network network, ReadOnlySpan<double> input, double radius, TimeSpan? timeLimit = null, BoundOptions? options = null,
        IProgress<string>? progress = null, CancellationToken cancellationToken = default)
        => Compute("local-lipsdp", network, input, radius, Norm.Euclidean, null, timeLimit, options, progress, cancellationToken);

    /// <summary>
    /// Bounds the local Lipschitz constant on a ball by the norm of the whole network, with a weight for each slope that is not known: tight at
    /// small radii, for networks of any size. Never above <see cref="Local"/>, whose layers it has. It rests on random draws.
    /// </summary>
    /// <param name="network">The network.</param>
    /// <param name="input">The nominal input, row-major, as the network takes it (after preprocessing).</param>
    /// <param name="radius">Radius of the ball around the input in the 2-norm, in the units of the input.</param>
    /// <param name="timeLimit">When the best weights so far have to do; null for no limit.</param>
    /// <param name="options">Definition, engine, threads, seed and failure probability.</param>
    /// <param name="progress">Receives one line a step of long work.</param>
    /// <param name="cancellationToken">Ends the computation between two steps.</param>
    /// <exception cref="ArgumentException">The input has the wrong size or a value that is not finite.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The radius is negative or not finite.</exception>
    /// <exception cref="NotCertifiableException">A deterministic bound was insisted on.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    /// <exception cref="EngineUnavailableException">The engine asked for is unknown or not available here.</exception>
    public static LipschitzBound Structured(
        Network network, ReadOnlySpan<double> input, double radius, TimeSpan? timeLimit = null, BoundOptions? options = null,
        IProgress<string>? progress = null, CancellationToken cancellationToken = default)
        => Compute("structured", network, input, radius, Norm.Euclidean, null, timeLimit, options, progress, cancellationToken);

    /// <summary>
    /// Bounds the global Lipschitz constant by the norm of the whole network, with a weight for each slope: never above <see cref="Global"/>, whose
    /// layers it has. It rests on random draws.
    /// </summary>
    /// <param name="network">The network.</param>
    /// <param name="timeLimit">When the best weights so far have to do; null for no limit.</param>
    /// <param name="options">Engine, threads, seed and failure probability.</param>
    /// <param name="progress">Receives one line a step of long work.</param>
    /// <param name="cancellationToken">Ends the computation between two steps.</param>
    /// <exception cref="NotCertifiableException">A deterministic bound was insisted on.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    /// <exception cref="EngineUnavailableException">The engine asked for is unknown or not available here.</exception>
    public static LipschitzBound Structured(
        Network network, TimeSpan? timeLimit = null, BoundOptions? options = null,
        IProgress<string>? progress = null, CancellationToken cancellationToken = default)
        => Compute("structured", network, Norm.Euclidean, null, timeLimit, options, progress, cancellationToken);

    /// <summary>Bounds the global Lipschitz constant: the product of the layers' spectral norms.</summary>
    /// <param name="network">The network.</param>
    /// <param name="options">Engine, threads and seed.</param>
    /// <param name="progress">Receives one line a step of long work.</param>
    /// <param name="cancellationToken">Ends the computation between two steps.</param>
    /// <exception cref="NotCertifiableException">A deterministic bound was insisted on, and a layer is too large for one.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    /// <exception cref="EngineUnavailableException">The engine asked for is unknown or not available here.</exception>
    public static LipschitzBound Global(
        Network network, BoundOptions? options = null, IProgress<string>? progress = null, CancellationToken cancellationToken = default)
        => Compute("global", network, Norm.Euclidean, null, null, options, progress, cancellationToken);

    /// <summary>
    /// Bounds the global Lipschitz constant by LipSDP (Fazlyab et al. 2019): never above <see cref="Global"/>, whose layers it has, and
    /// which parts of the network get that are too large.
    /// </summary>
    /// <param name="network">The network.</param>
    /// <param name="mode">Which neurons share a multiplier.</param>
    /// <param name="timeLimit">When the best multipliers so far have to do; null for no limit.</param>
    /// <param name="options">Engine, threads and seed.</param>
    /// <param name="progress">Receives one line a step of long work.</param>
    /// <param name="cancellationToken">Ends the computation between two steps.</param>
    /// <exception cref="ArgumentOutOfRangeException">The mode is none.</exception>
    /// <exception cref="NotCertifiableException">A deterministic bound was insisted on, and a layer is too large for one.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    /// <exception cref="EngineUnavailableException">The engine asked for is unknown or not available here.</exception>
    public static LipschitzBound LipSdp(
        Network network, LipSdpMode mode = LipSdpMode.Neuron, TimeSpan? timeLimit = null, BoundOptions? options = null,
        IProgress<string>? progress = null, CancellationToken cancellationToken = default)
        => Compute(
            mode switch
            {
                LipSdpMode.Neuron => "lipsdp-neuron",
                LipSdpMode.Layer => "lipsdp-layer",
                _ => throw new ArgumentOutOfRangeException(nameof(mode), mode, "The mode is Neuron or Layer."),
            },
            network, Norm.Euclidean, null, timeLimit, options, progress, cancellationToken);

    /// <summary>
    /// Bounds the local Lipschitz constant on a ball of any norm by intervals of the entries of the Jacobian (FastLip, Weng et al. 2018);
    /// there are no layers. Of use at small radii.
    /// </summary>
    /// <param name="network">The network.</param>
    /// <param name="input">The nominal input, row-major, as the network takes it (after preprocessing).</param>
    /// <param name="radius">Radius of the ball around the input in the norm, in the units of the input.</param>
    /// <param name="norm">The norm of the ball, and of the distances of inputs and outputs.</param>
    /// <param name="options">Definition, engine, threads and seed.</param>
    /// <param name="progress">Receives one line a step of long work.</param>
    /// <param name="cancellationToken">Ends the computation between two steps.</param>
    /// <exception cref="ArgumentException">
    /// The network is too large, or the input has the wrong size or a value that is not finite.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">The radius is negative or not finite, or the norm is none.</exception>
    /// <exception cref="NotCertifiableException">A deterministic bound was insisted on, and the Jacobian is too large for one.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    /// <exception cref="EngineUnavailableException">The engine asked for is unknown or not available here.</exception>
    public static LipschitzBound FastLip(
        Network network, ReadOnlySpan<double> input, double radius, Norm norm = Norm.Euclidean, BoundOptions? options = null,
        IProgress<string>? progress = null, CancellationToken cancellationToken = default)
        => Compute("fastlip", network, input, radius, norm, null, null, options, progress, cancellationToken);

    /// <summary>
    /// As <see cref="FastLip"/>, with entries bounded by a recursion through the layers (RecurJac, Zhang, Zhang and Hsieh 2019): never above it,
    /// and well below it in networks of several layers; takes longer.
    /// </summary>
    /// <param name="network">The network.</param>
    /// <param name="input">The nominal input, row-major, as the network takes it (after preprocessing).</param>
    /// <param name="radius">Radius of the ball around the input in the norm, in the units of the input.</param>
    /// <param name="norm">The norm of the ball, and of the distances of inputs and outputs.</param>
    /// <param name="timeLimit">
    /// When entries that the recursion has not reached have to do with the bounds of <see cref="FastLip"/>, or with a product of norms; null for no limit, and for
    /// networks refused that would take minutes.
    /// </param>
    /// <param name="options">Definition, engine, threads and seed.</param>
    /// <param name="progress">Receives one line a step of long work.</param>
    /// <param name="cancellationToken">Ends the computation between two steps.</param>
    /// <exception cref="ArgumentException">
    /// The network is too large, or the input has the wrong size or a value that is not finite.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">The radius is negative or not finite, or the norm is none.</exception>
    /// <exception cref="NotCertifiableException">A deterministic bound was insisted on, and the Jacobian is too large for one.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    /// <exception cref="EngineUnavailableException">The engine asked for is unknown or not available here.</exception>
    public static LipschitzBound RecurJac(
        Network network, ReadOnlySpan<double> input, double radius, Norm norm = Norm.Euclidean, TimeSpan? timeLimit = null,
        BoundOptions? options = null, IProgress<string>? progress = null, CancellationToken cancellationToken = default)
        => Compute("recurjac", network, input, radius, norm, null, timeLimit, options, progress, cancellationToken);

    /// <summary>
    /// Closes in on the local Lipschitz constant itself by branch and bound over the slopes of ReLUs: for small chains of affine maps and
    /// ReLUs, with the uniform definition. Other networks are not branched, and for the nominal definition a gap may remain on all but the smallest.
    /// </summary>
    /// <param name="network">The network.</param>
    /// <param name="input">The nominal input, row-major, as the network takes it (after preprocessing).</param>
    /// <param name="radius">Radius of the ball around the input in the norm, in the units of the input.</param>
    /// <param name="norm">The norm of the ball, and of the distances of inputs and outputs: the 2-norm or the maximum norm.</param>
    /// <param name="timeLimit">When the ends found so far have to do; null for no limit, which may take for ever.</param>
    /// <param name="options">Definition, engine, threads and seed.</param>
    /// <param name="progress">Receives one line a step of long work.</param>
    /// <param name="cancellationToken">Ends the computation between two steps.</param>
    /// <returns>Both ends, within 0.1 % of each other unless the time was over or the network is not branched.</returns>
    /// <exception cref="ArgumentException">The input has the wrong size or a value that is not finite.</exception>
    /// <exception cref="ArgumentOutOfRangeException">
    /// The radius is negative or not finite, or the norm is the 1-norm or none.
    /// </exception>
    /// <exception cref="NotCertifiableException">A deterministic bound was insisted on, and a layer is too large for one.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    /// <exception cref="EngineUnavailableException">The engine asked for is unknown or not available here.</exception>
    public static ExactBound Exact(
        Network network, ReadOnlySpan<double> input, double radius, Norm norm = Norm.Euclidean, TimeSpan? timeLimit = null,
        BoundOptions? options = null, IProgress<string>? progress = null, CancellationToken cancellationToken = default)
    {
        var found = FoundInBall("exact", network, input, radius, norm, null, timeLimit, options, progress, cancellationToken);
        var lower = found.Lower!.Value;
        return new(
            From(found), lower.Bound.Value, Rigor.From(lower.Bound.Rigor), lower.Gap, lower.Regions, found.Explanation?.Value ?? "");
    }

    /// <summary>The methods that there are, in the order in which the command line lists them.</summary>
    public static IReadOnlyList<BoundMethod> Methods { get; } = [.. BoundMethods.all.Select(BoundMethod.From)];

    /// <summary>Bounds a Lipschitz constant over a ball by any method of <see cref="Methods"/>; one that bounds all inputs alone bounds these.</summary>
    /// <param name="method">The name of the method.</param>
    /// <param name="network">The network.</param>
    /// <param name="input">The nominal input, row-major, as the network takes it (after preprocessing).</param>
    /// <param name="radius">Radius of the ball around the input in the norm, in the units of the input.</param>
    /// <param name="norm">The norm of the ball, and of the distances of inputs and outputs: one that the method takes.</param>
    /// <param name="output">The output, counted from 0, for methods that bound one; null for others.</param>
    /// <param name="timeLimit">When the best so far has to do; null for no limit.</param>
    /// <param name="options">Definition, enclosure, engine, threads and seed.</param>
    /// <param name="progress">Receives one line a step of long work.</param>
    /// <param name="cancellationToken">Ends the computation between two steps.</param>
    /// <exception cref="ArgumentException">
    /// There is no such method, it does not apply to this network, an output is missing, or the input has the wrong size or a value that is not finite.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">The radius is negative or not finite, or the method does not take the norm.</exception>
    /// <exception cref="NotCertifiableException">A deterministic bound was insisted on, and there is none.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    /// <exception cref="EngineUnavailableException">The engine asked for is unknown or not available here.</exception>
    public static LipschitzBound Compute(
        string method, Network network, ReadOnlySpan<double> input, double radius, Norm norm = Norm.Euclidean, int? output = null,
        TimeSpan? timeLimit = null, BoundOptions? options = null, IProgress<string>? progress = null,
        CancellationToken cancellationToken = default)
        => From(FoundInBall(method, network, input, radius, norm, output, timeLimit, options, progress, cancellationToken));

    /// <summary>Bounds a Lipschitz constant over all inputs by any method of <see cref="Methods"/> that does.</summary>
    /// <param name="method">The name of the method.</param>
    /// <param name="network">The network.</param>
    /// <param name="norm">The norm of inputs and outputs: one that the method takes.</param>
    /// <param name="output">The output, counted from 0, for methods that bound one; null for others.</param>
    /// <param name="timeLimit">When the best so far has to do; null for no limit.</param>
    /// <param name="options">Engine, threads and seed.</param>
    /// <param name="progress">Receives one line a step of long work.</param>
    /// <param name="cancellationToken">Ends the computation between two steps.</param>
    /// <exception cref="ArgumentException">
    /// There is no such method, it bounds balls alone, it does not apply to this network, or an output is missing.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">The method does not take the norm.</exception>
    /// <exception cref="NotCertifiableException">A deterministic bound was insisted on, and there is none.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    /// <exception cref="EngineUnavailableException">The engine asked for is unknown or not available here.</exception>
    public static LipschitzBound Compute(
        string method, Network network, Norm norm = Norm.Euclidean, int? output = null, TimeSpan? timeLimit = null,
        BoundOptions? options = null, IProgress<string>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(network);
        return From(Found(method, network, null, norm, output, timeLimit, options, progress, cancellationToken));
    }

    private static BoundFound FoundInBall(
        string method, Network network, ReadOnlySpan<double> input, double radius, Norm norm, int? output, TimeSpan? timeLimit,
        BoundOptions? options, IProgress<string>? progress, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(network);
        var ball = Tuple.Create(network.CheckedInput(input, nameof(input)), Checked.Radius(radius, nameof(radius)));
        return Found(method, network, ball, norm, output, timeLimit, options, progress, cancellationToken);
    }

    private static BoundFound Found(
        string name, Network network, Tuple<Core.Computation.Tensor, Core.Networks.Radius>? ball, Norm norm, int? output,
        TimeSpan? timeLimit, BoundOptions? options, IProgress<string>? progress, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(name);
        var known = BoundMethods.tryFind(name)
            ?? throw new ArgumentException($"there is no method \"{name}\"; there are {string.Join(", ", BoundMethods.all.Select(m => m.Name))}", "method");
        var method = known.Value;
        var coreNorm = Checked.Norm(norm, nameof(norm));
        if (!method.Norms.Contains(coreNorm))
            throw new ArgumentOutOfRangeException(nameof(norm), norm, $"the method {name} does not take this norm");
        options ??= new BoundOptions();
        var context = options.CreateContext(network.Value, progress, cancellationToken).Within(timeLimit);
        var query = new BoundQuery(
            context, network.Value, coreNorm, options.CoreDefinition, options.CoreEnclosure, needsWitness: false, Solvers.InstalledSolvers.all);
        var result = Checked.Certifiable(() => BoundMethodModule.run(
            method, query, ball is null ? null! : FSharpOption<Tuple<Core.Computation.Tensor, Core.Networks.Radius>>.Some(ball),
            output is { } one ? FSharpOption<int>.Some(one) : null!));
        return result.IsOk ? result.ResultValue : throw new ArgumentException(result.ErrorValue, nameof(network));
    }

    private static LipschitzBound From(BoundFound found) =>
        new(found.Result.Bound.Value, Rigor.From(found.Result.Bound.Rigor), [.. found.Result.Layers.Select(LayerBound.From)])
        {
            Explanation = found.Explanation?.Value,
        };
}
