using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Henge.Storage.Lsm.Cache;

/// <summary>
/// Blocks of tables in off-heap memory, up to a number of bytes. Thread-safe: a hit takes no lock, allocates nothing and costs one atomic
/// addition (and one more when the pin is given back); inserting and evicting take a lock that one of up to 64 shards has.
/// </summary>
/// <remarks>
/// Slots stand in groups of 16. A block's hash chooses its group, in which one vector comparison of 16 tags finds it. Slots never move
/// and are never freed while the cache lives, so that a reader may add its pin to a slot first and look afterwards whether it is still the
/// block that it wants. What to evict is chosen by CLOCK: a hand goes round, takes the used mark from each block, and evicts those that
/// have none and are not pinned. New blocks come without a mark, so one scan does not push out what is used again and again.
/// A block that finds no place (bigger than a shard, or everything around it pinned) is served from memory of its own and not kept.
/// </remarks>
internal sealed unsafe class BlockCache : IPinOwner, IDisposable
{
    private const int Ways = 16;
    private const int MaxShards = 64;
    private const long MinShardBytes = 512 * 1024;
    private const int CounterCells = 16;

    // A slot's state: how many pins, and one of none (free), Visible, Invalidated (to be freed with the last pin) and Busy (one thread
    // changes it).
    private const long PinMask = 0xFFFF_FFFF;
    private const long Visible = 1L << 32;
    private const long Used = 1L << 33;
    private const long Invalidated = 1L << 34;
    private const long Busy = 1L << 35;

    private readonly uint* _tags;
    private readonly Slot* _slots;
    private readonly Shard[] _shards;
    private readonly int _groupShift;
    private readonly int _shardShift;
    private readonly int _slotCount;
    private readonly long _shardBytes;
    private readonly long[] _counters = new long[CounterCells * 8];
    private long _lastRange;
    private long _occupied = 1;
    private int _disposed;

    /// <summary>
    /// Creates a cache; with a capacity of 0 it keeps nothing. <paramref name="typicalBlockBytes"/> sets how many blocks it has slots for.
    /// </summary>
    public BlockCache(long capacityBytes, int typicalBlockBytes = 4096)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(capacityBytes);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(typicalBlockBytes);
        CapacityBytes = capacityBytes;

        // Between a third and two thirds of the slots are taken by blocks of the typical size: few groups are full then.
        long wanted = Math.Clamp(capacityBytes / typicalBlockBytes * 3 / 2 / Ways, 1, 1 << 24);
        int groups = (int)BitOperations.RoundUpToPowerOf2((ulong)wanted);
        int shards = 1 << BitOperations.Log2((ulong)Math.Clamp(capacityBytes / MinShardBytes, 1, MaxShards));
        shards = Math.Min(shards, groups);
        _groupShift = 64 - BitOperations.Log2((uint)groups);
        _shardShift = BitOperations.Log2((uint)(groups / shards));
        _slotCount = groups * Ways;
        _shardBytes = capacityBytes / shards;
        _shards = new Shard[shards];
        for (int i = 0; i < shards; i++)
        {
            _shards[i] = new Shard { FirstSlot = i * (groups / shards) * Ways, SlotCount = groups / shards * Ways };
        }

