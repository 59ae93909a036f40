using System.Runtime.InteropServices;
using LipVerify.Core.Computation;
using LipVerify.Formats;
using Microsoft.FSharp.Collections;
using Microsoft.FSharp.Core;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using Architecture = LipVerify.Formats.Architecture;
using Activation = LipVerify.Core.Activations.Activation;
using Module = TorchSharp.torch.nn.Module;
using Tensor = TorchSharp.torch.Tensor;

namespace LipVerify.TorchSharp;

/// <summary>Networks from the modules of TorchSharp.</summary>
public static class Networks
{
    /// <summary>
    /// The network that a module computes at inference, with its weights as they are, whatever their precision: a chain of <c>Sequential</c>,
    /// <c>Linear</c>, <c>Conv2d</c>, <c>BatchNorm1d</c>, <c>BatchNorm2d</c>, <c>ReLU</c> and other activations, <c>MaxPool2d</c>, <c>AvgPool2d</c>,
    /// <c>AdaptiveAvgPool2d</c>, <c>Flatten</c>, <c>Dropout</c> and <c>Identity</c>. Later changes of the module do not change it.
    /// </summary>
    /// <param name="module">The module. It need not be in evaluation mode.</param>
    /// <param name="inputShape">Extents of one input, without the batch: <c>[784]</c>, or channels, height and width.</param>
    /// <param name="parts">
    /// The parts of a module of the user's own, in the order in which its <c>forward</c> calls them; null for modules that it does not know.
    /// </param>
    /// <exception cref="ArgumentException">A module is of a kind that is not known, or does not fit; the message names it by its path.</exception>
    public static Network FromModule(Module module, IReadOnlyList<int> inputShape, Func<Module, IEnumerable<Module>?>? parts = null)
    {
        ArgumentNullException.ThrowIfNull(module);
        ArgumentNullException.ThrowIfNull(inputShape);
        var reader = new ModuleReader(parts);
        reader.Add("", module);
        if (reader.Layers.Count == 0) throw new ArgumentException("the module has no layers", nameof(module));
        var architecture = new Architecture("module", ListModule.OfSeq(inputShape), ListModule.OfSeq(reader.Layers));
        var parameters = FuncConvert.FromFunc<string, FSharpList<int>, FSharpResult<Core.Computation.Tensor, string>>(reader.Parameter);
        var result = ArchitectureModule.build(parameters, architecture);
        return result.IsOk ? Network.Of(result.ResultValue) : throw new ArgumentException(result.ErrorValue, nameof(module));
    }

    /// <summary>Collects the layers of modules, with their parameters by name.</summary>
    private sealed class ModuleReader(Func<Module, IEnumerable<Module>?>? parts)
    {
        private readonly Dictionary<string, double[]> _parameters = [];

        public List<LayerSpec> Layers { get; } = [];

        /// <summary>The values of a parameter in the shape that is asked for.</summary>
        public FSharpResult<Core.Computation.Tensor, string> Parameter(string name, FSharpList<int> shape) =>
            _parameters.TryGetValue(name, out var values) && values.Length == ShapeModule.size(shape)
                ? FSharpResult<Core.Computation.Tensor, string>.NewOk(TensorModule.ofArray(shape, values))
                : FSharpResult<Core.Computation.Tensor, string>.NewError($"{name} does not have the shape {ShapeModule.text(shape)}");

