namespace LipVerify.Facade.Tests;

/// <summary>Plain arithmetic that checks the library's answers from outside.</summary>
internal static class Vectors
{
    public static double Distance(double[] x, double[] y) => Norm([.. x.Zip(y, (a, b) => a - b)]);

    public static double Norm(double[] x) => Math.Sqrt(x.Sum(value => value * value));

    public static double[] Step(double[] x, double length, double[] direction)
    {
        double norm = Norm(direction);
        return [.. x.Zip(direction, (a, d) => a + length / norm * d)];
    }

    public static int Class(this Network network, double[] input)
    {
        var outputs = network.Evaluate(input, Sample.Options);
        return Array.IndexOf(outputs, outputs.Max());
    }

    /// <summary>‖f(y) − f(x)‖ / ‖y − x‖.</summary>
    public static double Slope(this Network network, double[] x, double[] y) =>
        Distance(network.Evaluate(x, Sample.Options), network.Evaluate(y, Sample.Options)) / Distance(x, y);
}
