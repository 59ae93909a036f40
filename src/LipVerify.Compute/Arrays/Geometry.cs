namespace LipVerify.Compute;

/// <summary>
/// One axis of a sliding window: its input extent, window size, stride, padding on both ends and dilation.
/// </summary>
/// <param name="Input">Input extent, in elements.</param>
/// <param name="Kernel">Number of taps.</param>
/// <param name="Stride">Distance between neighbouring windows.</param>
/// <param name="PadBefore">Virtual elements before the first.</param>
/// <param name="PadAfter">Virtual elements after the last.</param>
/// <param name="Dilation">Distance between neighbouring taps.</param>
/// <param name="CeilMode">Round the number of windows up instead of down; a last window must still start inside the input or the leading padding.</param>
public readonly record struct WindowAxis(
    int Input, int Kernel, int Stride = 1, int PadBefore = 0, int PadAfter = 0, int Dilation = 1, bool CeilMode = false)
{
    /// <summary>Elements from the first to the last tap of a window, both included.</summary>
    public int Span => Dilation * (Kernel - 1) + 1;

    /// <summary>The number of windows: ⌊(Input + PadBefore + PadAfter − Span) / Stride⌋ + 1, rounded up in ceil mode.</summary>
    public int Output
    {
        get
        {
            int room = Input + PadBefore + PadAfter - Span;
            if (room < 0) return 0;
            int windows = (CeilMode ? (room + Stride - 1) / Stride : room / Stride) + 1;
            // PyTorch's and ONNX's rule: a window that would start in the trailing padding is dropped.
            return CeilMode && (windows - 1) * Stride >= Input + PadBefore ? windows - 1 : windows;
        }
    }

    /// <summary>The input position of tap <paramref name="tap"/> in window <paramref name="window"/>; outside [0, Input) it lies in the padding.</summary>
    public int Position(int window, int tap) => window * Stride - PadBefore + tap * Dilation;

    /// <summary>The largest number of windows that one input element belongs to: the factor of this axis in n_max (Theorem 3).</summary>
    public int MaxOverlap
    {
        get
        {
            var count = new int[Input];
            for (int window = 0; window < Output; window++)
                for (int tap = 0; tap < Kernel; tap++)
                {
                    int position = Position(window, tap);
                    if (position >= 0 && position < Input) count[position]++;
                }
            return count.Length == 0 ? 0 : count.Max();
        }
    }

    /// <summary>Throws when a field is out of its range or the axis has no window.</summary>
    /// <exception cref="ArgumentException">Says which field is wrong.</exception>
    public void Validate(string axis)
    {
        if (Input < 1) throw new ArgumentException($"{axis}: the input extent must be at least 1, not {Input}");
        if (Kernel < 1) throw new ArgumentException($"{axis}: the kernel must have at least 1 tap, not {Kernel}");
        if (Stride < 1) throw new ArgumentException($"{axis}: the stride must be at least 1, not {Stride}");
        if (Dilation < 1) throw new ArgumentException($"{axis}: the dilation must be at least 1, not {Dilation}");
        if (PadBefore < 0 || PadAfter < 0) throw new ArgumentException($"{axis}: padding must not be negative ({PadBefore}, {PadAfter})");
        const long limit = 1L << 30;
        if ((long)Dilation * (Kernel - 1) + 1 > limit || (long)Input + PadBefore + PadAfter > limit || Stride > limit)
            throw new ArgumentException($"{axis}: the window is too large");
        if (Output < 1)
            throw new ArgumentException($"{axis}: a window of {Span} does not fit an input of {Input} with padding {PadBefore} and {PadAfter}");
    }
}