        public void Add(string path, Module module)
        {
            if (parts?.Invoke(module) is { } own)
            {
                AddAll(path, own);
                return;
            }

            string name = path.Length == 0 ? module.GetName() : path;
            switch (module)
            {
                case Sequential sequential:
                    AddAll(path, sequential.children());
                    break;
                case Linear linear:
                    Hold(name, linear.weight, linear.bias);
                    Layers.Add(LayerSpec.NewLinear(name, (int)linear.in_features, (int)linear.out_features, linear.bias is not null));
                    break;
                case Conv2d convolution:
                    Require(name, convolution.padding_mode == PaddingModes.Zeros, $"padding mode {convolution.padding_mode} is not supported, only zeros");
                    Require(name, convolution.padding_type is null or Padding.Valid, "padding \"same\" is not supported: give the numbers");
                    Hold(name, convolution.weight, convolution.bias);
                    var padding = convolution.padding_type is Padding.Valid ? [0, 0] : convolution.padding;
                    Layers.Add(LayerSpec.NewConv2d(
                        name, (int)convolution.in_channels, (int)convolution.out_channels,
                        Window(convolution.kernel_size, convolution.stride, padding, convolution.dilation),
                        (int)convolution.groups, convolution.bias is not null));
                    break;
                case BatchNorm norm:
                    Require(name, norm.running_mean is not null && norm.running_var is not null, "a batch normalisation needs the statistics that it tracked");
                    int channels = (int)norm.running_mean!.numel();
                    _parameters[$"{name}.weight"] = norm.weight is null ? Constant(channels, 1) : Values(norm.weight);
                    _parameters[$"{name}.bias"] = norm.bias is null ? Constant(channels, 0) : Values(norm.bias);
                    _parameters[$"{name}.running_mean"] = Values(norm.running_mean);
                    _parameters[$"{name}.running_var"] = Values(norm.running_var!);
                    Layers.Add(LayerSpec.NewBatchNorm2d(name, channels, norm.eps));
                    break;
                case ReLU or ReLU6 or LeakyReLU or ELU or SELU or CELU or Sigmoid or Tanh or Softplus or Softsign or SiLU or GELU or Hardswish or Mish:
                    Layers.Add(LayerSpec.NewActivationLayer(ActivationOf(name, module)));
                    break;
                case MaxPool2d pool:
                    Layers.Add(LayerSpec.NewMaxPool2d(Window(pool.kernel_size, pool.stride, pool.padding, pool.dilation), pool.ceil_mode));
                    break;
                case AvgPool2d pool:
                    Require(name, pool.divisor_override is null, "a divisor of its own is not supported");
                    Layers.Add(LayerSpec.NewAvgPool2d(Window(pool.kernel_size, pool.stride, pool.padding, null), pool.ceil_mode, pool.count_include_pad));
                    break;
                case AdaptiveAvgPool2d pool:
                    var (height, width) = Both(pool.output_size, 1);
                    Layers.Add(LayerSpec.NewAdaptiveAvgPool2d(height, width));
                    break;
                case Flatten flatten:
                    Require(name, flatten is { start_dim: 1, end_dim: -1 }, "only whole inputs are flattened: Flatten(1, -1)");
                    Layers.Add(LayerSpec.Flatten);
                    break;
                case Dropout or Dropout1d or Dropout2d or Identity:
                    Layers.Add(LayerSpec.Dropout);
                    break;
                default:
                    throw new ArgumentException(
                        $"{(name.Length == 0 ? "the module" : name)}: a module of the kind {module.GetType().Name} is not known; the argument parts can take it to pieces", nameof(module));
            }
        }

        private static Activation ActivationOf(string name, Module module)
        {
            switch (module)
            {
                case ReLU6: return Core.Activations.Clip.activation(0, 6);
                case LeakyReLU leaky: return Core.Activations.LeakyRelu.activation(leaky.negative_slope);
                case ELU elu: return Core.Activations.Elu.elu(elu.alpha);
                case SELU: return Core.Activations.Elu.selu(1.6732632423543772848170429916717, 1.0507009873554804934193349852946);
                case CELU celu: return Core.Activations.Elu.celu(celu.alpha);
                case Sigmoid: return Core.Activations.Sigmoid.activation;
                case Tanh: return Core.Activations.Tanh.activation;
                case Softplus softplus:
                    Require(name, softplus.beta == 1, $"beta {softplus.beta} is not supported, only 1");
                    return Core.Activations.Softplus.activation;
                case Softsign: return Core.Activations.Softsign.activation;
                case SiLU: return Core.Activations.Silu.activation;
                case GELU gelu:
                    return $"{gelu.approximate}" == "none" ? Core.Activations.Gelu.activation : Core.Activations.Gelu.byTanh;
                case Hardswish: return Core.Activations.HardSwish.activation;
                case Mish: return Core.Activations.Mish.activation;
                default: return Core.Activations.Relu.activation;
            }
        }

        private void AddAll(string path, IEnumerable<Module> modules)
        {
            int index = 0;
            foreach (var module in modules) Add(path.Length == 0 ? $"{index++}" : $"{path}.{index++}", module);
        }

        private void Hold(string name, Tensor weight, Tensor? bias)
        {
            _parameters[$"{name}.weight"] = Values(weight);
            if (bias is not null) _parameters[$"{name}.bias"] = Values(bias);
        }

        private static void Require(string name, bool holds, string problem)
        {
            if (!holds) throw new ArgumentException($"{name}: {problem}", "module");
        }

        private static double[] Constant(int count, double value)
        {
            var values = new double[count];
            Array.Fill(values, value);
            return values;
        }

        /// <summary>Values of any precision as doubles, row-major: exact.</summary>
        private static double[] Values(Tensor tensor)
        {
            using var scope = NewDisposeScope();
            var values = new double[tensor.numel()];
            TorchStorage.ToHost(tensor.detach().to(ScalarType.Float64).contiguous().reshape(-1), 0, values);
            return values;
        }

        private static WindowSpec Window(long[]? kernel, long[]? stride, long[]? padding, long[]? dilation)
        {
            var taps = Both(kernel, 1);
            return new(taps.ToTuple(), (stride is { Length: > 0 } ? Both(stride, 1) : taps).ToTuple(), Both(padding, 0).ToTuple(), Both(dilation, 1).ToTuple());
        }

        private static (int Vertical, int Horizontal) Both(long[]? extents, int otherwise) => extents switch
        {
            [var both] => (checked((int)both), checked((int)both)),
            [var vertical, var horizontal] => (checked((int)vertical), checked((int)horizontal)),
            _ => (otherwise, otherwise),
        };
    }
}
