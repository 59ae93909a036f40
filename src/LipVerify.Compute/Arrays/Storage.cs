namespace LipVerify.Compute;

/// <summary>A block of double-precision numbers, kept where its engine computes. Host storage is accepted by every engine.</summary>
public abstract class Storage
{
    /// <summary>The number of values held.</summary>
    public abstract int Length { get; }

    /// <summary>Copies <paramref name="destination"/>.Length values, from position <paramref name="offset"/> on, to host memory.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range does not lie inside the block.</exception>
    public abstract void CopyTo(int offset, Span<double> destination);
}

/// <summary>Storage in host memory: a plain array, shared and never copied.</summary>
public sealed class HostStorage : Storage
{
    /// <summary>Wraps an array without copying it.</summary>
    public HostStorage(double[] values)
    {
        ArgumentNullException.ThrowIfNull(values);
        Values = values;
    }

    private HostStorage(double[] values, bool isConstant) : this(values) => IsConstant = isConstant;

    /// <summary>Wraps an array that nobody changes any more: engines elsewhere may keep a copy.</summary>
    public static HostStorage Constant(double[] values) => new(values, isConstant: true);

    /// <summary>Whether nobody changes the array.</summary>
    public bool IsConstant { get; }

    /// <summary>The wrapped array.</summary>
    public double[] Values { get; }

    /// <inheritdoc/>
    public override int Length => Values.Length;

    /// <inheritdoc/>
    public override void CopyTo(int offset, Span<double> destination) =>
        Values.AsSpan(offset, destination.Length).CopyTo(destination);
}
