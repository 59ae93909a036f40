using Microsoft.FSharp.Collections;

namespace LipVerify;

/// <summary>Normalisation of inputs, channel by channel: (x − mean) / deviation. Pixels are divided by 255 first.</summary>
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

    private static Preprocessing Named(string name) => new(Formats.PreprocessingModule.find(name).ResultValue);
}
