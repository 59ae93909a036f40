using LipVerify.Formats;

namespace LipVerify;

/// <summary>What the library throws beside the exceptions of .NET: something outside the program is not as it should be.</summary>
public abstract class LipVerifyException : Exception
{
    private protected LipVerifyException(string message, Exception? inner = null) : base(message, inner) { }
}

/// <summary>A file could not be used. The message is one line: file, place inside it, what is wrong.</summary>
public sealed class ModelFileException : LipVerifyException
{
    internal ModelFileException(LoadError error) : base(LoadErrorModule.text(error)) => File = error.File;

    /// <summary>The file as it was named.</summary>
    public string File { get; }
}

/// <summary>The engine asked for is unknown, or what it needs is missing on this machine; the message says what would help.</summary>
public sealed class EngineUnavailableException : LipVerifyException
{
    internal EngineUnavailableException(string engine, Compute.EngineUnavailableException cause) : base(cause.Message, cause) =>
        Engine = engine;

    /// <summary>The engine as it was named.</summary>
    public string Engine { get; }
}

/// <summary>
/// A bound without random draws was insisted on, and a layer is too large for one, which the message names, or the method always draws.
/// </summary>
public sealed class NotCertifiableException : LipVerifyException
{
    internal NotCertifiableException(Core.Spectral.Spectral.NotCertifiableException cause) : base(cause.Message, cause) { }
}

/// <summary>Two bounds on one quantity contradict each other: a fault of this library, or the rare case that random certificates
/// allow for. The message names both.</summary>
public sealed class ContradictoryBoundsException : LipVerifyException
{
    internal ContradictoryBoundsException(Core.Numbers.ContradictionException cause) : base(cause.Message, cause) { }
}
