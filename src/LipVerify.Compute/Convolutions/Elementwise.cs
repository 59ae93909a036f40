using System.Numerics.Tensors;
using System.Runtime.Intrinsics;

namespace LipVerify.Compute;

/// <summary>Vector operations, bound by memory: long vectors are cut into chunks of fixed size.</summary>
internal static unsafe class Elementwise
{
    /// <summary>128 KB a chunk: long enough to hide the cost of handing it out, short enough to share a few hundred thousand values evenly.</summary>
    private const int Chunk = 16384;

    public static void AddScaled(int threads, double alpha, double[] x, int offsetX, double[] y, int offsetY, int length) =>
        Chunks(threads, length, (start, count) =>
        {
            Span<double> target = y.AsSpan(offsetY + start, count);
            TensorPrimitives.MultiplyAdd(x.AsSpan(offsetX + start, count), alpha, target, target);
        });

    public static void AddTwoScaled(int threads, double alpha, double[] x, double beta, double[] z, double[] y, int offset, int length) =>
        Chunks(threads, length, (start, count) =>
        {
            fixed (double* px = &x[offset + start], pz = &z[offset + start], py = &y[offset + start])
            {
                Vector512<double> a = Vector512.Create(alpha), b = Vector512.Create(beta);
                int i = 0;
                for (; i <= count - 8; i += 8)
                    Vector512.Store(
                        Vector512.MultiplyAddEstimate(b, Vector512.Load(pz + i), Vector512.MultiplyAddEstimate(a, Vector512.Load(px + i), Vector512.Load(py + i))),
                        py + i);
                for (; i < count; i++) py[i] = py[i] + alpha * px[i] + beta * pz[i];
            }
        });

    public static void Scale(int threads, double alpha, double[] x, int offset, int length) =>
        Chunks(threads, length, (start, count) =>
        {
            Span<double> target = x.AsSpan(offset + start, count);
            TensorPrimitives.Multiply(target, alpha, target);
        });

    public static void Copy(int threads, double[] source, int sourceOffset, double[] destination, int destinationOffset, int length)
    {
        if (ReferenceEquals(source, destination))
            // Ranges of one block may overlap; Array.Copy handles that, chunks in parallel would not.
            Array.Copy(source, sourceOffset, destination, destinationOffset, length);
        else
            Chunks(threads, length, (start, count) =>
                source.AsSpan(sourceOffset + start, count).CopyTo(destination.AsSpan(destinationOffset + start, count)));
    }

    public static void MultiplyRows(int threads, double[] x, int batch, double[] factor, double[] result, int size) =>
        Rows(threads, batch, size, (position, start, count) =>
            TensorPrimitives.Multiply(x.AsSpan(position, count), factor.AsSpan(start, count), result.AsSpan(position, count)));

    public static void AddToRows(int threads, double[] x, int batch, double[] term, double[] result, int size) =>
        Rows(threads, batch, size, (position, start, count) =>
            TensorPrimitives.Add(x.AsSpan(position, count), term.AsSpan(start, count), result.AsSpan(position, count)));

    public static void Gather(int threads, double[] x, int inputSize, int[] indices, int size, int batch, double[] y) =>
        Rows(threads, batch, size, (position, start, count) =>
        {
            int row = (position - start) / size;
            ReadOnlySpan<double> from = x.AsSpan(row * inputSize, inputSize);
            ReadOnlySpan<int> picked = IndicesOf(indices, size, row).Slice(start, count);
            Span<double> to = y.AsSpan(position, count);
            for (int i = 0; i < to.Length; i++) to[i] = from[picked[i]];
        });

