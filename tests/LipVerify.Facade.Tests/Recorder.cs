namespace LipVerify.Facade.Tests;

/// <summary>Keeps the lines of progress, and acts on each at once.</summary>
internal sealed class Recorder(Action<string> then) : IProgress<string>
{
    public List<string> Lines { get; } = [];

    public void Report(string value)
    {
        Lines.Add(value);
        then(value);
    }
}
