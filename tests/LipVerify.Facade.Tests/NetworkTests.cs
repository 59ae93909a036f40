using NUnit.Framework;

namespace LipVerify.Facade.Tests;

public class NetworkTests
{
    // Float32 weights in sums of at most 256 products: γ_256 ≈ 6e-14 a layer, amplified by the later layers' norms (57 in all).
    private const double LogitTolerance = 1e-10;

    [Test]
    public void Logits_are_those_computed_when_the_network_was_trained()
    {
        Assert.That(Sample.Logits(), Is.Not.Empty);
        foreach (var (digit, logits) in Sample.Logits())
            Assert.That(Sample.Network.Evaluate(Sample.Digit(digit), Sample.Options), Is.EqualTo(logits).Within(LogitTolerance), digit);
    }

    [Test]
    public void Layers_come_in_order_with_shapes_that_fit()
    {
        var network = Sample.Network;
        Assert.That(network.Layers.Select(layer => layer.Index), Is.EqualTo(Enumerable.Range(0, network.Layers.Count)));
        Assert.That(network.InputShape, Is.EqualTo(new[] { 1, 28, 28 }));
        Assert.That(network.OutputShape, Is.EqualTo(new[] { 10 }));
        Assert.That(network.Layers[0].InputShape, Is.EqualTo(network.InputShape));
        Assert.That(network.Layers[^1].OutputShape, Is.EqualTo(network.OutputShape));
        foreach (var (before, after) in network.Layers.Zip(network.Layers.Skip(1)))
            Assert.That(after.InputShape, Is.EqualTo(before.OutputShape));
        Assert.That(network.Layers.Sum(layer => layer.ParameterCount), Is.EqualTo(44426));
        Assert.That(network.Layers[0], Has.Property("Name").EqualTo("conv1").And.Property("Kind").EqualTo("conv2d"));
    }

    [Test]
    public void The_zoo_gives_equal_networks_for_equal_seeds()
    {
        double[] Output(string model)
        {
            var network = Network.Load(model);
            return network.Evaluate(network.LoadInput("random?seed=3"), Sample.Options);
        }

        Assert.That(Output("zoo:mnist-net?seed=1"), Is.EqualTo(Output("zoo:mnist-net?seed=1")));
        Assert.That(Output("zoo:mnist-net?seed=1"), Is.Not.EqualTo(Output("zoo:mnist-net?seed=2")));
    }

    [Test]
    public void Preprocessing_is_the_normalisation_it_names()
    {
        var path = Path.Combine(Sample.Folder, "digits", "8.png");
        var plain = Sample.Network.LoadInput(path);
        var own = Sample.Network.LoadInput(path, Preprocessing.Normalize([0.1307], [0.3081]));
        Assert.That(own, Is.EqualTo(Sample.Eight));
        Assert.That(Sample.Eight, Is.EqualTo(plain.Select(x => (x - 0.1307) / 0.3081)).Within(1e-15));
        Assert.That(plain, Is.All.InRange(0.0, 1.0));
    }

    [Test]
    public void A_missing_file_is_named()
    {
        var failure = Assert.Throws<ModelFileException>(() => Network.Load("missing.safetensors", "mnist-net"))!;
        Assert.That(failure.File, Is.EqualTo("missing.safetensors"));
        Assert.That(failure.Message, Is.EqualTo("missing.safetensors: there is no such file"));
        Assert.That(failure, Is.InstanceOf<LipVerifyException>());
    }

    [Test]
    public void A_wrong_architecture_is_told_with_both_shapes()
    {
        var failure = Assert.Throws<ModelFileException>(() => Network.Load(Sample.Weights, "cifar10-net"))!;
        Assert.That(failure.Message, Does.Contain("conv1.weight").And.Contain("32×3×3×3").And.Contain("6×1×5×5"));
    }

    [TestCase("lenet")]
    [TestCase("missing.json")]
    public void An_unknown_architecture_is_named(string architecture)
    {
        var failure = Assert.Throws<ModelFileException>(() => Network.Load(Sample.Weights, architecture))!;
        Assert.That(failure.Message, Does.Contain(architecture));
    }

    [Test]
    public void A_state_dict_without_architecture_is_refused() =>
        Assert.That(Assert.Throws<ModelFileException>(() => Network.Load(Sample.Weights))!.Message, Does.Contain("architecture"));

    [Test]
    public void An_input_of_another_shape_is_refused_with_both_shapes()
    {
        var network = Network.Load("zoo:cifar10-net");
        var failure = Assert.Throws<ModelFileException>(() => network.LoadInput(Path.Combine(Sample.Folder, "digits", "8.png")))!;
        Assert.That(failure.Message, Does.Contain("3×32×32").And.Contain("1×28×28"));
    }

    [Test]
    public void Bad_values_are_refused_with_the_name_of_the_parameter()
    {
        var shortInput = Assert.Throws<ArgumentException>(() => Sample.Network.Evaluate(new double[783]))!;
        Assert.That(shortInput.ParamName, Is.EqualTo("input"));
        Assert.That(shortInput.Message, Does.Contain("1×28×28 = 784").And.Contain("783"));

        var input = (double[])Sample.Eight.Clone();
        input[5] = double.NaN;
        Assert.That(Assert.Throws<ArgumentException>(() => Sample.Network.Evaluate(input))!.Message, Does.Contain("NaN"));
    }

    [Test]
    public void Deviations_must_be_positive() =>
        Assert.That(() => Preprocessing.Normalize([0.5], [0.0]), Throws.ArgumentException.With.Message.Contain("positive"));

    [Test]
    public void Null_is_refused()
    {
        Assert.That(() => Network.Load(null!), Throws.ArgumentNullException);
        Assert.That(() => Sample.Network.LoadInput(null!), Throws.ArgumentNullException);
        Assert.That(() => LipschitzBound.Global(null!), Throws.ArgumentNullException);
        Assert.That(() => LipschitzBound.Local(null!, [], 1), Throws.ArgumentNullException);
        Assert.That(() => Preprocessing.Normalize(null!, [1]), Throws.ArgumentNullException);
    }
}