        _tags = (uint*)OffHeap.AllocateAligned((long)_slotCount * sizeof(uint));
        _slots = (Slot*)OffHeap.AllocateAligned((long)_slotCount * sizeof(Slot));
        NativeMemory.Clear(_tags, (nuint)_slotCount * sizeof(uint));
        NativeMemory.Clear(_slots, (nuint)_slotCount * (nuint)sizeof(Slot));
    }

    /// <summary>The most bytes that it keeps.</summary>
    public long CapacityBytes { get; }

    /// <summary>Bytes of blocks in use.</summary>
    public long UsedBytes
    {
        get
        {
            long sum = 0;
            foreach (Shard shard in _shards)
            {
                sum += Volatile.Read(ref shard.UsedBytes);
            }

            return sum;
        }
    }

    /// <summary>Reads answered by the cache, about (threads may overwrite each other's count).</summary>
    public long Hits => SumCounters(0);

    /// <summary>Reads that went to the file, about.</summary>
    public long Misses => SumCounters(1);

    /// <summary>
    /// Makes the first of 2^32 keys for the blocks of one table: add a block's number. The tables opened since the process began are far
    /// fewer than would make a key come again.
    /// </summary>
    public ulong NewKeyRange() => (ulong)Interlocked.Increment(ref _lastRange) << 32;

    /// <summary>Pins a block if it is there.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryPin(ulong key, out PinnedBlock block)
    {
        ulong hash = Hash(key);
        int first = GroupOf(hash) * Ways;
        for (uint candidates = Match(first, TagOf(hash)); candidates != 0; candidates &= candidates - 1)
        {
            Slot* slot = _slots + first + BitOperations.TrailingZeroCount(candidates);
            long state = Interlocked.Increment(ref slot->State);
            if ((state & Visible) != 0 && slot->Key == key)
            {
                if ((state & Used) == 0)
                {
                    Interlocked.Or(ref slot->State, Used);
                }

                Count(0);
                block = new PinnedBlock(slot->Data, slot->Length, this, (nint)slot);
                return true;
            }

            Unpin((nint)slot);
        }

        Count(1);
        Unsafe.SkipInit(out block);
        return false;
    }

    /// <summary>
    /// Gives a block (memory from <see cref="BlockMemory"/>) to the cache and pins it. When another thread was faster, its copy is
    /// pinned and this one freed.
    /// </summary>
    public PinnedBlock Insert(ulong key, byte* data, int length)
    {
        long charge = BlockMemory.Footprint(length);
        ulong hash = Hash(key);
        int group = GroupOf(hash);
        Shard shard = _shards[group >> _shardShift];
        if (charge > _shardBytes)
        {
            return BlockMemory.PinUncached(data, length);
        }

        lock (shard.Lock)
        {
            if (TryPinAgain(group * Ways, TagOf(hash), key, out PinnedBlock other))
            {
                BlockMemory.Free(data);
                return other;
            }

            if (!MakeRoom(shard, charge) || !TryClaim(shard, group * Ways, out int index))
            {
                return BlockMemory.PinUncached(data, length);
            }

            Slot* slot = _slots + index;
            slot->Key = key;
            slot->Data = data;
            slot->Length = length;
            Interlocked.Add(ref shard.UsedBytes, charge);
            Interlocked.Increment(ref _occupied);
            Volatile.Write(ref _tags[index], TagOf(hash));

            // By addition, because readers that still look at the slot's past may have pins in it.
            Interlocked.Add(ref slot->State, Visible - Busy + 1);
            return new PinnedBlock(data, length, this, (nint)slot);
        }
    }

    /// <summary>Takes a block out; its memory is freed with its last pin. Nothing happens when it is not there.</summary>
    public void Drop(ulong key)
    {
        ulong hash = Hash(key);
        int group = GroupOf(hash);
        lock (_shards[group >> _shardShift].Lock)
        {
            for (uint candidates = Match(group * Ways, TagOf(hash)); candidates != 0; candidates &= candidates - 1)
            {
                Slot* slot = _slots + (group * Ways) + BitOperations.TrailingZeroCount(candidates);
                if ((Volatile.Read(ref slot->State) & Visible) != 0 && slot->Key == key)
                {
                    Invalidate(slot);
                }
            }
        }
    }

    /// <summary>Takes one more pin on a block that the caller has pinned.</summary>
    public void Retain(nint token) => Interlocked.Increment(ref ((Slot*)token)->State);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Unpin(nint token)
    {
        Slot* slot = (Slot*)token;
        if ((Interlocked.Decrement(ref slot->State) & (PinMask | Invalidated)) == Invalidated)
        {
            FreeInvalidated(slot);
        }
    }

    /// <summary>
    /// Frees all blocks; those that are still pinned go with their last pin. Nobody may ask for or insert a block any more, nor meanwhile.
    /// </summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        foreach (Shard shard in _shards)
        {
            lock (shard.Lock)
            {
                for (int i = shard.FirstSlot; i < shard.FirstSlot + shard.SlotCount; i++)
                {
                    if ((Volatile.Read(ref _slots[i].State) & Visible) != 0)
                    {
                        Invalidate(_slots + i);
                    }
                }
            }
        }

        Leave();
    }

    /// <summary>One occupied slot less; the cache itself counts as one until it is disposed of. The slots go with the last.</summary>
    private void Leave()
    {
        if (Interlocked.Decrement(ref _occupied) == 0)
        {
            OffHeap.FreeAligned((byte*)_tags, (long)_slotCount * sizeof(uint));
            OffHeap.FreeAligned((byte*)_slots, (long)_slotCount * sizeof(Slot));
        }
    }

    private bool TryPinAgain(int first, uint tag, ulong key, out PinnedBlock block)
    {
        for (uint candidates = Match(first, tag); candidates != 0; candidates &= candidates - 1)
        {
            // Under the shard's lock nothing becomes visible or stops being so.
            Slot* slot = _slots + first + BitOperations.TrailingZeroCount(candidates);
            if ((Volatile.Read(ref slot->State) & Visible) != 0 && slot->Key == key)
            {
                Interlocked.Increment(ref slot->State);
                block = new PinnedBlock(slot->Data, slot->Length, this, (nint)slot);
                return true;
            }
        }

        block = default;
        return false;
    }

    /// <summary>Evicts by the shard's clock until there is room for a number of bytes; false when too much is pinned.</summary>
    private bool MakeRoom(Shard shard, long charge)
    {
        // Two rounds: the first may do no more than take the marks.
        for (int steps = 2 * shard.SlotCount; Volatile.Read(ref shard.UsedBytes) + charge > _shardBytes; steps--)
        {
            if (steps == 0)
            {
                return false;
            }

            int index = shard.FirstSlot + shard.Hand;
            shard.Hand = shard.Hand + 1 == shard.SlotCount ? 0 : shard.Hand + 1;
            if (TryEvict(shard, index))
            {
                Interlocked.And(ref _slots[index].State, ~Busy);
            }
        }

        return true;
    }

    /// <summary>Finds a free slot in a group, or evicts a block from it, and leaves it busy.</summary>
    private bool TryClaim(Shard shard, int first, out int index)
    {
        for (index = first; index < first + Ways; index++)
        {
            if ((Volatile.Read(ref _slots[index].State) & ~PinMask) == 0)
            {
                Interlocked.Or(ref _slots[index].State, Busy);
                return true;
            }
        }

        for (int round = 0; round < 2; round++)
        {
            for (int way = 0; way < Ways; way++)
            {
                // Not always from the first one on.
                index = first + ((way + shard.Hand) & (Ways - 1));
                if (TryEvict(shard, index))
                {
                    return true;
                }
            }
        }

        index = -1;
        return false;
    }

    /// <summary>
    /// Evicts a block that is neither pinned nor marked as used, and leaves its slot busy; takes the mark from one that has it.
    /// </summary>
    private bool TryEvict(Shard shard, int index)
    {
        Slot* slot = _slots + index;
        long state = Volatile.Read(ref slot->State);
        if ((state & ~Used) != Visible)
        {
            return false;
        }

        if ((state & Used) != 0)
        {
            Interlocked.And(ref slot->State, ~Used);
            return false;
        }

        if (Interlocked.CompareExchange(ref slot->State, Busy, state) != state)
        {
            return false;
        }

        FreeData(shard, index);
        Leave();
        return true;
    }

    private void Invalidate(Slot* slot)
    {
        while (true)
        {
            long state = Volatile.Read(ref slot->State);
            long invalidated = (state & PinMask) | Invalidated;
            if (Interlocked.CompareExchange(ref slot->State, invalidated, state) == state)
            {
                if (invalidated == Invalidated)
                {
                    FreeInvalidated(slot);
                }

                return;
            }
        }
    }

    private void FreeInvalidated(Slot* slot)
    {
        // A reader that found the slot earlier may pin and unpin it at any time: the thread that turns it from invalidated to busy frees
        // it. A reader that had pinned the block while it was visible may have marked it as used after it was invalidated; no thread does
        // so without a pin.
        long state = Volatile.Read(ref slot->State);
        if ((state & ~Used) == Invalidated && Interlocked.CompareExchange(ref slot->State, Busy, state) == state)
        {
            int index = (int)(slot - _slots);
            FreeData(_shards[(index / Ways) >> _shardShift], index);
            Interlocked.And(ref slot->State, ~Busy);
            Leave();
        }
    }

    private void FreeData(Shard shard, int index)
    {
        Slot* slot = _slots + index;
        Volatile.Write(ref _tags[index], 0);
        Interlocked.Add(ref shard.UsedBytes, -BlockMemory.Footprint(slot->Length));
        BlockMemory.Free(slot->Data);
        slot->Data = null;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private uint Match(int first, uint tag)
    {
        uint* tags = _tags + first;
        Vector256<uint> wanted = Vector256.Create(tag);
        uint low = Vector256.Equals(Vector256.LoadAligned(tags), wanted).ExtractMostSignificantBits();
        uint high = Vector256.Equals(Vector256.LoadAligned(tags + 8), wanted).ExtractMostSignificantBits();
        return low | (high << 8);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Hash(ulong key)
    {
        ulong high = Math.BigMul(key ^ 0xD6E8FEB86659FD93, 0xA0761D6478BD642F, out ulong low);
        return high ^ low;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int GroupOf(ulong hash) => _groupShift == 64 ? 0 : (int)(hash >> _groupShift);

    // Never 0, which is a free slot's.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint TagOf(ulong hash) => (uint)hash | 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Count(int counter) => _counters[((Environment.CurrentManagedThreadId & (CounterCells - 1)) * 8) + counter]++;

    private long SumCounters(int counter)
    {
        long sum = 0;
        for (int cell = 0; cell < CounterCells; cell++)
        {
            sum += Volatile.Read(ref _counters[(cell * 8) + counter]);
        }

        return sum;
    }

    // Half a cache line.
    [StructLayout(LayoutKind.Sequential, Size = 32)]
    private struct Slot
    {
        public long State;
        public ulong Key;
        public byte* Data;
        public int Length;
    }

    private sealed class Shard
    {
        public readonly Lock Lock = new();
        public required int FirstSlot;
        public required int SlotCount;
        public int Hand;
        public long UsedBytes;
    }
}
