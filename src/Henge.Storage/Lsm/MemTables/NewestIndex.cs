using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using Henge.Storage.Lsm.Cache;

namespace Henge.Storage.Lsm.MemTables;

/// <summary>
/// Where the newest entry of a key stands in a memtable's list, for point reads: one load in place of a search. Lossy: a slot belongs to
/// whichever key came last, and who does not find a key here searches the list. What is found is certainly the newest entry of its key in
/// the list (docs/decisions/0024).
/// </summary>
/// <remarks>
/// A slot is 16 bits of hash and the 48 of a node's address. A writer takes the slot of its key before it links the entry in, and gives it
/// back after; meanwhile readers search the list. A writer that finds the slot taken does not wait: it declares the slot dead, and nothing
/// is kept there ever after. So writers of one key never pass each other unseen, and no lock is there to be waited for. Thread-safe.
/// </remarks>
internal sealed unsafe class NewestIndex
{
    /// <summary>What <see cref="Take"/> gives when the slot cannot be used.</summary>
    public const ulong Dead = 2;

    private const ulong Taken = 1;
    private const int AddressBits = 48;
    private const ulong AddressMask = (1UL << AddressBits) - 1;
    private const ulong LowestAddress = 16;

    // Bytes of arena to a slot: 6% of the memory, and a slot for each entry of a middling size.
    private const int BytesPerSlot = 128;
    private readonly ulong* _slots;
    private readonly ulong _count;

    /// <summary>Creates an empty index for a memtable of about this size.</summary>
    public NewestIndex(long capacityBytes)
    {
        _count = (ulong)Math.Clamp(capacityBytes / BytesPerSlot, 4, 1 << 24);
        _slots = (ulong*)OffHeap.AllocateAligned(Bytes);
        NativeMemory.Clear(_slots, (nuint)Bytes);
    }

    /// <summary>Bytes of memory that it takes.</summary>
    public long Bytes => (long)_count * sizeof(ulong);

    /// <summary>The newest entry of a key that may have this hash, or null. The caller compares the key.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public SkipListNode* Find(ulong hash)
    {
        ulong slot = Volatile.Read(ref Slot(hash));
        ulong address = slot & AddressMask;
        return slot >> AddressBits == TagOf(hash) && address >= LowestAddress ? (SkipListNode*)address : null;
    }

    /// <summary>Has the slot of a key fetched, for <see cref="Take"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Prefetch(ulong hash)
    {
        if (Sse.IsSupported)
        {
            Sse.Prefetch0(Unsafe.AsPointer(ref Slot(hash)));
        }
    }

    /// <summary>
    /// Takes the slot of a key whose entry is about to be linked in. Gives what was in it, for <see cref="Give"/>; or <see cref="Dead"/>.
    /// </summary>
    public ulong Take(ulong hash)
    {
        ref ulong slot = ref Slot(hash);
        ulong seen = Volatile.Read(ref slot);
        while (seen != Dead)
        {
            ulong now = Interlocked.CompareExchange(ref slot, seen == Taken ? Dead : Taken, seen);
            if (now == seen)
            {
                return seen == Taken ? Dead : seen;
            }

            seen = now;
        }

        return Dead;
    }

    /// <summary>Gives a slot back: to the entry when it is the newest of its key, else to what was in it.</summary>
    public void Give(ulong hash, ulong before, SkipListNode* newest)
    {
        if (before == Dead)
        {
            return;
        }

        ulong address = (ulong)newest;
        ulong next = newest == null || address > AddressMask ? before : (TagOf(hash) << AddressBits) | address;

        // Fails when another writer has declared it dead, which stays so.
        Interlocked.CompareExchange(ref Slot(hash), next, Taken);
    }

    /// <summary>Gives the memory back.</summary>
    public void Free() => OffHeap.FreeAligned((byte*)_slots, Bytes);

    // The slot comes from the highest bits, the filter's bits from the lowest: the tag from between, so that each says something of its
    // own.
    private static ulong TagOf(ulong hash) => (hash >> 24) & 0xFFFF;

    private ref ulong Slot(ulong hash) => ref _slots[Math.BigMul(hash, _count, out _)];
}
