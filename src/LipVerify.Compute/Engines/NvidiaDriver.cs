using System.Runtime.InteropServices;

namespace LipVerify.Compute;

/// <summary>Whether this machine has NVIDIA's driver: a look that is cheap where it has not.</summary>
internal static class NvidiaDriver
{
    private static readonly string s_library = OperatingSystem.IsWindows() ? "nvcuda.dll" : "libcuda.so.1";

    private static readonly Lazy<bool> s_isThere = new(() => NativeLibrary.TryLoad(s_library, out _));

    /// <summary>Whether the driver's library loads.</summary>
    public static bool IsThere => s_isThere.Value;

    /// <summary>What is said where it does not.</summary>
    public static string Missing => $"the NVIDIA driver is missing ({s_library} does not load)";
}
