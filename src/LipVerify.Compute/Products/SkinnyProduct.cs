using System.Runtime.Intrinsics;

namespace LipVerify.Compute;

/// <summary>
/// Products of a large matrix with a few vectors. They are bound by memory: the large matrix is read once, in place and along
/// its rows, whereas a general matrix product would first copy it.
/// </summary>
internal static unsafe class SkinnyProduct
{
    /// <summary>Above this many vectors, packing pays.</summary>
    public const int MostVectors = 8;

    private const int DotDepth = 2048;
    private const int DotRows = 64;
    private const int SumWidth = 8192;

    /// <summary>One matrix product seen as result(i, j) = Σ small(i, k)·large(j, k), i over the few vectors.</summary>
    private readonly struct View(double* small, int smallRow, int smallStep, double* large, int largeStride, bool largeAlongDepth, double* result, int resultRow, int resultStep)
    {
        public readonly double* Small = small, Large = large, Result = result;
        public readonly int SmallRow = smallRow, SmallStep = smallStep, LargeStride = largeStride, ResultRow = resultRow, ResultStep = resultStep;
        public readonly bool LargeAlongDepth = largeAlongDepth;

        public void Store(int i, int j, double alpha, double sum, double beta)
        {
            double* target = Result + (nint)i * ResultRow + (nint)j * ResultStep;
            *target = beta == 0 ? alpha * sum : beta * *target + alpha * sum;
        }
    }

    /// <summary>
    /// A sum of k products goes through at most k roundings a term in whatever order it is taken. Along k the order is known: a block
    /// of <see cref="DotDepth"/> terms goes to at least 16 running sums (128 terms each; up to 15 left over follow one by one), these
    /// are added in 4 steps, and then blocks and slices (at most 8) one by one.
    /// </summary>
    public static int SummationDepth(bool transposeA, bool transposeB, int m, int n, int k)
    {
        bool largeAlongDepth = m <= n ? transposeB : !transposeA;
        return largeAlongDepth ? Math.Min(k, DotDepth / 16 + 16 + 4 + Pieces.CeilingDivide(k, DotDepth) + 8) : k;
    }

    /// <summary>C ← α·op(A)·op(B) + β·C where m or n is at most <see cref="MostVectors"/>, on the calling thread.</summary>
    public static void Multiply(bool transposeA, bool transposeB, int m, int n, int k, double alpha, double* a, int lda, double* b, int ldb, double beta, double* c, int ldc)
    {
        View view = m <= n
            ? new View(a, transposeA ? 1 : lda, transposeA ? lda : 1, b, ldb, transposeB, c, ldc, 1)
            : new View(b, transposeB ? ldb : 1, transposeB ? 1 : ldb, a, lda, !transposeA, c, 1, ldc);
        if (view.LargeAlongDepth) Dots(view, Math.Min(m, n), Math.Max(m, n), k, alpha, beta);
        else Sums(view, Math.Min(m, n), Math.Max(m, n), k, alpha, beta);
    }

    /// <summary>The large matrix lies along k: inner products, four of its rows with one vector after the other: the first finds them in memory, the others in the cache.</summary>
    private static void Dots(in View view, int vectors, int length, int depth, double alpha, double beta)
    {
        // Vectors that do not lie along k are copied, block by block, to where they do.
        double* packed = stackalloc double[view.SmallStep == 1 ? 0 : vectors * Math.Min(depth, DotDepth)];
        double* sums = stackalloc double[vectors * DotRows];
        for (int j0 = 0; j0 < length; j0 += DotRows)
        {
            int rows = Math.Min(DotRows, length - j0);
            new Span<double>(sums, vectors * DotRows).Clear();
            for (int k0 = 0; k0 < depth; k0 += DotDepth)
            {
                int count = Math.Min(DotDepth, depth - k0);
                double* small = view.Small + (nint)k0 * view.SmallStep;
                int smallRow = view.SmallRow;
                if (view.SmallStep != 1)
                {
                    for (int i = 0; i < vectors; i++)
                        for (int k = 0; k < count; k++) packed[i * count + k] = small[(nint)i * smallRow + (nint)k * view.SmallStep];
                    small = packed;
                    smallRow = count;
                }
                for (int j = 0; j < rows; j += 4)
                {
                    double* large = view.Large + (nint)(j0 + j) * view.LargeStride + k0;
                    double* sum = sums + j;
                    int i = 0;
                    if (rows - j < 4)
                    {
                        for (; i < vectors; i++, sum += DotRows)
                            for (int q = 0; q < rows - j; q++) sum[q] += Elementwise.Dot(small + (nint)i * smallRow, large + (nint)q * view.LargeStride, count);
                        continue;
                    }
                    for (; i < vectors; i++, sum += DotRows)
                        FourDots(small + (nint)i * smallRow, large, view.LargeStride, count, sum);
                }
            }
            for (int i = 0; i < vectors; i++)
                for (int j = 0; j < rows; j++) view.Store(i, j0 + j, alpha, sums[i * DotRows + j], beta);
        }
    }

