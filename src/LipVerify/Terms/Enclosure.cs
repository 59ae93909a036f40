namespace LipVerify;

/// <summary>Where the values inside a network lie over a ball: what <see cref="LipschitzBound.Local"/> takes slopes from.</summary>
public enum Enclosure
{
    /// <summary>The balls of Algorithm 1 itself, as Avant and Morgansen take them.</summary>
    Ball,

    /// <summary>Interval arithmetic from layer to layer.</summary>
    Interval,

    /// <summary>Linear lower and upper functions carried back to the input (CROWN): certified, and slow in large networks.</summary>
    Crown,

    /// <summary>
    /// Reaches that random vectors prove over the network as a whole, for networks of any size; intervals where none can be proved. Out of
    /// reach where <see cref="BoundOptions.Deterministic"/> asks for certificates without draws.
    /// </summary>
    Probes,
}
