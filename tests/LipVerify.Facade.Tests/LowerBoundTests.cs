using NUnit.Framework;

namespace LipVerify.Facade.Tests;

public class LowerBoundTests
{
    private const double Radius = 0.1;

    // Logits are off by at most 1e-10 (NetworkTests); a slope over a distance d thus by 2e-10/d.
    private const double LogitTolerance = 1e-10;

    private static IEnumerable<TestCaseData> Searches()
    {
        foreach (var definition in Enum.GetValues<Definition>())
        {
            var options = Sample.Options with { Definition = definition };
            TestCaseData Case(string name, Func<LowerBound> find) => new TestCaseData(find, options).SetArgDisplayNames(name, $"{definition}");
            yield return Case("best", () => LowerBound.Best(Sample.Network, Sample.Eight, Radius, options));
            yield return Case("gradient ascent", () => LowerBound.GradientAscent(Sample.Network, Sample.Eight, Radius, options));
            yield return Case("sampling", () => LowerBound.Sampling(Sample.Network, Sample.Eight, Radius, 300, options));
        }
    }

    [TestCaseSource(nameof(Searches))]
    public void Lower_bounds_lie_below_upper_ones_and_their_witnesses_attain_them(Func<LowerBound> find, BoundOptions options)
    {
        var lower = find();
        Assert.That(lower.Rigor, Is.EqualTo(new Rigor(RigorKind.Certified, 0)));
        Assert.That(lower.Value, Is.Positive);
        Assert.That(lower.Value, Is.LessThanOrEqualTo(LipschitzBound.Local(Sample.Network, Sample.Eight, Radius, options).Value));
        AssertAttained(lower, Sample.Eight);
    }

