namespace LipVerify;

/// <summary>A lower bound on a local Lipschitz constant of a network, in the 2-norm unless another was asked for, and the slope that proves it.</summary>
/// <param name="Value">The bound: output distance per input distance, rounded downward.</param>
/// <param name="Rigor">
/// What it promises. Certified: the rounding of the slope is enclosed. Numerical: the slope was computed in double precision.
/// </param>
/// <param name="Witness">Where the slope is attained; null where the bound is 0.</param>
public sealed record LowerBound(double Value, Rigor Rigor, Witness? Witness)
{
    /// <summary>The bound in ten digits, rounded downward, with what it promises.</summary>
    public override string ToString() => $"≥ {Core.Numbers.Figure.downwardTo(10, Value)} ({Rigor})";

    /// <summary>
    /// The better of gradient ascent and of the Jacobian at the input, where the network is differentiable there. For the
    /// uniform definition gradient ascent runs against the input too: what bounds the nominal constant bounds the uniform one.
    /// </summary>
    /// <param name="network">The network.</param>
    /// <param name="input">The nominal input, row-major, as the network takes it (after preprocessing).</param>
    /// <param name="radius">Radius of the ball around the input in the 2-norm, in the units of the input.</param>
    /// <param name="options">Definition, engine, threads and seed.</param>
    /// <param name="progress">Receives one line a step of long work.</param>
    /// <param name="cancellationToken">Ends the computation between two steps.</param>
    /// <exception cref="ArgumentException">The input has the wrong size or a value that is not finite.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The radius is negative or not finite.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    /// <exception cref="EngineUnavailableException">The engine asked for is unknown or not available here.</exception>
    public static LowerBound Best(
        Network network, ReadOnlySpan<double> input, double radius, BoundOptions? options = null,
        IProgress<string>? progress = null, CancellationToken cancellationToken = default) =>
        Best(network, input, radius, Norm.Euclidean, options, progress, cancellationToken);

    /// <summary>
    /// As <see cref="Best(Network, ReadOnlySpan{double}, double, BoundOptions, IProgress{string}, CancellationToken)"/>, in any norm.
    /// </summary>
    /// <param name="network">The network.</param>
    /// <param name="input">The nominal input, row-major, as the network takes it (after preprocessing).</param>
    /// <param name="radius">Radius of the ball around the input in the norm, in the units of the input.</param>
    /// <param name="norm">The norm of the ball, and of the distances of inputs and outputs.</param>
    /// <param name="options">Definition, engine, threads and seed.</param>
    /// <param name="progress">Receives one line a step of long work.</param>
    /// <param name="cancellationToken">Ends the computation between two steps.</param>
    /// <exception cref="ArgumentException">The input has the wrong size or a value that is not finite.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The radius is negative or not finite, or the norm is none.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    /// <exception cref="EngineUnavailableException">The engine asked for is unknown or not available here.</exception>
    public static LowerBound Best(
        Network network, ReadOnlySpan<double> input, double radius, Norm norm, BoundOptions? options = null,
        IProgress<string>? progress = null, CancellationToken cancellationToken = default)
    {
        var search = Search.Create(network, input, radius, norm, options, progress, cancellationToken);
        return From(Core.LowerBounds.LowerBounds.best(
            search.Context, search.Norm, search.Definition, network.Value, search.Ball, search.Effort));
    }

    /// <summary>
    /// Slopes that gradient ascent reaches from many starts: against the input for the nominal definition, between any two
    /// inputs of the ball for the uniform one. The same seed gives the same bound.
    /// </summary>
    /// <param name="network">The network.</param>
    /// <param name="input">The nominal input, row-major, as the network takes it (after preprocessing).</param>
    /// <param name="radius">Radius of the ball around the input in the 2-norm, in the units of the input.</param>
    /// <param name="options">Definition, engine, threads and seed.</param>
    /// <param name="progress">Receives one line a step of long work.</param>
    /// <param name="cancellationToken">Ends the computation between two steps.</param>
    /// <exception cref="ArgumentException">The input has the wrong size or a value that is not finite.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The radius is negative or not finite.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    /// <exception cref="EngineUnavailableException">The engine asked for is unknown or not available here.</exception>
    public static LowerBound GradientAscent(
        Network network, ReadOnlySpan<double> input, double radius, BoundOptions? options = null,
        IProgress<string>? progress = null, CancellationToken cancellationToken = default) =>
        GradientAscent(network, input, radius, Norm.Euclidean, options, progress, cancellationToken);

