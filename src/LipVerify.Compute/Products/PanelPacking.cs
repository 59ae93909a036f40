using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace LipVerify.Compute;

/// <summary>Copies parts of a matrix into panels: a few lines side by side, step by step, as a micro kernel reads them.</summary>
internal static unsafe class PanelPacking
{
    /// <summary>
    /// Copies <paramref name="count"/> lines × <paramref name="depth"/> steps into panels of <paramref name="width"/> lines; the last
    /// panel is filled up with zeros. Lines or steps lie next to each other in memory.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Pack(double* source, nint line, nint step, int count, int depth, int width, double* target)
    {
        for (int panel = 0; panel < count; panel += width, source += width * line, target += width * depth)
        {
            int lines = Math.Min(width, count - panel);
            if (lines < width) new Span<double>(target, width * depth).Clear();
            if (line == 1) CopyLines(source, step, lines, depth, width, target);
            else Transpose(source, line, lines, depth, width, target);
        }
    }

    /// <summary>Steps of consecutive lines.</summary>
    private static void CopyLines(double* source, nint step, int lines, int depth, int width, double* target)
    {
        int whole = lines / 4 * 4;
        for (int k = 0; k < depth; k++, source += step, target += width)
        {
            for (int q = 0; q < whole; q += 4) Vector256.Store(Vector256.Load(source + q), target + q);
            for (int q = whole; q < lines; q++) target[q] = source[q];
        }
    }

    /// <summary>
    /// Writes lines of consecutive steps so that each step's values lie side by side, <paramref name="width"/> from one step to the
    /// next; in blocks of eight or four where the processor turns those around in registers.
    /// </summary>
    public static void Transpose(double* source, nint line, int lines, int depth, int width, double* target)
    {
        int block = Avx512F.IsSupported ? 8 : Avx.IsSupported ? 4 : 1, inBlocks = block == 1 ? 0 : depth / block * block, q = 0;
        for (; q + block <= lines && inBlocks > 0; q += block)
        {
            double* from = source + q * line, to = target + q;
            for (int k = 0; k < inBlocks; k += block)
                if (block == 8) Transpose8(from + k, line, to + k * width, width);
                else Transpose4(from + k, line, to + k * width, width);
            Copy(from, line, block, inBlocks, depth, width, to);
        }
        Copy(source + q * line, line, lines - q, 0, depth, width, target + q);
    }

    private static void Copy(double* source, nint line, int lines, int first, int depth, int width, double* target)
    {
        for (int q = 0; q < lines; q++, source += line)
            for (int k = first; k < depth; k++) target[k * width + q] = source[k];
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Transpose8(double* from, nint line, double* to, nint width)
    {
        Vector512<double> r0 = Vector512.Load(from), r1 = Vector512.Load(from + line), r2 = Vector512.Load(from + 2 * line), r3 = Vector512.Load(from + 3 * line);
        Vector512<double> r4 = Vector512.Load(from + 4 * line), r5 = Vector512.Load(from + 5 * line), r6 = Vector512.Load(from + 6 * line), r7 = Vector512.Load(from + 7 * line);
        Interleave(Avx512F.UnpackLow(r0, r1), Avx512F.UnpackLow(r2, r3), Avx512F.UnpackLow(r4, r5), Avx512F.UnpackLow(r6, r7), to, width);
        Interleave(Avx512F.UnpackHigh(r0, r1), Avx512F.UnpackHigh(r2, r3), Avx512F.UnpackHigh(r4, r5), Avx512F.UnpackHigh(r6, r7), to + width, width);
    }

    /// <summary>Pairs of two lines for every other step, gathered into eight lines a step.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Interleave(Vector512<double> p0, Vector512<double> p1, Vector512<double> p2, Vector512<double> p3, double* to, nint width)
    {
        const byte Even = 0b10_00_10_00, Odd = 0b11_01_11_01;
        Vector512<double> low0 = Avx512F.Shuffle4x128(p0, p1, Even), low1 = Avx512F.Shuffle4x128(p2, p3, Even);
        Vector512<double> high0 = Avx512F.Shuffle4x128(p0, p1, Odd), high1 = Avx512F.Shuffle4x128(p2, p3, Odd);
        Vector512.Store(Avx512F.Shuffle4x128(low0, low1, Even), to);
        Vector512.Store(Avx512F.Shuffle4x128(high0, high1, Even), to + 2 * width);
        Vector512.Store(Avx512F.Shuffle4x128(low0, low1, Odd), to + 4 * width);
        Vector512.Store(Avx512F.Shuffle4x128(high0, high1, Odd), to + 6 * width);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Transpose4(double* from, nint line, double* to, nint width)
    {
        Vector256<double> r0 = Vector256.Load(from), r1 = Vector256.Load(from + line), r2 = Vector256.Load(from + 2 * line), r3 = Vector256.Load(from + 3 * line);
        Vector256<double> low0 = Avx.UnpackLow(r0, r1), low1 = Avx.UnpackLow(r2, r3), high0 = Avx.UnpackHigh(r0, r1), high1 = Avx.UnpackHigh(r2, r3);
        Vector256.Store(Avx.Permute2x128(low0, low1, 0x20), to);
        Vector256.Store(Avx.Permute2x128(high0, high1, 0x20), to + width);
        Vector256.Store(Avx.Permute2x128(low0, low1, 0x31), to + 2 * width);
        Vector256.Store(Avx.Permute2x128(high0, high1, 0x31), to + 3 * width);
    }
}
