using NUnit.Framework;

namespace LipVerify.Facade.Tests;

public class LipschitzBoundTests
{
    // Golden figures of samples/mnist at digits/8.png, computed once with either engine. Relative; they guard against
    // changes, and the command line's tests hold the same figures.
    private const double Stable = 1e-6;

    [TestCase(0.1, Definition.Nominal, 20.69699071)]
    [TestCase(0.1, Definition.Uniform, 22.28217654)]
    [TestCase(1.0, Definition.Nominal, 36.43959569)]
    public void Local_bounds_keep_their_golden_figures(double radius, Definition definition, double golden)
    {
        var bound = LipschitzBound.Local(Sample.Network, Sample.Eight, radius, Sample.Options with { Definition = definition });
        Assert.That(bound.Value, Is.EqualTo(golden).Within(golden * Stable));
        Assert.That(bound.Rigor.Kind, Is.EqualTo(RigorKind.Certified));
        Assert.That(bound.Rigor.FailureProbability, Is.Zero);
    }

    [Test]
    public void Every_method_of_the_list_bounds_a_small_network_and_none_lies_below_what_is_attained()
    {
        var network = Models.Chain([[1, 0.5], [-0.25, 1], [2, -1]], [[1, -2, 0.5]]);
        double[] input = [0.5, -0.25];
        Assert.That(LipschitzBound.Methods, Is.Not.Empty);
        foreach (var method in LipschitzBound.Methods)
        {
            int? output = method.BoundsOneOutput ? 0 : null;
            foreach (var norm in method.Norms)
            {
                var attained = LowerBound.GradientAscent(network, input, 0.5, norm, Sample.Options).Value;
                LipschitzBound Bound() => method.BoundsBalls
                    ? LipschitzBound.Compute(method.Name, network, input, 0.5, norm, output, null, Sample.Options)
                    : LipschitzBound.Compute(method.Name, network, norm, output, null, Sample.Options);
                try
                {
                    if (Bound().Rigor.Kind is not RigorKind.Estimate)
                        Assert.That(Bound().Value, Is.GreaterThanOrEqualTo(attained * (1 - 1e-9)), $"{method.Name}, {norm}");
                }
                catch (ArgumentException refusal) when (refusal.Message.Contains("Debian package"))
                {
                    // A solver that is not installed is another matter.
                }
            }
        }
    }

    [Test]
    public void A_method_that_is_none_is_named_with_those_that_there_are()
    {
        var unknown = Assert.Throws<ArgumentException>(() => LipschitzBound.Compute("nope", Sample.Network));
        Assert.That(unknown!.Message, Does.Contain("\"nope\"").And.Contain("analytic").And.Contain("recurjac"));
        var local = Assert.Throws<ArgumentException>(() => LipschitzBound.Compute("analytic", Sample.Network));
        Assert.That(local!.Message, Does.Contain("needs an input and a radius"));
        var one = Assert.Throws<ArgumentException>(() => LipschitzBound.Compute("shor", Sample.Network));
        Assert.That(one!.Message, Does.Contain("needs an output"));
    }

    [Test]
    public void Slopes_from_tighter_enclosures_give_smaller_bounds()
    {
        double Bound(Enclosure enclosure) =>
            LipschitzBound.Local(Sample.Network, Sample.Eight, 0.1, Sample.Options with { Enclosure = enclosure }).Value;

        Assert.That(Bound(Enclosure.Crown), Is.LessThan(0.99 * Bound(Enclosure.Ball)));
        Assert.That(Bound(Enclosure.Interval), Is.LessThanOrEqualTo(Bound(Enclosure.Ball) * (1 + 1e-9)));
    }

    [Test]
    public void Local_LipSDP_lies_below_Algorithm_1_and_explains_itself([Values] Definition definition)
    {
        var options = Sample.Options with { Definition = definition };
        var local = LipschitzBound.Local(Sample.Network, Sample.Eight, 0.05, options);
        var tight = LipschitzBound.LocalLipSdp(Sample.Network, Sample.Eight, 0.05, null, options);
        Assert.That(tight.Value, Is.GreaterThan(0).And.LessThan(local.Value));
        Assert.That(tight.Rigor.Kind, Is.EqualTo(RigorKind.Certified));
        Assert.That(tight.Explanation, Does.Contain("multipliers"));
        Assert.That(local.Explanation, Is.Null);
    }

