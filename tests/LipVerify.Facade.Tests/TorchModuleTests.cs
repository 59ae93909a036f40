using LipVerify.TorchSharp;
using NUnit.Framework;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace LipVerify.Facade.Tests;

/// <summary>Networks from modules of TorchSharp; skipped where libtorch does not load.</summary>
public class TorchModuleTests
{
    [OneTimeSetUp]
    public void RequireTorch()
    {
        try
        {
            TorchEngine.Create("cpu", 1);
        }
        catch (Compute.EngineUnavailableException missing)
        {
            Assert.Ignore(missing.Message);
        }
    }

    /// <summary>The network of a module has the values of the module itself, in double precision.</summary>
    private static void Agrees(Module<Tensor, Tensor> module, int[] shape, Func<nn.Module, IEnumerable<nn.Module>?>? parts = null)
    {
        var network = Networks.FromModule(module, shape, parts);
        random.manual_seed(7);
        var input = randn([1, .. shape.Select(extent => (long)extent)], dtype: ScalarType.Float64);
        module.eval();
        var expected = module.to(ScalarType.Float64).forward(input).reshape(-1).data<double>().ToArray();
        var found = network.Evaluate(input.reshape(-1).data<double>().ToArray());
        Assert.That(found, Has.Length.EqualTo(expected.Length));
        for (int i = 0; i < found.Length; i++) Assert.That(found[i], Is.EqualTo(expected[i]).Within(1e-10 * (1 + Math.Abs(expected[i]))));
    }

    [Test]
    public void Dense_chains_agree() => Agrees(Sequential(Linear(5, 7), ReLU(), Linear(7, 3, hasBias: false)), [5]);

    [Test]
    public void Activations_agree()
    {
        Module<Tensor, Tensor>[] activations =
        [
            ReLU6(), LeakyReLU(0.2), ELU(1.5), SELU(), CELU(0.5), Sigmoid(), Tanh(), Softplus(), Softsign(), SiLU(), GELU(), Hardswish(), Mish(),
        ];

        foreach (var activation in activations) Agrees(Sequential(Linear(5, 7), activation, Linear(7, 3)), [5]);
    }

    [Test]
    public void Convolutional_networks_agree()
    {
        var norm = BatchNorm2d(6);
        // Statistics that are not those of a new layer.
        norm.running_mean!.copy_(arange(6, dtype: ScalarType.Float32).mul(0.1f));
        norm.running_var!.copy_(arange(6, dtype: ScalarType.Float32).add(0.5f));
        Agrees(
            Sequential(
                Sequential(Conv2d(2, 6, (3, 2), stride: (2, 1), padding: (1, 0), dilation: (1, 2), groups: 2), norm, ReLU(inplace: true)),
                MaxPool2d(2, stride: 1, padding: 1),
                Conv2d(6, 4, 3, bias: false),
                AvgPool2d(2, stride: 1),
                AdaptiveAvgPool2d(1),
                Flatten(), Dropout(0.3), Identity(), Linear(4, 3)),
            [2, 11, 9]);
    }

    [Test]
    public void Batch_normalisation_without_factors_agrees() =>
        Agrees(Sequential(Linear(3, 4), BatchNorm1d(4, affine: false), ReLU(), Linear(4, 2)), [3]);

    /// <summary>A module of a user's own.</summary>
    private sealed class Own : Module<Tensor, Tensor>
    {
        public readonly Module<Tensor, Tensor> First = Linear(4, 6), Last = Linear(6, 2);

        public Own() : base("own") => RegisterComponents();

        public override Tensor forward(Tensor x) => Last.forward(functional.relu(First.forward(x)));
    }

    [Test]
    public void Modules_of_a_users_own_are_taken_to_pieces_by_the_user()
    {
        Agrees(new Own(), [4], module => module is Own own ? [own.First, ReLU(), own.Last] : null);
        var unknown = Assert.Throws<ArgumentException>(() => Networks.FromModule(new Own(), [4]));
        Assert.That(unknown!.Message, Does.Contain("Own").And.Contain("parts"));
    }

    [Test]
    public void What_does_not_fit_is_named()
    {
        var shapes = Assert.Throws<ArgumentException>(() => Networks.FromModule(Sequential(Linear(5, 7), ReLU(), Linear(8, 3)), [5]));
        Assert.That(shapes!.Message, Does.Contain("2").And.Contain("8").And.Contain("7"));
        var kind = Assert.Throws<ArgumentException>(() => Networks.FromModule(Sequential(Linear(5, 7), Softmax(1)), [5]));
        Assert.That(kind!.Message, Does.Contain("1: ").And.Contain("Softmax"));
        var padding = Assert.Throws<ArgumentException>(
            () => Networks.FromModule(Sequential(Conv2d(1, 1, 3, padding: 1, padding_mode: PaddingModes.Reflect)), [1, 5, 5]));
        Assert.That(padding!.Message, Does.Contain("Reflect"));
    }

    [Test]
    public void Later_changes_of_a_module_change_no_network_and_bounds_hold_on_the_engine_too()
    {
        var linear = Linear(3, 3, hasBias: false);
        using (no_grad()) linear.weight!.copy_(tensor(new float[] { 2, 0, 0, 0, 1, 0, 0, 0, 1 }).reshape(3, 3));
        var network = Networks.FromModule(linear, [3]);
        using (no_grad()) linear.weight!.mul_(10);
        foreach (var engine in new[] { "managed", "torch:cpu" })
        {
            var bound = LipschitzBound.Global(network, new BoundOptions { Engine = engine });
            Assert.That(bound.Value, Is.EqualTo(2).Within(1e-8), engine);
        }
    }
}
