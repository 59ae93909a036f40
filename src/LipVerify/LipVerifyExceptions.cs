using LipVerify.Formats;

namespace LipVerify;

/// <summary>A file could not be used. The message is one line: file, place inside it, what is wrong.</summary>
public sealed class ModelFileException : Exception
{
    internal ModelFileException(LoadError error) : base(LoadErrorModule.text(error)) => File = error.File;

    /// <summary>The file as it was named.</summary>
    public string File { get; }
}
