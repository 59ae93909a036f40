using ILGPU;

namespace LipVerify.Ilgpu.Kernels;

/// <summary>Sums over the threads of a group, as a tree: a value passes through one addition a level.</summary>
internal static class GroupSum
{
    /// <summary>The most threads of a group that adds.</summary>
    public const int MostThreads = 256;

    /// <summary>The sum of one value a thread, a power of two of them; all threads of the group get it and must call this.</summary>
    public static double Of(double value)
    {
        var values = SharedMemory.Allocate<double>(MostThreads);
        int thread = Group.IdxX;
        values[thread] = value;
        Group.Barrier();
        for (int half = Group.DimX / 2; half > 0; half /= 2)
        {
            if (thread < half) values[thread] += values[thread + half];
            Group.Barrier();
        }

        double sum = values[0];
        // The next sum writes here again.
        Group.Barrier();
        return sum;
    }
}
