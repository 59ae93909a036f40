using NUnit.Framework;

namespace LipVerify.Facade.Tests;

public class AdversarialExampleTests
{
    private static readonly InputBox Pixels = InputBox.Pixels(Sample.Network, Preprocessing.Mnist);

    [Test]
    public void An_example_has_another_class_beyond_the_certified_radius([Values] Attack attack)
    {
        var example = AdversarialExample.Find(Sample.Network, Sample.Eight, attack, options: Sample.Options)!;
        Assert.That(example, Is.Not.Null);
        Assert.That(example.Attack, Is.EqualTo(attack));
        Assert.That(example.OriginalLabel, Is.EqualTo(8));
        Assert.That(example.Label, Is.EqualTo(Sample.Network.Class(example.Input)).And.Not.EqualTo(8));
        Assert.That(example.Rigor.Kind, Is.EqualTo(RigorKind.Certified));
        // A sum of 784 squares: γ_784 ≈ 2e-13.
        double distance = Vectors.Distance(example.Input, Sample.Eight);
        Assert.That(example.Distance, Is.EqualTo(distance).Within(1e-12 * distance));
        Assert.That(
            example.Distance, Is.GreaterThan(CertifiedRadius.Analytic(Sample.Network, Sample.Eight, Sample.Options).Radius));
    }

    [Test]
    public void The_nearest_example_is_where_the_boundary_is()
    {
        // f = (x, y) at (3, 1): the class changes beyond the line x = y, √2 away.
        var example = AdversarialExample.Find(
            Models.Linear([1, 0], [0, 1]), [3, 1], Attack.ProjectedDescent, options: Sample.Options)!;
        Assert.That(example.Distance, Is.GreaterThanOrEqualTo(Math.Sqrt(2)));
        Assert.That(example.Distance, Is.EqualTo(Math.Sqrt(2)).Within(1e-3));
        Assert.That((example.OriginalLabel, example.Label), Is.EqualTo((0, 1)));
    }

    [Test]
    public void A_box_holds_the_example()
    {
        var example = AdversarialExample.Find(Sample.Network, Sample.Eight, Attack.ProjectedDescent, Pixels, Sample.Options)!;
        Assert.That(example.Input.Zip(Pixels.Lower, (x, low) => x >= low), Is.All.True);
        Assert.That(example.Input.Zip(Pixels.Upper, (x, high) => x <= high), Is.All.True);
        Assert.That(Sample.Network.Class(example.Input), Is.Not.EqualTo(8));
    }

    [Test]
    public void Nothing_is_found_where_the_box_permits_no_other_input([Values] Attack attack) =>
        Assert.That(
            AdversarialExample.Find(Sample.Network, Sample.Eight, attack, new InputBox(Sample.Eight, Sample.Eight), Sample.Options),
            Is.Null);

    [Test]
    public void Pixels_are_bounded_in_the_units_of_the_preprocessed_input()
    {
        Assert.That(Pixels.Lower, Is.All.EqualTo((0 - 0.1307) / 0.3081));
        Assert.That(Pixels.Upper, Is.All.EqualTo((1 - 0.1307) / 0.3081));
        Assert.That(Pixels.Lower, Has.Count.EqualTo(784));
    }

    [Test]
    public void A_box_keeps_its_bounds()
    {
        double[] lower = [0, 0], upper = [1, 1];
        var box = new InputBox(lower, upper);
        upper[0] = -1;
        Assert.That(box.Upper, Is.EqualTo(new[] { 1.0, 1.0 }));
    }

    [Test]
    public void A_box_that_is_none_is_refused()
    {
        Assert.That(() => new InputBox([0, 0], [1]), Throws.ArgumentException);
        Assert.That(() => new InputBox([0, 2], [1, 1]), Throws.ArgumentException.With.Message.Contain("2").And.Message.Contain("1"));
        Assert.That(() => new InputBox([double.NaN], [1]), Throws.ArgumentException);
        Assert.That(() => InputBox.Pixels(Sample.Network, Preprocessing.ImageNet), Throws.ArgumentException.With.Message.Contain("channels"));
        Assert.That(() => InputBox.Pixels(Sample.Network, Preprocessing.Mnist, 1, 0), Throws.ArgumentException);
        Assert.That(() => InputBox.Pixels(null!, Preprocessing.Mnist), Throws.ArgumentNullException);
        Assert.That(() => InputBox.Pixels(Sample.Network, null!), Throws.ArgumentNullException);
    }

    [Test]
    public void A_box_that_does_not_fit_the_input_is_refused()
    {
        void Find(InputBox box) => AdversarialExample.Find(Sample.Network, Sample.Eight, Attack.FastGradientSign, box, Sample.Options);
        var shorter = Assert.Throws<ArgumentException>(() => Find(new([0], [1])))!;
        Assert.That(shorter.ParamName, Is.EqualTo("box"));
        Assert.That(shorter.Message, Does.Contain("784"));
        var elsewhere = Assert.Throws<ArgumentException>(
            () => Find(InputBox.Pixels(Sample.Network, Preprocessing.Mnist, 0.5, 1)))!;
        Assert.That(elsewhere.ParamName, Is.EqualTo("box"));
        Assert.That(elsewhere.Message, Does.Contain("contain the input"));
    }

    [Test]
    public void Bad_arguments_are_refused()
    {
        Assert.That(() => AdversarialExample.Find(null!, [], Attack.CarliniWagner), Throws.ArgumentNullException);
        Assert.That(
            () => AdversarialExample.Find(Sample.Network, [1, 2, 3], Attack.CarliniWagner),
            Throws.ArgumentException.With.Property("ParamName").EqualTo("input"));
        Assert.That(
            () => AdversarialExample.Find(Sample.Network, Sample.Eight, (Attack)17),
            Throws.InstanceOf<ArgumentOutOfRangeException>().With.Property("ParamName").EqualTo("attack"));
        Assert.That(
            () => AdversarialExample.Find(Models.Linear([1, 2]), [1, 1], Attack.CarliniWagner),
            Throws.ArgumentException.With.Property("ParamName").EqualTo("network").And.Message.Contain("single output"));
    }

    [Test]
    public void Cancellation_ends_an_attack_between_two_steps([Values] Attack attack)
    {
        using var source = new CancellationTokenSource();
        var progress = new Recorder(_ => source.Cancel());
        var failure = Assert.Catch<OperationCanceledException>(
            () => AdversarialExample.Find(Sample.Network, Sample.Eight, attack, null, Sample.Options, progress, source.Token))!;
        Assert.That(failure.CancellationToken, Is.EqualTo(source.Token));
        Assert.That(progress.Lines, Has.Count.EqualTo(1));
    }
}