/// <summary>The geometry of a two-dimensional convolution (cross-correlation, as in all deep-learning frameworks), NCHW.</summary>
/// <param name="InChannels">Channels of the input.</param>
/// <param name="OutChannels">Channels of the output.</param>
/// <param name="Rows">The vertical axis.</param>
/// <param name="Columns">The horizontal axis.</param>
/// <param name="Groups">Channel groups; weights have shape (OutChannels, InChannels / Groups, Rows.Kernel, Columns.Kernel).</param>
public readonly record struct ConvolutionGeometry(
    int InChannels, int OutChannels, WindowAxis Rows, WindowAxis Columns, int Groups = 1)
{
    /// <summary>Values in one input: InChannels × height × width.</summary>
    public int InputSize => checked(InChannels * Rows.Input * Columns.Input);

    /// <summary>Values in one output: OutChannels × height × width.</summary>
    public int OutputSize => checked(OutChannels * Rows.Output * Columns.Output);

    /// <summary>Values in the weight tensor.</summary>
    public int WeightSize => checked(OutChannels * (InChannels / Groups) * Rows.Kernel * Columns.Kernel);

    /// <summary>Throws when a field is out of its range.</summary>
    /// <exception cref="ArgumentException">Says which field is wrong.</exception>
    public void Validate()
    {
        if (InChannels < 1 || OutChannels < 1) throw new ArgumentException($"a convolution needs at least one channel on each side, not {InChannels} and {OutChannels}");
        if (Groups < 1 || InChannels % Groups != 0 || OutChannels % Groups != 0)
            throw new ArgumentException($"{Groups} groups do not divide {InChannels} input and {OutChannels} output channels");
        Rows.Validate("rows");
        Columns.Validate("columns");
        if (Rows.CeilMode || Columns.CeilMode) throw new ArgumentException("a convolution has no ceil mode");
        // Products in doubles: those of absurd numbers would wrap around.
        if ((double)InChannels * Rows.Input * Columns.Input > TensorLimit.Values || (double)OutChannels * Rows.Output * Columns.Output > TensorLimit.Values)
            throw new ArgumentException("the convolution is too large: a tensor would hold more than 2^28 values");
        if ((double)OutChannels * (InChannels / Groups) * Rows.Kernel * Columns.Kernel > int.MaxValue)
            throw new ArgumentException("the convolution is too large: it would have more than 2^31 weights");
    }
}

/// <summary>The geometry of a two-dimensional pooling layer, NCHW, channel by channel.</summary>
/// <param name="Channels">Channels of input and output.</param>
/// <param name="Rows">The vertical axis.</param>
/// <param name="Columns">The horizontal axis.</param>
public readonly record struct PoolingGeometry(int Channels, WindowAxis Rows, WindowAxis Columns)
{
    /// <summary>Values in one input.</summary>
    public int InputSize => checked(Channels * Rows.Input * Columns.Input);

    /// <summary>Values in one output.</summary>
    public int OutputSize => checked(Channels * Rows.Output * Columns.Output);

    /// <summary>The most pooling regions that one input belongs to, n_max of Theorem 3, counted on this very geometry.</summary>
    public int MaxOverlap => Rows.MaxOverlap * Columns.MaxOverlap;

    /// <summary>Throws when a field is out of its range, or when a window could consist of padding alone.</summary>
    /// <exception cref="ArgumentException">Says which field is wrong.</exception>
    public void Validate()
    {
        if (Channels < 1) throw new ArgumentException($"pooling needs at least one channel, not {Channels}");
        Rows.Validate("rows");
        Columns.Validate("columns");
        RequireContent(Rows, "rows");
        RequireContent(Columns, "columns");
        if ((double)Channels * Rows.Input * Columns.Input > TensorLimit.Values || (double)Channels * Rows.Output * Columns.Output > TensorLimit.Values)
            throw new ArgumentException("the pooling layer is too large: a tensor would hold more than 2^28 values");
        if ((double)OutputSize * Rows.Kernel * Columns.Kernel > int.MaxValue)
            throw new ArgumentException("the pooling layer is too large: its windows would cover more than 2^31 values together");
    }

    /// <summary>Windows start further and further right: the last must start inside the input, and one that starts in the leading padding must have a tap inside.</summary>
    private static void RequireContent(WindowAxis axis, string name)
    {
        if (axis.Position(axis.Output - 1, 0) >= axis.Input)
            throw new ArgumentException($"{name}: pooling window {axis.Output - 1} covers padding only, which is not supported");
        for (int window = 0; axis.Position(window, 0) < 0 && window < axis.Output; window++)
        {
            int tap = (-axis.Position(window, 0) + axis.Dilation - 1) / axis.Dilation; // the first at or behind position 0
            if (tap >= axis.Kernel || axis.Position(window, tap) >= axis.Input)
                throw new ArgumentException($"{name}: pooling window {window} covers padding only, which is not supported");
        }
    }
}
