using LipVerify.Core.Computation;
using LipVerify.Core.LowerBounds;
using LipVerify.Core.Bounds.Analytic;

namespace LipVerify;

/// <summary>
/// Where a slope is attained: a <see cref="PairWitness"/> or a <see cref="DirectionWitness"/>. Inputs are row-major, as
/// <see cref="Network.Evaluate"/> takes them.
/// </summary>
public abstract record Witness
{
    private protected Witness() { }

    internal static Witness? Of(Attainment attainment) => attainment switch
    {
        Attainment.Between pair => new PairWitness([.. TensorModule.values(pair.y)], [.. TensorModule.values(pair.x)]),
        Attainment.Along ray => new DirectionWitness([.. TensorModule.values(ray.x)], [.. TensorModule.values(ray.v)]),
        _ => null,
    };
}

/// <summary>Two inputs of the ball; the slope is ‖f(To) − f(From)‖ / ‖To − From‖.</summary>
/// <param name="From">One input, row-major; the nominal one where the slope is one of the nominal definition.</param>
/// <param name="To">The other input, row-major.</param>
public sealed record PairWitness(double[] From, double[] To) : Witness;

/// <summary>An input and a direction; the slope is ‖f(Point + t·Direction) − f(Point)‖ / ‖t·Direction‖ in the limit of small t > 0.</summary>
/// <param name="Point">The input, row-major.</param>
/// <param name="Direction">The direction, row-major, of any length above 0.</param>
public sealed record DirectionWitness(double[] Point, double[] Direction) : Witness;
