namespace LipVerify;

/// <summary>One layer's part in a bound.</summary>
/// <param name="Index">Position of the affine or pooling layer in the network; a ReLU belongs to the affine layer before it.</param>
/// <param name="Name">Name in the model.</param>
/// <param name="Kind"><c>conv2d+relu</c>, <c>dense</c>, <c>maxpool2d</c>, …</param>
/// <param name="Lipschitz">Bound on the layer's own constant over the inputs that reach it.</param>
/// <param name="Rigor">What that bound promises.</param>
/// <param name="RadiusIn">Radius of the ball of its inputs; null for global bounds.</param>
/// <param name="RadiusOut">Radius of the ball of its outputs; null for global bounds.</param>
/// <param name="Active">Outputs that can differ from zero.</param>
/// <param name="Size">Outputs.</param>
public sealed record LayerBound(
    int Index, string Name, string Kind, double Lipschitz, Rigor Rigor, double? RadiusIn, double? RadiusOut, int Active, int Size)
{
    /// <summary>Its name and the bound in six digits, rounded upward, with what it promises.</summary>
    public override string ToString() => $"{Name}: {Rigor.Relation} {Core.Numbers.Figure.upward(Lipschitz)} ({Rigor})";

    internal static LayerBound From(Core.Bounds.Analytic.LayerBound layer) => new(
        layer.Index, layer.Name, layer.Kind, layer.Lipschitz.Value, Rigor.From(layer.Lipschitz.Rigor),
        layer.RadiusIn.ToNullable(), layer.RadiusOut.ToNullable(), layer.Active, layer.Size);
}
