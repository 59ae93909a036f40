using NUnit.Framework;

namespace LipVerify.Facade.Tests;

public class CertifiedRadiusTests
{
    [Test]
    public void A_radius_follows_from_the_bound_that_shows_it([Values] Definition definition)
    {
        var found = CertifiedRadius.Analytic(Sample.Network, Sample.Eight, Sample.Options with { Definition = definition });
        var logits = Sample.Network.Evaluate(Sample.Eight, Sample.Options).OrderDescending().ToArray();
        Assert.That(found.Label, Is.EqualTo(8));
        Assert.That(found.Rigor, Is.EqualTo(new Rigor(RigorKind.Certified, 0)));
        // Logits are off by at most 1e-10 (NetworkTests).
        Assert.That(found.TopTwoGap, Is.EqualTo(logits[0] - logits[1]).Within(1e-9));
        Assert.That(found.Radius, Is.Positive);
        // Proposition 6 with the bound over a ball at least as large; the product of three doubles is off by less than 1e-15.
        Assert.That(found.Lipschitz, Is.Not.Null);
        Assert.That(Math.Sqrt(2) * found.Lipschitz!.Value * found.Radius, Is.LessThanOrEqualTo(found.TopTwoGap * (1 + 1e-14)));
        var over = LipschitzBound.Local(Sample.Network, Sample.Eight, found.Radius, Sample.Options with { Definition = definition });
        Assert.That(over.Value, Is.LessThanOrEqualTo(found.Lipschitz * (1 + 1e-9)));
    }

    [Test]
    public void The_search_closes_in_on_the_radius()
    {
        var found = CertifiedRadius.Analytic(Sample.Network, Sample.Eight, Sample.Options);
        Assert.That(found.NotShownAt, Is.GreaterThan(found.Radius));
        Assert.That(found.NotShownAt, Is.EqualTo(found.Radius).Within(1e-6 * found.Radius));
        Assert.That(found.Evaluations, Is.GreaterThan(1));
    }

    [Test]
    public void The_global_bound_certifies_less_than_local_ones()
    {
        var everywhere = CertifiedRadius.Global(Sample.Network, Sample.Eight, Sample.Options);
        var local = CertifiedRadius.Analytic(Sample.Network, Sample.Eight, Sample.Options);
        Assert.That(everywhere.Lipschitz, Is.EqualTo(LipschitzBound.Global(Sample.Network, Sample.Options).Value));
        Assert.That(everywhere.Radius, Is.Positive.And.LessThan(local.Radius));
        Assert.That(everywhere.Label, Is.EqualTo(local.Label));
        Assert.That(everywhere.Evaluations, Is.EqualTo(1));
    }

    [Test]
    public void Margins_certify_more_than_a_bound_on_all_outputs()
    {
        var analytic = CertifiedRadius.Analytic(Sample.Network, Sample.Eight, Sample.Options);
        var crown = CertifiedRadius.Crown(Sample.Network, Sample.Eight, Sample.Options);
        var multipliers = CertifiedRadius.LocalLipSdp(Sample.Network, Sample.Eight, TimeSpan.Zero, Sample.Options);
        Assert.That(crown.Radius, Is.GreaterThan(analytic.Radius));
        Assert.That(crown.Label, Is.EqualTo(analytic.Label));
        Assert.That(crown.Rigor, Is.EqualTo(new Rigor(RigorKind.Certified, 0)));
        Assert.That(crown.Lipschitz, Is.Null);
        Assert.That(multipliers.Radius, Is.Positive.And.LessThan(crown.Radius), "without time one bound has to do");
        Assert.That(multipliers.Label, Is.EqualTo(analytic.Label));
    }

    [Test]
    public void Structured_bounds_certify_no_less_than_Algorithm_1_and_no_more_than_there_is()
    {
        // The boundary is √2 away, and both are loose by 0.2 % at most.
        var found = CertifiedRadius.Structured(Models.Linear([1, 0], [0, 1]), [3, 1], options: Sample.Options);
        Assert.That(found.Label, Is.Zero);
        Assert.That(found.Radius, Is.InRange(Math.Sqrt(2) * 0.998, Math.Sqrt(2)));
        Assert.That(found.Lipschitz, Is.Not.Null);
        var ended = CertifiedRadius.Structured(Sample.Network, Sample.Eight, TimeSpan.Zero, Sample.Options);
        Assert.That(ended.Label, Is.EqualTo(8));
        Assert.That(ended.Radius, Is.Positive);
    }

