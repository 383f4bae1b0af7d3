using System.Runtime.InteropServices;

namespace Henge.Fuzz.Targets;

/// <summary>
/// Memory behind which a page lies that nobody may touch: whoever reads too far ends the process at once, in place of reading what happens
/// to lie there. Elsewhere than on Linux, plain memory.
/// </summary>
internal sealed unsafe class GuardedMemory
{
    private const int PageBytes = 4096, ReadWrite = 3, PrivateAnonymous = 0x22;
    private readonly byte* _end;
    private readonly int _capacity;

    public GuardedMemory(int capacityBytes)
    {
        _capacity = (capacityBytes + PageBytes - 1) / PageBytes * PageBytes;
        if (!OperatingSystem.IsLinux())
        {
            _end = (byte*)NativeMemory.Alloc((nuint)_capacity) + _capacity;
            return;
        }

        void* memory = Map(null, (nuint)(_capacity + PageBytes), ReadWrite, PrivateAnonymous, -1, 0);
        if (memory == (void*)-1 || Protect((byte*)memory + _capacity, PageBytes, 0) != 0)
        {
            throw new InvalidOperationException("No memory with a guard page.");
        }

        _end = (byte*)memory + _capacity;
    }

    /// <summary>Puts bytes right before the guard, with so many zeros between.</summary>
    public byte* Put(ReadOnlySpan<byte> bytes, int slack)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bytes.Length + slack, _capacity);
        byte* start = _end - slack - bytes.Length;
        bytes.CopyTo(new Span<byte>(start, bytes.Length));
        new Span<byte>(start + bytes.Length, slack).Clear();
        return start;
    }

    [DllImport("libc", EntryPoint = "mmap")]
    private static extern void* Map(void* address, nuint length, int protection, int flags, int file, nint offset);

    [DllImport("libc", EntryPoint = "mprotect")]
    private static extern int Protect(void* address, nuint length, int protection);
}