    [Test]
    public void The_structured_bound_lies_below_Algorithm_1_rests_on_draws_and_explains_itself([Values] Definition definition)
    {
        var options = Sample.Options with { Definition = definition, FailureProbability = 1e-6 };
        var local = LipschitzBound.Local(Sample.Network, Sample.Eight, 0.001, options);
        var progress = new Recorder(_ => { });
        var tight = LipschitzBound.Structured(Sample.Network, Sample.Eight, 0.001, null, options, progress);
        Assert.That(tight.Value, Is.GreaterThan(0).And.LessThan(0.5 * local.Value));
        Assert.That(tight.Rigor.Kind, Is.EqualTo(RigorKind.Probabilistic));
        Assert.That(tight.Rigor.FailureProbability, Is.Positive.And.LessThanOrEqualTo(1e-6));
        Assert.That(tight.Explanation, Does.Contain("the whole network"));
        Assert.That(tight.Layers, Has.Count.EqualTo(local.Layers.Count));
        Assert.That(progress.Lines, Has.Some.Contain("slopes that are not known"));
    }

    [Test]
    public void The_structured_bound_without_time_is_that_of_Algorithm_1_or_of_the_product_of_layers()
    {
        var ended = LipschitzBound.Structured(Sample.Network, Sample.Eight, 0.001, TimeSpan.Zero, Sample.Options);
        Assert.That(
            ended.Value, Is.GreaterThanOrEqualTo(LipschitzBound.Local(Sample.Network, Sample.Eight, 0.001, Sample.Options).Value));
        Assert.That(ended.Explanation, Does.Contain("Algorithm 1"));
        var everywhere = LipschitzBound.Structured(Sample.Network, TimeSpan.Zero, Sample.Options);
        Assert.That(everywhere.Value, Is.GreaterThanOrEqualTo(LipschitzBound.Global(Sample.Network, Sample.Options).Value));
        Assert.That(everywhere.Layers, Is.All.Matches<LayerBound>(layer => layer.RadiusIn is null));
        Assert.That(everywhere.Explanation, Does.Contain("product of layers"));
    }

    [Test]
    public void The_structured_bound_of_an_affine_network_is_the_norm_of_its_matrix()
    {
        // Loose by 0.2 % at most, the tolerance of its certificate.
        var network = Models.Linear([4, 0], [0, 1]);
        Assert.That(LipschitzBound.Structured(network, [1, 2], 0.5).Value, Is.InRange(4, 4 * 1.002));
        Assert.That(LipschitzBound.Structured(network).Value, Is.InRange(4, 4 * 1.002));
    }

    [TestCase(Norm.Euclidean, 4.0)]
    [TestCase(Norm.Maximum, 4.0)]
    [TestCase(Norm.Taxicab, 5.0)]
    public void Elementwise_bounds_of_an_affine_network_are_the_norm_of_its_matrix(Norm norm, double expected)
    {
        var network = norm == Norm.Euclidean ? Models.Linear([4, 0], [0, 1]) : Models.Linear([3, 1], [-2, -1]);
        foreach (var bound in new[]
        {
            LipschitzBound.FastLip(network, [1, 2], 0.5, norm), LipschitzBound.RecurJac(network, [1, 2], 0.5, norm),
        })
        {
            // The spectral certificate is loose by 1e-9 at most.
            Assert.That(bound.Value, Is.GreaterThanOrEqualTo(expected).And.LessThan(expected * (1 + 1e-8)));
            Assert.That(bound.Rigor.Kind, Is.EqualTo(RigorKind.Certified));
            Assert.That(bound.Layers, Is.Empty);
        }
    }

    [Test]
    public void RecurJac_ended_by_its_time_limit_says_so_and_is_not_below_FastLip_with_time_enough()
    {
        var ended = LipschitzBound.RecurJac(Sample.Network, Sample.Eight, 0.01, Norm.Maximum, TimeSpan.Zero, Sample.Options);
        var fastLip = LipschitzBound.FastLip(Sample.Network, Sample.Eight, 0.01, Norm.Maximum, Sample.Options);
        Assert.That(ended.Value, Is.GreaterThanOrEqualTo(fastLip.Value).And.LessThan(double.PositiveInfinity));
        Assert.That(ended.Explanation, Does.Contain("the time was over"));
        Assert.That(fastLip.Explanation, Is.Null);
    }

    [Test]
    public void Elementwise_bounds_refuse_a_norm_that_is_none() =>
        Assert.That(
            () => LipschitzBound.RecurJac(Models.Linear([1, 0]), [1, 2], 0.5, (Norm)7),
            Throws.InstanceOf<ArgumentOutOfRangeException>());

