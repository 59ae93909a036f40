using System.Buffers;

namespace LipVerify.Compute;

/// <summary>The work of one piece; <paramref name="scratch"/> belongs to the running thread and holds what the last piece left.</summary>
internal unsafe delegate void PieceBody(int piece, double* scratch);

/// <summary>
/// Shares numbered pieces of work among threads. Callers cut the work by its shape alone, never by the number of threads, and
/// let each piece own what it writes: then results do not depend on how many threads took part or in which order they ran.
/// </summary>
internal static unsafe class Pieces
{
    private const int Line = 64;

    /// <summary>Runs pieces 0 … <paramref name="count"/> − 1, each once, with cache-line-aligned scratch memory for each thread.</summary>
    public static void Run(int threads, int count, int scratchLength, PieceBody body)
    {
        int workers = Math.Min(threads, count);
        if (workers <= 0) return;
        int next = -1;
        if (workers == 1) Work(0);
        else Parallel.For(0, workers, new ParallelOptions { MaxDegreeOfParallelism = workers }, Work);

        void Work(int worker)
        {
            double[] rented = scratchLength == 0 ? [] : ArrayPool<double>.Shared.Rent(scratchLength + Line / sizeof(double));
            try
            {
                fixed (double* start = rented)
                {
                    double* scratch = (double*)(((nuint)start + Line - 1) & ~(nuint)(Line - 1));
                    for (int piece = Interlocked.Increment(ref next); piece < count; piece = Interlocked.Increment(ref next))
                        body(piece, scratch);
                }
            }
            finally
            {
                if (scratchLength > 0) ArrayPool<double>.Shared.Return(rented);
            }
        }
    }

    /// <summary>⌈a / b⌉ for non-negative a and positive b, without overflow.</summary>
    public static int CeilingDivide(int a, int b) => (int)(((long)a + b - 1) / b);
}
