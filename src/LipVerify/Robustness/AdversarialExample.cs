namespace LipVerify;

/// <summary>An input that a network gives another class. Its distance is an upper bound on the least adversarial perturbation.</summary>
/// <param name="Input">The input, row-major, as the network takes it (after preprocessing).</param>
/// <param name="Distance">Distance from the nominal input in the 2-norm, rounded upward.</param>
/// <param name="Rigor">
/// Certified where some output surely exceeds that of the original class, also in real arithmetic; Numerical where it does as
/// computed, and rounding leaves it open.
/// </param>
/// <param name="Label">The class with the largest computed output at the input.</param>
/// <param name="OriginalLabel">The class with the largest computed output at the nominal input.</param>
/// <param name="Attack">What found it.</param>
public sealed record AdversarialExample(
    double[] Input, double Distance, Rigor Rigor, int Label, int OriginalLabel, Attack Attack)
{
    /// <summary>The class and the distance in ten digits, rounded upward, with what it promises.</summary>
    public override string ToString() => $"class {Label} at distance ≤ {Core.Numbers.Figure.upwardTo(10, Distance)} ({Rigor})";

    /// <summary>The adversarial example that an attack finds closest to an input in the 2-norm.</summary>
    /// <param name="network">The network, with two outputs or more.</param>
    /// <param name="input">The nominal input, row-major, as the network takes it (after preprocessing).</param>
    /// <param name="attack">The search.</param>
    /// <param name="box">Permitted inputs, the nominal one among them; null permits all.</param>
    /// <param name="options">Engine, threads and seed.</param>
    /// <param name="progress">Receives one line a step of long work.</param>
    /// <param name="cancellationToken">Ends the computation between two steps.</param>
    /// <returns>The example; null where the attack found none, which proves nothing.</returns>
    /// <exception cref="ArgumentException">
    /// The network has a single output, the input has the wrong size or a value that is not finite, or the box has the wrong
    /// size or does not contain the input.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">The attack is no member of the enumeration.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    /// <exception cref="EngineUnavailableException">The engine asked for is unknown or not available here.</exception>
    public static AdversarialExample? Find(
        Network network, ReadOnlySpan<double> input, Attack attack, InputBox? box = null, BoundOptions? options = null,
        IProgress<string>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(network);
        var search = CoreAttack(attack);
        if (Core.Computation.ShapeModule.size(network.Value.OutputShape) < 2)
            throw new ArgumentException("the network has a single output, so there is no other class", nameof(network));
        var nominal = network.CheckedInput(input, nameof(input));
        var permitted = box?.Around(nominal, nameof(box));
        var context = (options ?? new BoundOptions()).CreateContext(network.Value, progress, cancellationToken);
        var effort = Core.Attacks.AttackEffortModule.fitting(network.Value);
        var found = Core.Attacks.Attacks.run(context, search, network.Value, nominal, permitted!, effort);
        return found is null ? null : From(found.Value, attack);
    }

    private static AdversarialExample From(Core.Attacks.AdversarialExample example, Attack attack) => new(
        [.. Core.Computation.TensorModule.values(example.Input)], example.Distance, Rigor.From(example.Rigor), example.Label,
        example.OriginalLabel, attack);

    private static Core.Attacks.Attack CoreAttack(Attack attack) => attack switch
    {
        Attack.FastGradientSign => Core.Attacks.Attack.FastGradientSign,
        Attack.IteratedFastGradientSign => Core.Attacks.Attack.IteratedFastGradientSign,
        Attack.GradientAscent => Core.Attacks.Attack.GradientAscent,
        Attack.ProjectedDescent => Core.Attacks.Attack.ProjectedDescent,
        Attack.CarliniWagner => Core.Attacks.Attack.CarliniWagner,
        _ => throw new ArgumentOutOfRangeException(nameof(attack), attack, "the attack must be a member of the enumeration"),
    };
}
