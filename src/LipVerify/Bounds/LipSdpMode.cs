namespace LipVerify;

/// <summary>Which neurons share a multiplier in LipSDP.</summary>
public enum LipSdpMode
{
    /// <summary>One multiplier a neuron: the tighter bound.</summary>
    Neuron,

    /// <summary>One multiplier a layer.</summary>
    Layer,
}
