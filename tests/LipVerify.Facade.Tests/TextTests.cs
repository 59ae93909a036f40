using NUnit.Framework;

namespace LipVerify.Facade.Tests;

/// <summary>What results say of themselves: bounds in digits that are rounded to their own side.</summary>
public class TextTests
{
    private static readonly Rigor Certified = new(RigorKind.Certified, 0);

    [Test]
    public void Upper_bounds_are_rounded_upward()
    {
        var layer = new LayerBound(0, "fc1", "dense", 2.0420821284858923, Certified, null, null, 3, 4);
        Assert.That(layer.ToString(), Is.EqualTo("fc1: ≤ 2.04209 (certified)"));
        Assert.That(
            new LipschitzBound(2.0420821284858923, Certified, [layer]).ToString(), Is.EqualTo("≤ 2.042082129 (certified)"));
        Assert.That(
            new AdversarialExample([0], 0.1, Certified, 3, 8, Attack.CarliniWagner).ToString(),
            Is.EqualTo("class 3 at distance ≤ 0.1000000001 (certified)"));
    }

    [Test]
    public void Lower_bounds_and_radii_are_rounded_downward()
    {
        Assert.That(new LowerBound(2.0420821289, Certified, null).ToString(), Is.EqualTo("≥ 2.042082128 (certified)"));
        Assert.That(
            new CertifiedRadius(8, 1, 0.23383641839, Certified, null, null, 1).ToString(),
            Is.EqualTo("class 8 within radius 0.2338364183 (certified)"));
        Assert.That(
            new CertifiedRadius(null, -1, 0, Certified, null, null, 1).ToString(), Is.EqualTo("class undecided, radius 0"));
    }

    [Test]
    public void What_is_no_certified_bound_says_so()
    {
        var random = new Rigor(RigorKind.Probabilistic, 3.21e-10);
        Assert.That(random.ToString(), Is.EqualTo("probabilistic, fails with a probability of at most 3.3E-10"));
        Assert.That(
            new LipschitzBound(1.5, new Rigor(RigorKind.Estimate, 0), []).ToString(), Is.EqualTo("≈ 1.5 (estimate)"));
    }

    [Test]
    public void Exact_constants_show_both_ends_outward()
    {
        var upper = new LipschitzBound(2.0420821284, new Rigor(RigorKind.Numerical, 0), []);
        Assert.That(
            new ExactBound(upper, 2.0420821279, Certified, 0, 3, "").ToString(),
            Is.EqualTo("≤ 2.042082129 (numerical), ≥ 2.042082127 (certified)"));
    }
}
