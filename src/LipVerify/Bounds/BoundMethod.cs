using Core = LipVerify.Core;

namespace LipVerify;

/// <summary>A method that bounds Lipschitz constants from above, for <see cref="LipschitzBound.Compute(string, Network, Norm, int?, TimeSpan?, BoundOptions?, IProgress{string}?, CancellationToken)"/>.</summary>
/// <param name="Name">Its name, as on the command line.</param>
/// <param name="Summary">What it does, in one line.</param>
/// <param name="Norms">The norms that it takes.</param>
/// <param name="BoundsBalls">Whether it bounds a ball where one is given.</param>
/// <param name="BoundsAllInputs">Whether it bounds all inputs where no ball is given.</param>
/// <param name="BoundsOneOutput">Whether it bounds one output at a time.</param>
/// <param name="IsAnyTime">Whether more time may give less.</param>
public sealed record BoundMethod(
    string Name, string Summary, IReadOnlyList<Norm> Norms, bool BoundsBalls, bool BoundsAllInputs, bool BoundsOneOutput, bool IsAnyTime)
{
    /// <summary>Its name and what it does.</summary>
    public override string ToString() => $"{Name}: {Summary}";

    internal static BoundMethod From(Core.Methods.BoundMethod method) => new(
        method.Name,
        method.Summary,
        [.. method.Norms.Select(From)],
        Core.Methods.BoundMethodModule.takesBall(method),
        !Core.Methods.BoundMethodModule.needsBall(method),
        Core.Methods.BoundMethodModule.isOfOneOutput(method),
        method.IsAnyTime);

    private static Norm From(Core.Numbers.Norm norm) => norm switch
    {
        { IsMaximum: true } => Norm.Maximum,
        { IsTaxicab: true } => Norm.Taxicab,
        _ => Norm.Euclidean,
    };
}
