using LipVerify.Compute;
using LipVerify.Core.Computation;
using LipVerify.Core.Networks;
using LipVerify.Formats;
using Microsoft.FSharp.Core;

namespace LipVerify;

/// <summary>One layer of a network.</summary>
/// <param name="Index">Position in the network, from 0.</param>
/// <param name="Name">Name in the model.</param>
/// <param name="Kind"><c>conv2d</c>, <c>dense</c>, <c>relu</c>, <c>maxpool2d</c>, …</param>
/// <param name="InputShape">Extents of its input, without the batch.</param>
/// <param name="OutputShape">Extents of its output, without the batch.</param>
/// <param name="ParameterCount">Weights and biases.</param>
public sealed record NetworkLayer(
    int Index, string Name, string Kind, IReadOnlyList<int> InputShape, IReadOnlyList<int> OutputShape, int ParameterCount);

/// <summary>A ReLU network with shapes that fit and weights that are finite; immutable, and safe to use from several threads.</summary>
public sealed class Network
{
    private Network(Core.Networks.Network value, IReadOnlyList<string> notices)
    {
        Value = value;
        InputShape = [.. value.InputShape];
        OutputShape = [.. value.OutputShape];
        Notices = notices;
        Layers = [.. NetworkModule.layers(value).Select(Describe)];
    }

    internal static Network Of(Core.Networks.Network value) => new(value, []);

    internal Core.Networks.Network Value { get; }

    /// <summary>Extents of one input, without the batch.</summary>
    public IReadOnlyList<int> InputShape { get; }

    /// <summary>Extents of one output, without the batch.</summary>
    public IReadOnlyList<int> OutputShape { get; }

    /// <summary>The layers in order.</summary>
    public IReadOnlyList<NetworkLayer> Layers { get; }

    /// <summary>Remarks made while loading, for example that a final softmax was left out.</summary>
    public IReadOnlyList<string> Notices { get; }

    /// <summary>Loads a network.</summary>
    /// <param name="model">An .onnx, .pt, .pth, .ckpt or .safetensors file, or <c>zoo:NAME[?seed=N]</c>.</param>
    /// <param name="architecture">For a state dict: <c>mnist-net</c>, <c>cifar10-net</c>, <c>alexnet</c>, <c>vgg16</c> or a JSON file.</param>
    /// <exception cref="ModelFileException">The file cannot be used; the message says where and why.</exception>
    public static Network Load(string model, string? architecture = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        var result = ModelSource.load(model, architecture is null ? null! : FSharpOption<string>.Some(architecture));
        if (result.IsError) throw new ModelFileException(result.ErrorValue);
        return new Network(result.ResultValue.Network, [.. result.ResultValue.Notices]);
    }

    /// <summary>Loads an input in the shape that this network takes.</summary>
    /// <param name="source">A picture (.png, .jpg, .webp, .bmp, .tiff), .npy, .npz or .csv file, or <c>zeros</c> or <c>random[?seed=N]</c>.</param>
    /// <param name="preprocessing">Applied to files; none by default.</param>
    /// <returns>The values, row-major.</returns>
    /// <exception cref="ModelFileException">The file cannot be used, or its shape does not fit.</exception>
    public double[] LoadInput(string source, Preprocessing? preprocessing = null)
    {
        ArgumentNullException.ThrowIfNull(source);
        var result = InputSource.load(Value.InputShape, (preprocessing ?? Preprocessing.None).Value, source);
        return result.IsOk ? [.. TensorModule.values(result.ResultValue)] : throw new ModelFileException(result.ErrorValue);
    }

    /// <summary>f(x) for one input, row-major; before a softmax at the end that was left out, as <see cref="Notices"/> tell.</summary>
    /// <param name="input">The input, row-major, as the network takes it (after preprocessing).</param>
    /// <param name="options">Engine and threads.</param>
    /// <exception cref="ArgumentException">The input has the wrong number of values or one that is not finite.</exception>
    /// <exception cref="EngineUnavailableException">The engine asked for is unknown or not available here.</exception>
    public double[] Evaluate(ReadOnlySpan<double> input, BoundOptions? options = null)
    {
        var nominal = CheckedInput(input, nameof(input));
        var context = (options ?? new BoundOptions()).CreateContext(Value, null, CancellationToken.None);
        return [.. TensorModule.values(NetworkModule.evaluate(context, Value, nominal))];
    }

    internal Tensor CheckedInput(ReadOnlySpan<double> values, string parameter)
    {
        int size = ShapeModule.size(Value.InputShape);
        if (values.Length != size)
            throw new ArgumentException(
                $"the network takes inputs of {ShapeModule.text(Value.InputShape)} = {size} values, not {values.Length}", parameter);
        var tensor = TensorModule.ofArray(Value.InputShape, values.ToArray());
        return TensorModule.isFinite(tensor)
            ? tensor
            : throw new ArgumentException("the input holds values that are NaN or infinite", parameter);
    }

    private static NetworkLayer Describe(PlacedLayer layer) => new(
        layer.Index, layer.Name, LayerModule.kind(layer.Layer), [.. layer.Input], [.. layer.Output], LayerModule.parameterCount(layer.Layer));
}