    /// <summary>
    /// As <see cref="GradientAscent(Network, ReadOnlySpan{double}, double, BoundOptions, IProgress{string}, CancellationToken)"/>, in any norm.
    /// </summary>
    /// <param name="network">The network.</param>
    /// <param name="input">The nominal input, row-major, as the network takes it (after preprocessing).</param>
    /// <param name="radius">Radius of the ball around the input in the norm, in the units of the input.</param>
    /// <param name="norm">The norm of the ball, and of the distances of inputs and outputs.</param>
    /// <param name="options">Definition, engine, threads and seed.</param>
    /// <param name="progress">Receives one line a step of long work.</param>
    /// <param name="cancellationToken">Ends the computation between two steps.</param>
    /// <exception cref="ArgumentException">The input has the wrong size or a value that is not finite.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The radius is negative or not finite, or the norm is none.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    /// <exception cref="EngineUnavailableException">The engine asked for is unknown or not available here.</exception>
    public static LowerBound GradientAscent(
        Network network, ReadOnlySpan<double> input, double radius, Norm norm, BoundOptions? options = null,
        IProgress<string>? progress = null, CancellationToken cancellationToken = default)
    {
        var search = Search.Create(network, input, radius, norm, options, progress, cancellationToken);
        return From(Core.LowerBounds.LowerBounds.gradientAscent(
            search.Context, search.Norm, search.Definition, network.Value, search.Ball, search.Effort));
    }

    /// <summary>
    /// The largest slope between samples drawn uniformly from the ball and the input (nominal), or between samples that are
    /// drawn one after the other (uniform). The same seed gives the same bound.
    /// </summary>
    /// <param name="network">The network.</param>
    /// <param name="input">The nominal input, row-major, as the network takes it (after preprocessing).</param>
    /// <param name="radius">Radius of the ball around the input in the 2-norm, in the units of the input.</param>
    /// <param name="count">Samples, at least 1.</param>
    /// <param name="options">Definition, engine, threads and seed.</param>
    /// <param name="progress">Receives one line a step of long work.</param>
    /// <param name="cancellationToken">Ends the computation between two steps.</param>
    /// <exception cref="ArgumentException">The input has the wrong size or a value that is not finite.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The radius is negative or not finite, or the count is below 1.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    /// <exception cref="EngineUnavailableException">The engine asked for is unknown or not available here.</exception>
    public static LowerBound Sampling(
        Network network, ReadOnlySpan<double> input, double radius, int count, BoundOptions? options = null,
        IProgress<string>? progress = null, CancellationToken cancellationToken = default) =>
        Sampling(network, input, radius, Norm.Euclidean, count, options, progress, cancellationToken);

    /// <summary>
    /// As <see cref="Sampling(Network, ReadOnlySpan{double}, double, int, BoundOptions, IProgress{string}, CancellationToken)"/>, in any norm.
    /// </summary>
    /// <param name="network">The network.</param>
    /// <param name="input">The nominal input, row-major, as the network takes it (after preprocessing).</param>
    /// <param name="radius">Radius of the ball around the input in the norm, in the units of the input.</param>
    /// <param name="norm">The norm of the ball, and of the distances of inputs and outputs.</param>
    /// <param name="count">Samples, at least 1.</param>
    /// <param name="options">Definition, engine, threads and seed.</param>
    /// <param name="progress">Receives one line a step of long work.</param>
    /// <param name="cancellationToken">Ends the computation between two steps.</param>
    /// <exception cref="ArgumentException">The input has the wrong size or a value that is not finite.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The radius is negative or not finite, the norm is none, or the count is below 1.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    /// <exception cref="EngineUnavailableException">The engine asked for is unknown or not available here.</exception>
    public static LowerBound Sampling(
        Network network, ReadOnlySpan<double> input, double radius, Norm norm, int count, BoundOptions? options = null,
        IProgress<string>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        var search = Search.Create(network, input, radius, norm, options, progress, cancellationToken);
        return From(Core.LowerBounds.LowerBounds.sampling(search.Context, search.Norm, search.Definition, network.Value, search.Ball, count));
    }

