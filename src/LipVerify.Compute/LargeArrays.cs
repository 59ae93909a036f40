using System.Runtime.InteropServices;

namespace LipVerify.Compute;

/// <summary>
/// Arrays whose memory is cheap to touch for the first time. A system hands memory out page by page, at pages of 4 KB for a hundred
/// times the cost of filling it; large arrays ask for pages of 2 MB, where the system has them.
/// </summary>
public static unsafe partial class LargeArrays
{
    /// <summary>Arrays from this size on, at which a large page or more lies within.</summary>
    private const long LeastBytes = 4 << 20;

    private const int UseHugePages = 14;

    /// <summary>An array of zeros.</summary>
    public static T[] Allocate<T>(int length) where T : unmanaged
    {
        var array = new T[length];
        long bytes = (long)length * sizeof(T);
        if (bytes >= LeastBytes && OperatingSystem.IsLinux())
            fixed (T* start = array) AskForHugePages((nint)start, (nint)bytes);
        return array;
    }

    /// <summary>Advice that the system may not know or not follow; then its usual pages serve.</summary>
    private static void AskForHugePages(nint start, nint bytes)
    {
        nint page = Environment.SystemPageSize, first = (start + page - 1) / page * page, last = (start + bytes) / page * page;
        _ = Advise(first, last - first, UseHugePages);
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(nint address, nint length, int advice);
}
