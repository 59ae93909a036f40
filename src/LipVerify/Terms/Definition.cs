namespace LipVerify;

/// <summary>Which local Lipschitz constant is meant.</summary>
public enum Definition
{
    /// <summary>The largest ‖f(x) − f(x0)‖ / ‖x − x0‖ over the ball, against the nominal input x0.</summary>
    Nominal,

    /// <summary>The largest ‖f(x) − f(x′)‖ / ‖x − x′‖ over all pairs of inputs of the ball.</summary>
    Uniform,
}
