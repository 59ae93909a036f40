// How far can the answer of a digit classifier move when its input moves a little, and when does it change?
// Run it with: dotnet run --project samples/QuickStart.CSharp

using LipVerify;

var samples = Path.Combine(AppContext.BaseDirectory, "mnist");
var network = Network.Load(Path.Combine(samples, "mnist-net.onnx"));
var digit = network.LoadInput(Path.Combine(samples, "digits", "8.png"), Preprocessing.Mnist);

var logits = network.Evaluate(digit);
Console.WriteLine($"the network reads an {Array.IndexOf(logits, logits.Max())}");

foreach (var radius in new[] { 0.01, 0.1 })
{
    var bound = LipschitzBound.Local(network, digit, radius);
    Console.WriteLine($"within radius {radius}: Lipschitz constant {bound}");

    foreach (var layer in bound.Layers)
        Console.WriteLine($"    {layer,-28} {layer.Active,4} of {layer.Size,4} outputs active");
}

var everywhere = LipschitzBound.Global(network);
Console.WriteLine($"anywhere: Lipschitz constant {everywhere}");

var kept = CertifiedRadius.Analytic(network, digit);
Console.WriteLine($"however it moves, it is read as {kept}");

var pixels = InputBox.Pixels(network, Preprocessing.Mnist);
if (AdversarialExample.Find(network, digit, Attack.ProjectedDescent, pixels) is { } example)
    Console.WriteLine($"moved further, it is read as {example}");
