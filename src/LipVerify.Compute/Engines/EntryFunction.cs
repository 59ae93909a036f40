namespace LipVerify.Compute;

/// <summary>A function of each entry of a matrix.</summary>
public enum EntryFunction
{
    /// <summary>|a|.</summary>
    Absolute,

    /// <summary>a².</summary>
    Square,
}
