using ILGPU;

namespace LipVerify.Ilgpu.Kernels;

/// <summary>One axis of a convolution.</summary>
internal struct GramAxis
{
    public int Input, Output, Kernel, Stride, Pad, Dilation;

    /// <summary>The tap at which a window meets a position, or −1.</summary>
    public readonly int Tap(int window, int position)
    {
        int distance = position + Pad - window * Stride;
        if (distance < 0 || distance % Dilation != 0) return -1;
        int tap = distance / Dilation;
        return tap < Kernel ? tap : -1;
    }
}

/// <summary>The lower triangle of M·Mᵀ or Mᵀ·M for M = diag(r)·A·D.</summary>
internal struct ConvolutionGramArguments
{
    public ArrayView<double> Weights, RowFactors, ColumnFactors;
    public Triangle Gram;

    /// <summary>The output or input that each row of the Gram matrix stands for.</summary>
    public ArrayView<int> Coordinates;

    public GramAxis Rows, Columns;

    /// <summary>Channels of a group.</summary>
    public int InChannels, OutChannels;

    public int OverOutputs;
}

/// <summary>Gram matrices of convolutions, each entry by a thread.</summary>
internal static class ConvolutionGramKernels
{
    /// <summary>A group has a row.</summary>
    public static void Entries(ConvolutionGramArguments p)
    {
        for (int row = Grid.IdxX; row < p.Gram.Order; row += Grid.DimX)
            for (int column = p.Gram.First(row) + Group.IdxX; column <= row; column += Group.DimX)
                p.Gram.Values[p.Gram.At(row, column)] =
                    p.OverOutputs != 0 ? OfOutputs(p, p.Coordinates[row], p.Coordinates[column]) : OfInputs(p, p.Coordinates[row], p.Coordinates[column]);
    }

    /// <summary>Σ over inputs x of both windows of r_a·w_ax·r_b·w_bx.</summary>
    private static double OfOutputs(ConvolutionGramArguments p, int a, int b)
    {
        int plane = p.Rows.Output * p.Columns.Output, inPlane = p.Rows.Input * p.Columns.Input, taps = p.Rows.Kernel * p.Columns.Kernel;
        int channelA = a / plane, channelB = b / plane, group = channelA / p.OutChannels;
        double factorA = p.RowFactors[a], factorB = p.RowFactors[b];
        if (group != channelB / p.OutChannels || factorA == 0.0 || factorB == 0.0) return 0.0;
        int rowA = (a - channelA * plane) / p.Columns.Output, columnA = a % p.Columns.Output;
        int rowB = (b - channelB * plane) / p.Columns.Output, columnB = b % p.Columns.Output;
        double sum = 0.0;
        for (int kr = 0; kr < p.Rows.Kernel; kr++)
        {
            int r = rowA * p.Rows.Stride - p.Rows.Pad + kr * p.Rows.Dilation, krB = p.Rows.Tap(rowB, r);
            if (krB < 0 || r < 0 || r >= p.Rows.Input) continue;
            for (int kc = 0; kc < p.Columns.Kernel; kc++)
            {
                int c = columnA * p.Columns.Stride - p.Columns.Pad + kc * p.Columns.Dilation, kcB = p.Columns.Tap(columnB, c);
                if (kcB < 0 || c < 0 || c >= p.Columns.Input) continue;
                int input = group * p.InChannels * inPlane + r * p.Columns.Input + c;
                int weightA = channelA * p.InChannels * taps + kr * p.Columns.Kernel + kc, weightB = channelB * p.InChannels * taps + krB * p.Columns.Kernel + kcB;
                for (int channel = 0; channel < p.InChannels; channel++, input += inPlane, weightA += taps, weightB += taps)
                    if (p.ColumnFactors[input] != 0.0) sum += factorA * p.Weights[weightA] * (factorB * p.Weights[weightB]);
            }
        }

        return sum;
    }

    /// <summary>Σ over windows y that hold both inputs of r_y·w_ya·r_y·w_yb.</summary>
    private static double OfInputs(ConvolutionGramArguments p, int a, int b)
    {
        int plane = p.Rows.Output * p.Columns.Output, inPlane = p.Rows.Input * p.Columns.Input, taps = p.Rows.Kernel * p.Columns.Kernel;
        int channelA = a / inPlane, channelB = b / inPlane, group = channelA / p.InChannels;
        if (group != channelB / p.InChannels || p.ColumnFactors[a] == 0.0 || p.ColumnFactors[b] == 0.0) return 0.0;
        int rowA = (a - channelA * inPlane) / p.Columns.Input, columnA = a % p.Columns.Input;
        int rowB = (b - channelB * inPlane) / p.Columns.Input, columnB = b % p.Columns.Input;
        int localA = channelA - group * p.InChannels, localB = channelB - group * p.InChannels;
        double sum = 0.0;
        for (int kr = 0; kr < p.Rows.Kernel; kr++)
        {
            int start = rowA + p.Rows.Pad - kr * p.Rows.Dilation;
            if (start < 0 || start % p.Rows.Stride != 0 || start / p.Rows.Stride >= p.Rows.Output) continue;
            int r = start / p.Rows.Stride, krB = p.Rows.Tap(r, rowB);
            if (krB < 0) continue;
            for (int kc = 0; kc < p.Columns.Kernel; kc++)
            {
                int across = columnA + p.Columns.Pad - kc * p.Columns.Dilation;
                if (across < 0 || across % p.Columns.Stride != 0 || across / p.Columns.Stride >= p.Columns.Output) continue;
                int c = across / p.Columns.Stride, kcB = p.Columns.Tap(c, columnB);
                if (kcB < 0) continue;
                int output = group * p.OutChannels * plane + r * p.Columns.Output + c, weight = group * p.OutChannels * p.InChannels * taps;
                int weightA = weight + localA * taps + kr * p.Columns.Kernel + kc, weightB = weight + localB * taps + krB * p.Columns.Kernel + kcB;
                for (int channel = 0; channel < p.OutChannels; channel++, output += plane, weightA += p.InChannels * taps, weightB += p.InChannels * taps)
                {
                    double factor = p.RowFactors[output];
                    if (factor != 0.0) sum += factor * p.Weights[weightA] * (factor * p.Weights[weightB]);
                }
            }
        }

        return sum;
    }
}