    [TestCase(Norm.Maximum, 4.0)]
    [TestCase(Norm.Taxicab, 5.0)]
    public void Lower_bounds_of_an_affine_network_in_each_norm_are_the_norm_of_its_matrix(Norm norm, double expected)
    {
        var network = Models.Linear([3, 1], [-2, -1]);
        foreach (var bound in new[]
        {
            LowerBound.Best(network, [1, 2], 0.5, norm), LowerBound.GradientAscent(network, [1, 2], 0.5, norm),
            LowerBound.Jacobian(network, [1, 2], 0.5, norm).Bound!,
        })
        {
            Assert.That(bound.Value, Is.EqualTo(expected).Within(1e-6 * expected).And.LessThanOrEqualTo(expected));
            Assert.That(bound.Rigor.Kind, Is.EqualTo(RigorKind.Certified));
        }
        Assert.That(LowerBound.Sampling(network, [1, 2], 0.5, norm, 100).Value, Is.InRange(0.3 * expected, expected));
        Assert.That(() => LowerBound.Best(network, [1, 2], 0.5, (Norm)7), Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void Without_a_norm_lower_bounds_are_those_in_the_2_norm() =>
        Assert.That(
            LowerBound.Sampling(Sample.Network, Sample.Eight, Radius, 20, Sample.Options).Value,
            Is.EqualTo(LowerBound.Sampling(Sample.Network, Sample.Eight, Radius, Norm.Euclidean, 20, Sample.Options).Value));

    [Test]
    public void A_nominal_pair_starts_at_the_input()
    {
        var sampled = LowerBound.Sampling(Sample.Network, Sample.Eight, Radius, 10, Sample.Options);
        Assert.That(sampled.Witness, Is.InstanceOf<PairWitness>());
        Assert.That(((PairWitness)sampled.Witness!).From, Is.EqualTo(Sample.Eight));
    }

    [Test]
    public void The_jacobian_is_attained_along_a_direction_and_bounds_from_below([Values] Definition definition)
    {
        var options = Sample.Options with { Definition = definition };
        var noise = Sample.Network.LoadInput("random?seed=3");
        var jacobian = LowerBound.Jacobian(Sample.Network, noise, Radius, options);
        Assert.That(jacobian.Kinks, Is.Empty);
        Assert.That(jacobian.Bound!.Witness, Is.InstanceOf<DirectionWitness>());
        Assert.That(((DirectionWitness)jacobian.Bound.Witness!).Point, Is.EqualTo(noise));
        Assert.That(jacobian.Bound.Rigor.Kind, Is.EqualTo(RigorKind.Certified));
        Assert.That(jacobian.Bound.Value, Is.LessThanOrEqualTo(LipschitzBound.Local(Sample.Network, noise, Radius, options).Value));
        AssertAttained(jacobian.Bound, noise);
    }

    [Test]
    public void The_best_is_not_below_the_jacobian()
    {
        var noise = Sample.Network.LoadInput("random?seed=3");
        var jacobian = LowerBound.Jacobian(Sample.Network, noise, Radius, Sample.Options).Bound!;
        Assert.That(
            LowerBound.Best(Sample.Network, noise, Radius, Sample.Options).Value, Is.GreaterThanOrEqualTo(jacobian.Value));
    }

    [Test]
    public void The_jacobian_of_an_affine_network_is_its_norm()
    {
        var jacobian = LowerBound.Jacobian(Models.Linear([3, 0], [0, 4]), [1, 1], Radius, Sample.Options);
        Assert.That(jacobian.Bound!.Value, Is.LessThanOrEqualTo(4.0));
        Assert.That(jacobian.Bound.Value, Is.EqualTo(4.0).Within(1e-6));
    }

    [Test]
    public void Where_the_network_may_bend_the_layers_are_named()
    {
        // Around the digit all pixels are black, so that the members of pooling windows are equal.
        var jacobian = LowerBound.Jacobian(Sample.Network, Sample.Eight, Radius, Sample.Options);
        Assert.That(jacobian.Bound, Is.Null);
        var pooling = Sample.Network.Layers.First(layer => layer.Kind == "maxpool2d");
        Assert.That(jacobian.Kinks.Select(kink => kink.Layer), Has.Member(pooling));
        Assert.That(jacobian.Kinks, Is.All.Matches<Kink>(kink => kink.Layer.Kind is "relu" or "maxpool2d"));
        Assert.That(
            jacobian.Kinks,
            Is.All.Matches<Kink>(kink => kink.Outputs >= 1 && kink.Outputs <= kink.Layer.OutputShape.Aggregate(1, (a, b) => a * b)));
    }

    [Test]
    public void At_radius_zero_there_is_no_slope()
    {
        var bounds = new[]
        {
            LowerBound.Best(Sample.Network, Sample.Eight, 0, Sample.Options),
            LowerBound.GradientAscent(Sample.Network, Sample.Eight, 0, Sample.Options),
            LowerBound.Sampling(Sample.Network, Sample.Eight, 0, 10, Sample.Options),
            LowerBound.Jacobian(Sample.Network, Sample.Network.LoadInput("random?seed=3"), 0, Sample.Options).Bound!,
        };
        foreach (var bound in bounds)
        {
            Assert.That(bound.Value, Is.Zero);
            Assert.That(bound.Witness, Is.Null);
        }
    }

    [Test]
    public void Equal_seeds_give_equal_bounds_and_other_seeds_other_ones()
    {
        double Value(int seed) =>
            LowerBound.Sampling(Sample.Network, Sample.Eight, Radius, 50, Sample.Options with { Seed = seed }).Value;
        Assert.That(Value(1), Is.EqualTo(Value(1)));
        Assert.That(Value(1), Is.Not.EqualTo(Value(2)));
    }

    [TestCase(-1.0)]
    [TestCase(double.NaN)]
    [TestCase(double.PositiveInfinity)]
    public void A_radius_that_is_none_is_refused(double radius)
    {
        foreach (var find in Everything(Sample.Network, Sample.Eight, radius))
            Assert.That(() => find(default), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("radius"));
    }

    [Test]
    public void Bad_arguments_are_refused()
    {
        foreach (var find in Everything(null!, Sample.Eight, Radius))
            Assert.That(() => find(default), Throws.ArgumentNullException);
        foreach (var find in Everything(Sample.Network, [1, 2, 3], Radius))
            Assert.That(() => find(default), Throws.ArgumentException.With.Property("ParamName").EqualTo("input"));
        Assert.That(
            () => LowerBound.Sampling(Sample.Network, Sample.Eight, Radius, 0),
            Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("count"));
    }

    [Test]
    public void A_cancelled_token_ends_every_search()
    {
        foreach (var find in Everything(Sample.Network, Sample.Eight, Radius))
            Assert.That(() => find(new CancellationToken(canceled: true)), Throws.InstanceOf<OperationCanceledException>());
    }

    [Test]
    public void Cancellation_ends_gradient_ascent_between_two_rounds()
    {
        using var source = new CancellationTokenSource();
        var progress = new Recorder(_ => source.Cancel());
        var failure = Assert.Catch<OperationCanceledException>(
            () => LowerBound.GradientAscent(Sample.Network, Sample.Eight, Radius, Sample.Options, progress, source.Token))!;
        Assert.That(failure.CancellationToken, Is.EqualTo(source.Token));
        Assert.That(progress.Lines, Has.Count.EqualTo(1));
    }

    private static Action<CancellationToken>[] Everything(Network network, double[] input, double radius) =>
    [
        stop => LowerBound.Best(network, input, radius, Sample.Options, null, stop),
        stop => LowerBound.GradientAscent(network, input, radius, Sample.Options, null, stop),
        stop => LowerBound.Sampling(network, input, radius, 10, Sample.Options, null, stop),
        stop => LowerBound.Jacobian(network, input, radius, Sample.Options, null, stop),
    ];

    /// <summary>Recomputes the slope at the witness, which must lie in the ball: the bound neither exceeds it nor falls far below.</summary>
    private static void AssertAttained(LowerBound bound, double[] input)
    {
        var (from, to) = bound.Witness switch
        {
            PairWitness pair => (pair.From, pair.To),
            // A step so short that the network stays on one linear piece, where the slope is that of the limit.
            DirectionWitness ray => (ray.Point, Vectors.Step(ray.Point, 1e-5, ray.Direction)),
            _ => throw new AssertionException("a positive bound has a witness"),
        };
        // Distances are sums of 784 squares: γ_784 ≈ 2e-13.
        Assert.That(Vectors.Distance(from, input), Is.LessThanOrEqualTo(Radius * (1 + 1e-12)));
        Assert.That(Vectors.Distance(to, input), Is.LessThanOrEqualTo(Radius * (1 + 1e-12)));
        double slope = Sample.Network.Slope(from, to);
        double error = 2 * LogitTolerance / Vectors.Distance(from, to);
        Assert.That(bound.Value, Is.LessThanOrEqualTo(slope + error));
        Assert.That(bound.Value, Is.EqualTo(slope).Within(1e-3 * slope), "a slope over such distances loses little to its enclosure");
    }
}
