using LipVerify.Core.Computation;
using LipVerify.Core.Networks;
using LipVerify.Core.Attacks;
using Microsoft.FSharp.Core;

namespace LipVerify;

/// <summary>Permitted inputs, value by value, in the units of the input after preprocessing; immutable.</summary>
public sealed class InputBox
{
    private readonly double[] lower;
    private readonly double[] upper;

    /// <summary>The box between two corners; infinite bounds permit everything.</summary>
    /// <param name="lower">The least permitted values, row-major.</param>
    /// <param name="upper">The largest permitted values, row-major.</param>
    /// <exception cref="ArgumentException">The lengths differ, a bound is NaN, or a lower bound exceeds the upper one.</exception>
    public InputBox(ReadOnlySpan<double> lower, ReadOnlySpan<double> upper)
    {
        if (lower.Length != upper.Length)
            throw new ArgumentException($"{lower.Length} lower bounds need as many upper ones, not {upper.Length}", nameof(upper));
        for (int i = 0; i < lower.Length; i++)
        {
            if (!(lower[i] <= upper[i]))
                throw new ArgumentException($"no value {i} lies between {lower[i]} and {upper[i]}", nameof(upper));
        }

        this.lower = lower.ToArray();
        this.upper = upper.ToArray();
    }

    /// <summary>The least permitted values, row-major.</summary>
    public IReadOnlyList<double> Lower => Array.AsReadOnly(lower);

    /// <summary>The largest permitted values, row-major.</summary>
    public IReadOnlyList<double> Upper => Array.AsReadOnly(upper);

    /// <summary>The pixels of a range, in the units that preprocessing makes of them.</summary>
    /// <param name="network">The network that takes the inputs.</param>
    /// <param name="preprocessing">Applied to the pixels.</param>
    /// <param name="lowest">The least value of a pixel before preprocessing.</param>
    /// <param name="highest">The largest value of a pixel before preprocessing.</param>
    /// <exception cref="ArgumentException">
    /// The preprocessing does not fit the network's channels, a bound is NaN, or the lowest value exceeds the highest.
    /// </exception>
    public static InputBox Pixels(Network network, Preprocessing preprocessing, double lowest = 0, double highest = 1)
    {
        ArgumentNullException.ThrowIfNull(network);
        ArgumentNullException.ThrowIfNull(preprocessing);
        return new(Corner(lowest), Corner(highest));

        double[] Corner(double pixel)
        {
            var corner = Formats.PreprocessingModule.apply(preprocessing.Value, TensorModule.create(network.Value.InputShape, pixel));
            return corner.IsOk
                ? TensorModule.values(corner.ResultValue)
                : throw new ArgumentException(corner.ErrorValue, nameof(preprocessing));
        }
    }

    internal FSharpOption<Box> Around(Tensor input, string parameter)
    {
        if (lower.Length != input.Length)
            throw new ArgumentException($"the box bounds {lower.Length} values, and the input has {input.Length}", parameter);
        var values = TensorModule.values(input);
        int outside = Enumerable.Range(0, values.Length).FirstOrDefault(i => values[i] < lower[i] || values[i] > upper[i], -1);
        if (outside >= 0)
            throw new ArgumentException($"the box must contain the input, and its value {outside} lies outside", parameter);
        return new Box(TensorModule.ofArray(input.Shape, lower), TensorModule.ofArray(input.Shape, upper));
    }
}