    [TestCase(Norm.Euclidean)]
    [TestCase(Norm.Maximum)]
    public void Exact_ends_hold_each_other_within_the_goal(Norm norm)
    {
        var matrix = Models.Linear([3, 1], [-2, -1]);
        var exact = LipschitzBound.Exact(matrix, [1, 2], 0.5, norm, TimeSpan.FromMinutes(1));
        double expected = norm == Norm.Maximum ? 4 : Math.Sqrt((15 + Math.Sqrt(15 * 15 - 4)) / 2);
        Assert.That(exact.Upper.Value, Is.EqualTo(expected).Within(1e-3 * expected));
        Assert.That(exact.Lower, Is.EqualTo(expected).Within(1e-3 * expected));
        Assert.That(exact.Gap, Is.InRange(0, 1e-3));
        Assert.That(exact.Explanation, Is.EqualTo(exact.Upper.Explanation));
        Assert.That(LipschitzBound.FastLip(matrix, [1, 2], 0.5, norm).Value, Is.GreaterThanOrEqualTo(exact.Upper.Value));
    }

    [Test]
    public void Exact_says_why_a_network_is_not_branched_and_refuses_the_1_norm()
    {
        var exact = LipschitzBound.Exact(Sample.Network, Sample.Eight, 0.01, Norm.Maximum, TimeSpan.FromMinutes(1), Sample.Options);
        Assert.That(exact.Explanation, Does.StartWith("not branched"));
        Assert.That(exact.Regions, Is.Zero);
        Assert.That(exact.Lower, Is.Positive.And.LessThan(exact.Upper.Value));
        Assert.That(exact.LowerRigor.Kind, Is.EqualTo(RigorKind.Certified));
        Assert.That(
            () => LipschitzBound.Exact(Sample.Network, Sample.Eight, 0.01, Norm.Taxicab),
            Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void The_global_bound_keeps_its_golden_figure()
    {
        var bound = LipschitzBound.Global(Sample.Network, Sample.Options);
        Assert.That(bound.Value, Is.EqualTo(57.10365451).Within(57.10365451 * Stable));
        Assert.That(bound.Rigor, Is.EqualTo(new Rigor(RigorKind.Certified, 0)));
        Assert.That(bound.Layers, Is.All.Matches<LayerBound>(layer => layer.RadiusIn is null && layer.RadiusOut is null));
    }

    [Test]
    public void LipSDP_without_time_is_a_coarse_product_of_norms_and_explains_itself([Values] LipSdpMode mode)
    {
        var product = LipschitzBound.Global(Sample.Network, Sample.Options);
        var bound = LipschitzBound.LipSdp(Sample.Network, mode, TimeSpan.Zero, Sample.Options);
        Assert.That(bound.Value, Is.GreaterThanOrEqualTo(product.Value).And.LessThan(double.PositiveInfinity));
        Assert.That(bound.Layers, Has.Count.EqualTo(product.Layers.Count));
        Assert.That(bound.Explanation, Does.Contain("product of norms"));
        Assert.That(
            () => LipschitzBound.LipSdp(Sample.Network, (LipSdpMode)7), Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void Local_bounds_grow_with_the_radius_up_to_the_global_bound([Values] Definition definition)
    {
        var options = Sample.Options with { Definition = definition };
        double[] radii = [0, 1e-3, 0.03, 0.3, 3, 1e6];
        var values = radii.Select(radius => LipschitzBound.Local(Sample.Network, Sample.Eight, radius, options).Value).ToArray();
        Assert.That(values, Is.Ordered);
        // Both are rounded upward by their own way.
        Assert.That(values[^1], Is.LessThanOrEqualTo(LipschitzBound.Global(Sample.Network, options).Value * (1 + 1e-9)));
    }

    [Test]
    public void The_uniform_bound_is_never_below_the_nominal_one([Values(0.0, 0.01, 0.1, 1.0, 10.0)] double radius)
    {
        var nominal = LipschitzBound.Local(Sample.Network, Sample.Eight, radius, Sample.Options);
        var uniform = LipschitzBound.Local(
            Sample.Network, Sample.Eight, radius, Sample.Options with { Definition = Definition.Uniform });
        Assert.That(uniform.Value, Is.GreaterThanOrEqualTo(nominal.Value));
    }

    [Test]
    public void The_bound_is_the_product_of_its_layers_and_radii_chain()
    {
        var bound = LipschitzBound.Local(Sample.Network, Sample.Eight, 0.1, Sample.Options);
        Assert.That(bound.Layers.Select(layer => layer.Index), Is.EqualTo(new[] { 0, 2, 3, 5, 7, 9, 11 }));
        Assert.That(bound.Layers.Select(layer => layer.Name), Is.SubsetOf(Sample.Network.Layers.Select(layer => layer.Name)));
        Assert.That(bound.Layers[0].Kind, Is.EqualTo("conv2d+relu"));
        Assert.That(bound.Layers[0].RadiusIn, Is.EqualTo(0.1));
        // Seven products here and there, each off by at most 2⁻⁵²: 14 · 2.2e-16.
        var product = bound.Layers.Aggregate(1.0, (product, layer) => product * layer.Lipschitz);
        Assert.That(bound.Value, Is.EqualTo(product).Within(3.2e-15 * product));
        foreach (var (before, after) in bound.Layers.Zip(bound.Layers.Skip(1)))
            Assert.That(after.RadiusIn, Is.EqualTo(before.RadiusOut));
        Assert.That(bound.Layers, Is.All.Matches<LayerBound>(layer => layer.Active >= 0 && layer.Active <= layer.Size));
    }

    [Test]
    public void The_engines_agree()
    {
        double Value(string engine) => LipschitzBound.Local(Sample.Network, Sample.Eight, 0.1, new() { Engine = engine }).Value;
        Assert.That(Value("managed"), Is.EqualTo(Value("auto")).Within(1e-9));
    }

    [Test]
    public void A_cancelled_token_ends_the_computation()
    {
        var cancelled = new CancellationToken(canceled: true);
        Assert.That(
            () => LipschitzBound.Local(Sample.Network, Sample.Eight, 0.1, Sample.Options, null, cancelled),
            Throws.InstanceOf<OperationCanceledException>());
        Assert.That(
            () => LipschitzBound.Global(Sample.Network, Sample.Options, null, cancelled),
            Throws.InstanceOf<OperationCanceledException>());
    }

    [Test]
    public void Cancellation_between_two_layers_is_honoured_and_progress_tells_the_layers()
    {
        using var source = new CancellationTokenSource();
        var progress = new Recorder(line =>
        {
            if (line.Contains("conv2")) source.Cancel();
        });
        var failure = Assert.Catch<OperationCanceledException>(
            () => LipschitzBound.Local(Sample.Network, Sample.Eight, 0.1, Sample.Options, progress, source.Token))!;
        Assert.That(failure.CancellationToken, Is.EqualTo(source.Token));
        Assert.That(progress.Lines, Has.Some.Contain("conv1"));
        Assert.That(progress.Lines, Has.None.Contain("fc2"));
    }

    [TestCase(-1.0)]
    [TestCase(double.NaN)]
    [TestCase(double.PositiveInfinity)]
    public void A_radius_that_is_none_is_refused(double radius)
    {
        var failure = Assert.Throws<ArgumentOutOfRangeException>(() => LipschitzBound.Local(Sample.Network, Sample.Eight, radius))!;
        Assert.That(failure.ParamName, Is.EqualTo("radius"));
        Assert.That(failure.ActualValue, Is.EqualTo(radius));
    }

    [Test]
    public void An_input_of_the_wrong_length_is_refused()
    {
        var failure = Assert.Throws<ArgumentException>(() => LipschitzBound.Local(Sample.Network, [1, 2, 3], 0.1))!;
        Assert.That(failure.ParamName, Is.EqualTo("input"));
        Assert.That(failure.Message, Does.Contain("784").And.Contain("3"));
    }

    [Test]
    public void An_unknown_engine_is_named_with_those_that_there_are()
    {
        var failure = Assert.Throws<EngineUnavailableException>(
            () => LipschitzBound.Global(Sample.Network, new() { Engine = "abacus" }))!;
        Assert.That(failure.Engine, Is.EqualTo("abacus"));
        Assert.That(failure.Message, Does.Contain("abacus").And.Contain("managed"));
        Assert.That(failure, Is.InstanceOf<LipVerifyException>());
    }

    [Test]
    public void Options_that_make_no_sense_are_refused()
    {
        Assert.That(() => new BoundOptions { Threads = -1 }, Throws.InstanceOf<ArgumentOutOfRangeException>());
        Assert.That(() => new BoundOptions { Definition = (Definition)7 }, Throws.InstanceOf<ArgumentOutOfRangeException>());
    }
}