    [Test]
    public void Multipliers_on_the_margin_of_an_affine_network_reach_the_boundary()
    {
        var found = CertifiedRadius.LocalLipSdp(Models.Linear([1, 0], [0, 1]), [3, 1], options: Sample.Options);
        Assert.That(found.Radius, Is.LessThanOrEqualTo(Math.Sqrt(2)));
        Assert.That(found.Radius, Is.EqualTo(Math.Sqrt(2)).Within(1e-2));
    }

    [Test]
    public void A_tie_leaves_the_class_undecided()
    {
        var found = CertifiedRadius.Analytic(Models.Linear([1, 0], [0, 1]), [1, 1], Sample.Options);
        Assert.That(found.Label, Is.Null);
        Assert.That(found.Radius, Is.Zero);
        Assert.That(found.TopTwoGap, Is.LessThanOrEqualTo(0.0));
    }

    [Test]
    public void The_radius_of_an_affine_network_is_the_distance_to_the_boundary()
    {
        // f = (x, y): L = 1, δ = 3 − 1, and the boundary x = y is √2 away.
        var found = CertifiedRadius.Analytic(Models.Linear([1, 0], [0, 1]), [3, 1], Sample.Options);
        Assert.That(found.Label, Is.Zero);
        Assert.That(found.Radius, Is.LessThanOrEqualTo(Math.Sqrt(2)));
        Assert.That(found.Radius, Is.EqualTo(Math.Sqrt(2)).Within(1e-6));
    }

    [Test]
    public void A_constant_network_keeps_its_class_everywhere()
    {
        var found = CertifiedRadius.Global(Models.Affine([[0, 0], [0, 0]], [1, 0]), [3, 4], Sample.Options);
        Assert.That(found.Label, Is.Zero);
        Assert.That(found.Lipschitz, Is.Zero);
        Assert.That(found.Radius, Is.EqualTo(1e100));
        Assert.That(found.NotShownAt, Is.Null);
    }

    [Test]
    public void A_network_with_a_single_output_is_refused()
    {
        var network = Models.Linear([1, 2]);
        foreach (var find in new Action[]
                 {
                     () => CertifiedRadius.Analytic(network, [1, 1], Sample.Options),
                     () => CertifiedRadius.Global(network, [1, 1], Sample.Options),
                     () => CertifiedRadius.Structured(network, [1, 1], null, Sample.Options),
                 })
        {
            var failure = Assert.Throws<ArgumentException>(() => find())!;
            Assert.That(failure.ParamName, Is.EqualTo("network"));
            Assert.That(failure.Message, Does.Contain("single output"));
        }
    }

    [Test]
    public void Bad_arguments_are_refused()
    {
        Assert.That(() => CertifiedRadius.Analytic(null!, []), Throws.ArgumentNullException);
        Assert.That(() => CertifiedRadius.Global(null!, []), Throws.ArgumentNullException);
        Assert.That(() => CertifiedRadius.Structured(null!, []), Throws.ArgumentNullException);
        Assert.That(
            () => CertifiedRadius.Analytic(Sample.Network, [1, 2, 3]), Throws.ArgumentException.With.Property("ParamName").EqualTo("input"));
        Assert.That(
            () => CertifiedRadius.Global(Sample.Network, [1, 2, 3]), Throws.ArgumentException.With.Property("ParamName").EqualTo("input"));
        Assert.That(
            () => CertifiedRadius.Global(Sample.Network, Sample.Eight, new() { Engine = "abacus" }),
            Throws.InstanceOf<EngineUnavailableException>());
    }

    [Test]
    public void Cancellation_ends_a_search_between_two_steps()
    {
        using var source = new CancellationTokenSource();
        var progress = new Recorder(_ => source.Cancel());
        var failure = Assert.Catch<OperationCanceledException>(
            () => CertifiedRadius.Analytic(Sample.Network, Sample.Eight, Sample.Options, progress, source.Token))!;
        Assert.That(failure.CancellationToken, Is.EqualTo(source.Token));
        Assert.That(progress.Lines, Has.Some.Contain("radius"));
        Assert.That(
            () => CertifiedRadius.Global(Sample.Network, Sample.Eight, Sample.Options, null, source.Token),
            Throws.InstanceOf<OperationCanceledException>());
    }
}
