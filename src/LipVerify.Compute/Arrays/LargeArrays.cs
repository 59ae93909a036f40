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

    /// <summary>Bytes that large arrays may take beside those that are in use, at least, before those that are not are collected.</summary>
    private const long LeastSlack = 256 << 20;

    /// <summary>Bytes that were handed out since the last collection, and how many may be.</summary>
    private static long s_handedOut, s_slack = LeastSlack;

    /// <summary>An array of zeros.</summary>
    public static T[] Allocate<T>(int length) where T : unmanaged
    {
        long bytes = (long)length * sizeof(T);
        if (bytes >= LeastBytes) MakeRoom(bytes);
        var array = new T[length];
        if (bytes >= LeastBytes && OperatingSystem.IsLinux())
            fixed (T* start = array) AskForHugePages((nint)start, (nint)bytes);
        return array;
    }

    /// <summary>
    /// Left to itself, the collector lets large arrays pile up to several times what is in use. They are few, so collecting them is cheap.
    /// </summary>
    private static void MakeRoom(long bytes)
    {
        if (Interlocked.Add(ref s_handedOut, bytes) < Volatile.Read(ref s_slack)) return;
        Interlocked.Exchange(ref s_handedOut, bytes);
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Forced, blocking: true, compacting: false);
        Volatile.Write(ref s_slack, Math.Max(LeastSlack, GC.GetTotalMemory(forceFullCollection: false) / 4));
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