    /// <summary>Rows side by side, but each in order: an entry may take several terms.</summary>
    public static void ScatterAdd(int threads, double[] y, int inputSize, int[] indices, int size, int batch, double[] x) =>
        Pieces.Run((long)batch * size > Chunk ? threads : 1, batch, 0, (row, _) =>
        {
            Span<double> to = x.AsSpan(row * inputSize, inputSize);
            ReadOnlySpan<int> picked = IndicesOf(indices, size, row);
            ReadOnlySpan<double> from = y.AsSpan(row * size, size);
            for (int i = 0; i < from.Length; i++) to[picked[i]] += from[i];
        });

    /// <summary>The indices of a row, where there is one that serves all or one each.</summary>
    private static ReadOnlySpan<int> IndicesOf(int[] indices, int size, int row) =>
        indices.Length == size ? indices : indices.AsSpan(row * size, size);

    public static void Rectify(int threads, double[] x, double[] y) =>
        Chunks(threads, x.Length, (start, count) =>
            TensorPrimitives.Max(x.AsSpan(start, count), 0.0, y.AsSpan(start, count)));

    /// <summary>
    /// The inner product, summed in an order that depends on the length alone: library reductions may start at an aligned
    /// address, and then the bits would change with the place where the array lies.
    /// </summary>
    public static double Dot(int threads, double[] x, int offsetX, double[] y, int offsetY, int length)
    {
        int chunks = Pieces.CeilingDivide(length, Chunk);
        if (chunks == 0) return 0;
        var partial = new double[chunks];
        Chunks(threads, length, (start, count) =>
        {
            fixed (double* px = &x[offsetX + start], py = &y[offsetY + start]) partial[start / Chunk] = Dot(px, py, count);
        });
        double sum = 0;
        foreach (double value in partial) sum += value;
        return sum;
    }

    /// <summary>The inner product of two short vectors, in 32 running sums.</summary>
    public static double Dot(double* x, double* y, int length)
    {
        Vector512<double> s0 = Vector512<double>.Zero, s1 = s0, s2 = s0, s3 = s0;
        int i = 0;
        for (; i <= length - 32; i += 32)
        {
            s0 = Vector512.MultiplyAddEstimate(Vector512.Load(x + i), Vector512.Load(y + i), s0);
            s1 = Vector512.MultiplyAddEstimate(Vector512.Load(x + i + 8), Vector512.Load(y + i + 8), s1);
            s2 = Vector512.MultiplyAddEstimate(Vector512.Load(x + i + 16), Vector512.Load(y + i + 16), s2);
            s3 = Vector512.MultiplyAddEstimate(Vector512.Load(x + i + 24), Vector512.Load(y + i + 24), s3);
        }
        for (; i <= length - 8; i += 8) s0 = Vector512.MultiplyAddEstimate(Vector512.Load(x + i), Vector512.Load(y + i), s0);
        double sum = Vector512.Sum((s0 + s1) + (s2 + s3));
        for (; i < length; i++) sum += x[i] * y[i];
        return sum;
    }

    private static void Chunks(int threads, int length, Action<int, int> body)
    {
        int chunks = Pieces.CeilingDivide(length, Chunk);
        if (chunks == 0) return;
        if (chunks == 1) body(0, length);
        else Pieces.Run(threads, chunks, 0, (chunk, _) => body(chunk * Chunk, Math.Min(Chunk, length - chunk * Chunk)));
    }

    /// <summary>Hands out (position in the batch, position in the row, count).</summary>
    private static void Rows(int threads, int batch, int size, Action<int, int, int> body)
    {
        int chunks = Pieces.CeilingDivide(size, Chunk);
        // Short rows go out in bundles, so that a large batch of them still makes few pieces.
        int rowsPerPiece = chunks == 1 ? Math.Max(1, Chunk / size) : 1;
        Pieces.Run(threads, Pieces.CeilingDivide(batch, rowsPerPiece) * chunks, 0, (piece, _) =>
        {
            int start = piece % chunks * Chunk, count = Math.Min(Chunk, size - start), first = piece / chunks * rowsPerPiece;
            for (int row = first; row < Math.Min(batch, first + rowsPerPiece); row++) body(row * size + start, start, count);
        });
    }
}
