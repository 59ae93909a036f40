namespace LipVerify;

/// <summary>A layer at which a network bends at an input, or may do so as far as rounding lets it be known.</summary>
/// <param name="Layer">The ReLU or pooling layer.</param>
/// <param name="Outputs">Its outputs whose linear piece is not decided.</param>
public sealed record Kink(NetworkLayer Layer, int Outputs);

/// <summary>
/// The norm of the Jacobian at an input as a lower bound. Where the network may bend there is none: the Jacobian of one adjacent
/// piece may belong to other directions than those in which it stretches most.
/// </summary>
/// <param name="Bound">The bound; null where the network may bend at the input.</param>
/// <param name="Kinks">The layers at which it may; empty where it is surely differentiable.</param>
public sealed record JacobianBound(LowerBound? Bound, IReadOnlyList<Kink> Kinks);
