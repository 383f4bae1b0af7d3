using System.Runtime.InteropServices;

namespace Henge.Storage.Lsm;

/// <summary>
/// Memory outside of the garbage collector's heap, counted, so that a test can tell whether all of it came back and an operator where
/// memory goes. Thread-safe.
/// </summary>
internal static unsafe partial class OffHeap
{
    private const int HugePageBytes = 2 << 20;
    private const int MadvHugePage = 14;
    private static long _liveBytes;

    /// <summary>Bytes that are allocated now.</summary>
    public static long LiveBytes => Volatile.Read(ref _liveBytes);

    /// <summary>Takes memory, aligned to 16 bytes, not cleared.</summary>
    public static byte* Allocate(long bytes)
    {
        byte* pointer = (byte*)NativeMemory.Alloc((nuint)bytes);
        Interlocked.Add(ref _liveBytes, bytes);
        return pointer;
    }

    /// <summary>Takes memory from <see cref="Allocate"/> back.</summary>
    public static void Free(byte* pointer, long bytes)
    {
        NativeMemory.Free(pointer);
        Interlocked.Add(ref _liveBytes, -bytes);
    }

    /// <summary>
    /// Takes memory aligned to a cache line, not cleared; from 2 MiB on aligned to huge pages, and the kernel is asked for them: structures of
    /// this size are walked at random, and then every step would miss the TLB as well.
    /// </summary>
    public static byte* AllocateAligned(long bytes)
    {
        bool huge = bytes >= HugePageBytes;
        byte* pointer = (byte*)NativeMemory.AlignedAlloc((nuint)bytes, huge ? (nuint)HugePageBytes : 64);
        if (huge && OperatingSystem.IsLinux())
        {
            // A hint: where it fails (an old kernel, a container that forbids it) the memory is as good, only slower.
            _ = Madvise(pointer, (nuint)bytes, MadvHugePage);
        }

        Interlocked.Add(ref _liveBytes, bytes);
        return pointer;
    }

    /// <summary>Takes memory from <see cref="AllocateAligned"/> back.</summary>
    public static void FreeAligned(byte* pointer, long bytes)
    {
        NativeMemory.AlignedFree(pointer);
        Interlocked.Add(ref _liveBytes, -bytes);
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Madvise(byte* address, nuint length, int advice);
}
