using System.Text.Json;

namespace LipVerify.Facade.Tests;

/// <summary>The trained network in <c>samples/mnist</c> and its digits.</summary>
internal static class Sample
{
    public static readonly string Folder = Find();

    public static readonly string Weights = Path.Combine(Folder, "mnist-net.safetensors");

    public static readonly Network Network = Network.Load(Weights, "mnist-net");

    public static readonly double[] Eight = Digit("digits/8.png");

    public static BoundOptions Options { get; } = new()
    {
        Engine = Environment.GetEnvironmentVariable("LIPVERIFY_TEST_ENGINE") is { Length: > 0 } engine ? engine : "auto",
    };

    public static double[] Digit(string name) => Network.LoadInput(Path.Combine(Folder, name), Preprocessing.Mnist);

    public static Dictionary<string, double[]> Logits() =>
        JsonSerializer.Deserialize<Dictionary<string, double[]>>(File.ReadAllText(Path.Combine(Folder, "logits.json")))!;

    private static string Find()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var candidate = Path.Combine(folder.FullName, "samples", "mnist");
            if (Directory.Exists(candidate)) return candidate;
        }

        throw new DirectoryNotFoundException("samples/mnist lies in no folder above the tests");
    }
}
