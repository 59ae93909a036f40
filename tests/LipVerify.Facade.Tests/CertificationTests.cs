using NUnit.Framework;

namespace LipVerify.Facade.Tests;

public class CertificationTests
{
    // 130² = 16 900 outputs, nearly all of them coupled by taps far apart: more than a certificate without random draws reaches.
    private static readonly Network Large = Models.Convolution(130, 64, 1, -2, 3, 0.5, 4, -1, 2, -0.25, 1);

    private static readonly double[] Noise = Large.LoadInput("random?seed=1");

    [Test]
    public void Where_certificates_without_draws_are_insisted_on_the_layer_too_large_is_named()
    {
        var options = Sample.Options with { Deterministic = true };
        foreach (var compute in new Action[]
                 {
                     () => LipschitzBound.Local(Large, Noise, 0.1, options),
                     () => LipschitzBound.Global(Large, options),
                     () => CertifiedRadius.Analytic(Large, Noise, options),
                     () => CertifiedRadius.Global(Large, Noise, options),
                 })
        {
            var failure = Assert.Throws<NotCertifiableException>(() => compute())!;
            Assert.That(failure.Message, Does.Contain("layer").And.Contain("16900"));
        }
    }

    [Test]
    public void Structured_bounds_are_refused_where_certificates_without_draws_are_insisted_on()
    {
        var options = Sample.Options with { Deterministic = true };
        foreach (var compute in new Action[]
                 {
                     () => LipschitzBound.Structured(Sample.Network, Sample.Eight, 0.1, null, options),
                     () => LipschitzBound.Structured(Sample.Network, null, options),
                     () => CertifiedRadius.Structured(Sample.Network, Sample.Eight, null, options),
                 })
        {
            Assert.That(
                Assert.Throws<NotCertifiableException>(() => compute())!.Message, Does.Contain("random draws"));
        }
    }

    [Test]
    public void Else_a_failure_probability_comes_with_the_radius()
    {
        var options = Sample.Options with { FailureProbability = 1e-6 };
        var found = CertifiedRadius.Global(Large, Noise, options);
        Assert.That(found.Rigor.Kind, Is.EqualTo(RigorKind.Probabilistic));
        Assert.That(found.Rigor.FailureProbability, Is.Positive.And.LessThanOrEqualTo(1e-6));
        Assert.That(found.Radius, Is.Positive);
    }
}