    private static void FourDots(double* vector, double* rows, int stride, int count, double* sums)
    {
        double* r0 = rows, r1 = r0 + stride, r2 = r1 + stride, r3 = r2 + stride;
        Vector512<double> s0 = Vector512<double>.Zero, s1 = s0, s2 = s0, s3 = s0, t0 = s0, t1 = s0, t2 = s0, t3 = s0;
        int k = 0;
        for (; k <= count - 16; k += 16)
        {
            Vector512<double> v = Vector512.Load(vector + k), w = Vector512.Load(vector + k + 8);
            s0 = Vector512.MultiplyAddEstimate(Vector512.Load(r0 + k), v, s0);
            s1 = Vector512.MultiplyAddEstimate(Vector512.Load(r1 + k), v, s1);
            s2 = Vector512.MultiplyAddEstimate(Vector512.Load(r2 + k), v, s2);
            s3 = Vector512.MultiplyAddEstimate(Vector512.Load(r3 + k), v, s3);
            t0 = Vector512.MultiplyAddEstimate(Vector512.Load(r0 + k + 8), w, t0);
            t1 = Vector512.MultiplyAddEstimate(Vector512.Load(r1 + k + 8), w, t1);
            t2 = Vector512.MultiplyAddEstimate(Vector512.Load(r2 + k + 8), w, t2);
            t3 = Vector512.MultiplyAddEstimate(Vector512.Load(r3 + k + 8), w, t3);
        }
        double d0 = Vector512.Sum(s0 + t0), d1 = Vector512.Sum(s1 + t1), d2 = Vector512.Sum(s2 + t2), d3 = Vector512.Sum(s3 + t3);
        for (; k < count; k++)
        {
            d0 += r0[k] * vector[k];
            d1 += r1[k] * vector[k];
            d2 += r2[k] * vector[k];
            d3 += r3[k] * vector[k];
        }
        sums[0] += d0;
        sums[1] += d1;
        sums[2] += d2;
        sums[3] += d3;
    }

    /// <summary>The large matrix lies across k: sums of multiples of its rows, four rows at a time.</summary>
    private static void Sums(in View view, int vectors, int length, int depth, double alpha, double beta)
    {
        int width = Math.Min(length, Math.Max(1024, SumWidth / vectors));
        double* sums = stackalloc double[vectors * width];
        for (int j0 = 0; j0 < length; j0 += width)
        {
            int count = Math.Min(width, length - j0);
            new Span<double>(sums, vectors * width).Clear();
            double* large = view.Large + j0;
            int k = 0;
            for (; k <= depth - 4; k += 4, large += 4 * (nint)view.LargeStride)
                FourSums(view, k, vectors, large, sums, width, count);
            for (; k < depth; k++, large += view.LargeStride)
                for (int i = 0; i < vectors; i++)
                    AddMultiple(view.Small[(nint)i * view.SmallRow + (nint)k * view.SmallStep], large, sums + i * width, count);
            for (int i = 0; i < vectors; i++)
                for (int j = 0; j < count; j++) view.Store(i, j0 + j, alpha, sums[i * width + j], beta);
        }
    }

    private static void FourSums(in View view, int k, int vectors, double* rows, double* sums, int width, int count)
    {
        double* r0 = rows, r1 = r0 + view.LargeStride, r2 = r1 + view.LargeStride, r3 = r2 + view.LargeStride;
        double* factors = stackalloc double[4 * MostVectors];
        for (int i = 0; i < vectors; i++)
            for (int q = 0; q < 4; q++) factors[4 * i + q] = view.Small[(nint)i * view.SmallRow + (nint)(k + q) * view.SmallStep];
        int j = 0;
        for (; j <= count - 8; j += 8)
        {
            Vector512<double> v0 = Vector512.Load(r0 + j), v1 = Vector512.Load(r1 + j), v2 = Vector512.Load(r2 + j), v3 = Vector512.Load(r3 + j);
            double* target = sums + j;
            double* factor = factors;
            for (int i = 0; i < vectors; i++, target += width, factor += 4)
            {
                Vector512<double> sum = Vector512.Load(target);
                sum = Vector512.MultiplyAddEstimate(v0, Vector512.Create(factor[0]), sum);
                sum = Vector512.MultiplyAddEstimate(v1, Vector512.Create(factor[1]), sum);
                sum = Vector512.MultiplyAddEstimate(v2, Vector512.Create(factor[2]), sum);
                sum = Vector512.MultiplyAddEstimate(v3, Vector512.Create(factor[3]), sum);
                Vector512.Store(sum, target);
            }
        }
        for (; j < count; j++)
            for (int i = 0; i < vectors; i++)
                sums[i * width + j] += factors[4 * i] * r0[j] + factors[4 * i + 1] * r1[j] + factors[4 * i + 2] * r2[j] + factors[4 * i + 3] * r3[j];
    }

    private static void AddMultiple(double factor, double* row, double* sums, int count)
    {
        Vector512<double> broadcast = Vector512.Create(factor);
        int j = 0;
        for (; j <= count - 8; j += 8)
            Vector512.Store(Vector512.MultiplyAddEstimate(Vector512.Load(row + j), broadcast, Vector512.Load(sums + j)), sums + j);
        for (; j < count; j++) sums[j] += factor * row[j];
    }
}
