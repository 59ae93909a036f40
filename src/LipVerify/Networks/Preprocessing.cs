using Microsoft.FSharp.Collections;
using Microsoft.FSharp.Core;

namespace LipVerify;

/// <summary>What is done to inputs: normalisation, channel by channel: (x − mean) / deviation; pixels are divided by 255 first, and pictures may be scaled before.</summary>
public sealed class Preprocessing
{
    private Preprocessing(Formats.Preprocessing value) => Value = value;

    internal Formats.Preprocessing Value { get; }

    /// <summary>Nothing is changed.</summary>
    public static Preprocessing None { get; } = new(Formats.PreprocessingModule.none);

    /// <summary>MNIST's mean 0.1307 and standard deviation 0.3081.</summary>
    public static Preprocessing Mnist { get; } = Named("mnist");

    /// <summary>CIFAR-10's means and standard deviations.</summary>
    public static Preprocessing Cifar10 { get; } = Named("cifar10");

    /// <summary>ImageNet's means and standard deviations.</summary>
    public static Preprocessing ImageNet { get; } = Named("imagenet");

    /// <summary>Normalisation with one mean and standard deviation a channel, or one for all.</summary>
    /// <exception cref="ArgumentException">A value is not finite, or a deviation is not positive.</exception>
    public static Preprocessing Normalize(IEnumerable<double> means, IEnumerable<double> deviations)
    {
        ArgumentNullException.ThrowIfNull(means);
        ArgumentNullException.ThrowIfNull(deviations);
        var result = Formats.PreprocessingModule.create(ListModule.OfSeq(means), ListModule.OfSeq(deviations));
        return result.IsOk ? new(result.ResultValue) : throw new ArgumentException(result.ErrorValue);
    }

    /// <summary>This, with pictures first scaled to so many pixels on their shorter side, and their middle cut out as large as the network takes it.</summary>
    /// <param name="shorterSide">Pixels of the shorter side.</param>
    /// <exception cref="ArgumentOutOfRangeException">Not positive.</exception>
    public Preprocessing Resized(int shorterSide)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(shorterSide);
        return new(new Formats.Preprocessing(Value.Mean, Value.Deviation, FSharpOption<int>.Some(shorterSide)));
    }

    private static Preprocessing Named(string name) => new(Formats.PreprocessingModule.find(name).ResultValue);
}
