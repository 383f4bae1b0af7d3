using System.Runtime.InteropServices;
using Henge.Core;

namespace Henge.Storage.Lsm.Cache;

/// <summary>
/// Memory outside of the garbage collector's heap, counted, so that a test can tell whether all of it came back and an operator where
/// memory goes. Thread-safe.
/// </summary>
internal static unsafe partial class OffHeap
{
    private const int HugePageBytes = 2 << 20;
    private const int MappedBytes = 256 * 1024;
    private const int MadvHugePage = 14;

    // A multiple of every page size in use.
    private const int PageBytes = 64 * 1024;
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
    /// Takes memory aligned to a cache line, not cleared; from 2 MiB on aligned to huge pages, and the kernel is asked for them: structures
    /// of this size are walked at random, and then every step would miss the TLB as well.
    /// </summary>
    public static byte* AllocateAligned(long bytes)
    {
        byte* pointer;
        if (bytes >= MappedBytes && OperatingSystem.IsLinux())
        {
            pointer = Map(bytes);
        }
        else
        {
            pointer = (byte*)NativeMemory.AlignedAlloc((nuint)bytes, bytes >= HugePageBytes ? (nuint)HugePageBytes : 64);
        }

        Interlocked.Add(ref _liveBytes, bytes);
        return pointer;
    }

    /// <summary>Takes memory from <see cref="AllocateAligned"/> back.</summary>
    public static void FreeAligned(byte* pointer, long bytes)
    {
        if (bytes >= MappedBytes && OperatingSystem.IsLinux())
        {
            Invariant.Check(Munmap(pointer, RoundUp(bytes)) == 0, "what was mapped can be unmapped");
        }
        else
        {
            NativeMemory.AlignedFree(pointer);
        }

        Interlocked.Add(ref _liveBytes, -bytes);
    }

    /// <summary>
    /// By a mapping of its own, and not from the C library's heap: for pieces of this size the heap does not return freed memory to the
    /// system, and a node would hold twice the memory that it uses (docs/performance.md).
    /// </summary>
    private static byte* Map(long bytes)
    {
        const int ReadWrite = 3, PrivateAnonymous = 0x22;
        nuint size = RoundUp(bytes);
        nuint spare = bytes >= HugePageBytes ? (nuint)HugePageBytes : 0;
        byte* raw = (byte*)Mmap(null, size + spare, ReadWrite, PrivateAnonymous, -1, 0);
        if ((nint)raw == -1)
        {
            throw new InsufficientMemoryException(
                $"The system has no {bytes} bytes of memory left to give. Lower the memory setting, or make room.");
        }

        if (spare == 0)
        {
            return raw;
        }

        byte* pointer = (byte*)(((nuint)raw + HugePageBytes - 1) & ~(nuint)(HugePageBytes - 1));
        nuint before = (nuint)(pointer - raw);
        if (before > 0)
        {
            _ = Munmap(raw, before);
        }

        if (before < spare)
        {
            _ = Munmap(pointer + size, spare - before);
        }

        // A hint: where it fails (an old kernel, a container that forbids it) the memory is as good, only slower.
        _ = Madvise(pointer, size, MadvHugePage);
        return pointer;
    }

    private static nuint RoundUp(long bytes) => ((nuint)bytes + PageBytes - 1) & ~(nuint)(PageBytes - 1);

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Madvise(byte* address, nuint length, int advice);

    [LibraryImport("libc", EntryPoint = "mmap")]
    private static partial void* Mmap(void* address, nuint length, int protection, int flags, int file, long offset);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int Munmap(void* address, nuint length);
}