    /// <summary>
    /// The norm of the Jacobian at the input, a lower bound by either definition where the network is differentiable there.
    /// </summary>
    /// <param name="network">The network.</param>
    /// <param name="input">The nominal input, row-major, as the network takes it (after preprocessing).</param>
    /// <param name="radius">Radius of the ball around the input in the 2-norm, in the units of the input; at 0 the bound is 0.</param>
    /// <param name="options">Engine, threads and seed.</param>
    /// <param name="progress">Receives one line a step of long work.</param>
    /// <param name="cancellationToken">Ends the computation between two steps.</param>
    /// <returns>The bound, or the layers at which the network may bend at the input.</returns>
    /// <exception cref="ArgumentException">The input has the wrong size or a value that is not finite.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The radius is negative or not finite.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    /// <exception cref="EngineUnavailableException">The engine asked for is unknown or not available here.</exception>
    public static JacobianBound Jacobian(
        Network network, ReadOnlySpan<double> input, double radius, BoundOptions? options = null,
        IProgress<string>? progress = null, CancellationToken cancellationToken = default) =>
        Jacobian(network, input, radius, Norm.Euclidean, options, progress, cancellationToken);

    /// <summary>
    /// As <see cref="Jacobian(Network, ReadOnlySpan{double}, double, BoundOptions, IProgress{string}, CancellationToken)"/>, in any norm.
    /// </summary>
    /// <param name="network">The network.</param>
    /// <param name="input">The nominal input, row-major, as the network takes it (after preprocessing).</param>
    /// <param name="radius">Radius of the ball around the input in the norm, in the units of the input; at 0 the bound is 0.</param>
    /// <param name="norm">The norm of the ball, and of the distances of inputs and outputs.</param>
    /// <param name="options">Engine, threads and seed.</param>
    /// <param name="progress">Receives one line a step of long work.</param>
    /// <param name="cancellationToken">Ends the computation between two steps.</param>
    /// <returns>The bound, or the layers at which the network may bend at the input.</returns>
    /// <exception cref="ArgumentException">The input has the wrong size or a value that is not finite.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The radius is negative or not finite, or the norm is none.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    /// <exception cref="EngineUnavailableException">The engine asked for is unknown or not available here.</exception>
    public static JacobianBound Jacobian(
        Network network, ReadOnlySpan<double> input, double radius, Norm norm, BoundOptions? options = null,
        IProgress<string>? progress = null, CancellationToken cancellationToken = default)
    {
        var search = Search.Create(network, input, radius, norm, options, progress, cancellationToken);
        var result = Core.LowerBounds.NominalJacobian.lowerBound(search.Context, search.Norm, network.Value, search.Ball);
        return result.IsOk
            ? new(From(result.ResultValue), [])
            : new(null, [.. result.ErrorValue.Select(kink => new Kink(network.Layers[kink.Layer.Index], kink.Outputs))]);
    }

    private static LowerBound From(Core.LowerBounds.LowerBound bound) =>
        new(bound.Value, Rigor.From(bound.Rigor), LipVerify.Witness.Of(bound.Attainment));

    /// <summary>Arguments that have been checked.</summary>
    private readonly record struct Search(
        Core.Computation.Context Context, Core.Numbers.Norm Norm, Core.Numbers.Definition Definition, Core.Networks.RestrictedBall Ball, Core.LowerBounds.Effort Effort)
    {
        public static Search Create(
            Network network, ReadOnlySpan<double> input, double radius, Norm norm, BoundOptions? options,
            IProgress<string>? progress, CancellationToken cancellation)
        {
            ArgumentNullException.ThrowIfNull(network);
            var coreNorm = Checked.Norm(norm, nameof(norm));
            options ??= new BoundOptions();
            var checkedRadius = Checked.Radius(radius, nameof(radius));
            var ball = Core.Networks.RestrictedBallModule.whole(network.CheckedInput(input, nameof(input)), checkedRadius);
            var context = options.CreateContext(network.Value, progress, cancellation);
            return new(context, coreNorm, options.CoreDefinition, ball, Core.LowerBounds.EffortModule.fitting(network.Value));
        }
    }
}
