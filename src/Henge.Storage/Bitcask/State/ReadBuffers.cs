using System.Numerics;
using Henge.Storage.Lsm.Cache;

namespace Henge.Storage.Bitcask.State;

/// <summary>
/// Memory into which values are read, off the managed heap; kept to be used again, so that a read allocates nothing. Up to 32 buffers of
/// each size from 512 bytes to 64 KiB are kept (4 MiB in all); larger ones are given back to the system. Thread-safe, without locks.
/// </summary>
internal sealed unsafe class ReadBuffers : IPinOwner, IDisposable
{
    private const int SmallestShift = 9;
    private const int LargestShift = 16;
    private const int Kept = 32;

    // Before the bytes that are handed out: their number.
    private const int HeadBytes = 16;
    private readonly nint[] _slots = new nint[(LargestShift - SmallestShift + 1) * Kept];

    /// <summary>At least so many bytes, not cleared. Give them back by <see cref="Unpin"/>.</summary>
    public byte* Take(int bytes)
    {
        int shift = Math.Max(SmallestShift, 32 - BitOperations.LeadingZeroCount((uint)Math.Max(1, bytes - 1)));
        if (shift > LargestShift)
        {
            return Allocate(bytes);
        }

        Span<nint> slots = _slots.AsSpan((shift - SmallestShift) * Kept, Kept);
        int first = Environment.CurrentManagedThreadId;
        for (int i = 0; i < Kept; i++)
        {
            ref nint slot = ref slots[(first + i) & (Kept - 1)];
            if (Volatile.Read(ref slot) != 0 && Interlocked.Exchange(ref slot, 0) is var found && found != 0)
            {
                return (byte*)found;
            }
        }

        return Allocate(1 << shift);
    }

    /// <inheritdoc/>
    public void Unpin(nint token)
    {
        long bytes = *(long*)(token - HeadBytes);
        if (bytes <= 1 << LargestShift)
        {
            int shift = BitOperations.Log2((uint)bytes);
            Span<nint> slots = _slots.AsSpan((shift - SmallestShift) * Kept, Kept);
            int first = Environment.CurrentManagedThreadId;
            for (int i = 0; i < Kept; i++)
            {
                ref nint slot = ref slots[(first + i) & (Kept - 1)];
                if (Volatile.Read(ref slot) == 0 && Interlocked.CompareExchange(ref slot, token, 0) == 0)
                {
                    return;
                }
            }
        }

        Free(token, bytes);
    }

    /// <summary>Gives back what is kept. Buffers that come back later are kept until the process ends.</summary>
    public void Dispose()
    {
        for (int i = 0; i < _slots.Length; i++)
        {
            if (Interlocked.Exchange(ref _slots[i], 0) is var kept && kept != 0)
            {
                Free(kept, *(long*)(kept - HeadBytes));
            }
        }
    }

    private static byte* Allocate(long bytes)
    {
        byte* memory = OffHeap.Allocate(bytes + HeadBytes);
        *(long*)memory = bytes;
        return memory + HeadBytes;
    }

    private static void Free(nint token, long bytes) => OffHeap.Free((byte*)(token - HeadBytes), bytes + HeadBytes);
}
