using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using Henge.Core;
using Henge.Storage.Lsm.Cache;
using Henge.Storage.Lsm.Keys;

namespace Henge.Storage.Lsm.MemTables;

/// <summary>
/// Entries in memory, ordered: a skip list in an off-heap arena. Any number of threads may add and read at once; readers take no lock.
/// </summary>
/// <remarks>
/// Reference counted: made with one reference; the arena is freed when the last one goes. Iterators and found values hold one each.
/// </remarks>
internal sealed unsafe class MemTable : IPinOwner
{
    // Bytes of arena to a word of filter: 16 bits for an entry of 256 bytes or less, 1.6% of the memory.
    private const int BytesPerFilterWord = 512;
    private readonly Arena _arena;
    private readonly SkipList _list;
    private readonly ulong* _filter;
    private readonly ulong _filterWords;
    private readonly NewestIndex _newest;
    private readonly Counters* _counters;
    private int _references = 1;

    /// <summary>
    /// Creates an empty memtable that is meant to hold about <paramref name="capacityBytes"/>; it grows beyond when it must.
    /// </summary>
    public MemTable(long capacityBytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(capacityBytes);
        _arena = new Arena(capacityBytes);
        _list = new SkipList(_arena);
        _filterWords = (ulong)Math.Clamp(capacityBytes / BytesPerFilterWord, 8, 1 << 24);
        _filter = (ulong*)OffHeap.AllocateAligned((long)_filterWords * sizeof(ulong));
        NativeMemory.Clear(_filter, (nuint)_filterWords * sizeof(ulong));
        _newest = new NewestIndex(capacityBytes);
        _counters = (Counters*)OffHeap.AllocateAligned(sizeof(Counters));
        *_counters = new Counters { MinVersion = Core.Version.MaxValue };
    }

    /// <summary>Bytes in use: of the arena (towers and headers included), and what point reads need beside it.</summary>
    public long ApproximateBytes => _arena.UsedBytes + _newest.Bytes + ((long)_filterWords * sizeof(ulong));

    /// <summary>Entries. May be ahead of what readers see by those that are being added.</summary>
    public long EntryCount => Volatile.Read(ref _counters->Added) - Volatile.Read(ref _counters->Repeated);

    /// <summary>True when nothing was added.</summary>
    public bool IsEmpty => EntryCount == 0;

    /// <summary>The smallest version in it; <see cref="Core.Version.Max"/> when empty.</summary>
    public Core.Version MinVersion => new(Volatile.Read(ref _counters->MinVersion));

    /// <summary>The largest version in it; zero when empty.</summary>
    public Core.Version MaxVersion => new(Volatile.Read(ref _counters->MaxVersion));

    /// <summary>
    /// Adds an entry. An entry with the same key, version and kind that is there already stays as it is: a log that is replayed brings the
    /// same bytes again. The header counts for kinds that have one only.
    /// </summary>
    public void Add(
        EntryKind kind, uint keyspace, ReadOnlySpan<byte> key, Core.Version version, ReadOnlySpan<byte> value, long header = 0)
    {
        SkipListNode* node = Write(kind, keyspace, key, version, value, header, out int height, out ulong hash);

        // Before the entry itself: who can see the entry must not be turned away by the filter.
        AddToFilter(hash);
        ulong slot = _newest.Take(hash);
        bool inserted = _list.Insert(node, height, out bool isNewest);
        Finish(node, hash, slot, inserted, isNewest);
    }

    /// <summary>Adds an entry to a group that <see cref="AddGroup"/> brings in; the group must have room.</summary>
    public void Add(
        ref MemTableGroup group,
        EntryKind kind,
        uint keyspace,
        ReadOnlySpan<byte> key,
        Core.Version version,
        ReadOnlySpan<byte> value,
        long header)
    {
        SkipListNode* node = Write(kind, keyspace, key, version, value, header, out int height, out ulong hash);
        _newest.Prefetch(hash);
        if (Sse.IsSupported)
        {
            Sse.Prefetch0(_filter + FilterIndex(hash));
        }

        group.Hashes[group.Nodes.Count] = hash;
        group.Nodes.Add(node, height);
    }

    /// <summary>Brings the entries of a group in, in order, and empties it. The group must not move meanwhile.</summary>
    public void AddGroup(MemTableGroup* group)
    {
        bool together = _list.TryBeginGroup(&group->Nodes);
        for (int i = 0; i < group->Nodes.Count; i++)
        {
            // Taken and given back one by one: of two entries of one key, neither must find the slot taken by the other.
            SkipListNode* node = group->Nodes.Node(i);
            ulong hash = group->Hashes[i];
            AddToFilter(hash);
            ulong slot = _newest.Take(hash);
            bool inserted = together
                ? SkipList.Insert(&group->Nodes, i, out bool isNewest)
                : _list.Insert(node, group->Nodes.Heights[i], out isNewest);
            Finish(node, hash, slot, inserted, isNewest);
        }

        if (together)
        {
            _list.EndGroup(&group->Nodes);
        }

        group->Nodes.Count = 0;
    }

    /// <summary>Writes an entry into the arena. No search finds it yet.</summary>
    private SkipListNode* Write(
        EntryKind kind,
        uint keyspace,
        ReadOnlySpan<byte> key,
        Core.Version version,
        ReadOnlySpan<byte> value,
        long header,
        out int height,
        out ulong hash)
    {
        int headerBytes = EntryHeader.IsIn(kind) ? EntryHeader.Bytes : 0;
        ulong number = (ulong)Interlocked.Increment(ref _counters->Added);
        int prefixLength = key.Length + InternalKey.KeyspaceBytes;
        SkipListNode* node = _list.AllocateNode(prefixLength, checked(value.Length + headerBytes), number, out height);
        byte* target = SkipListNode.Key(node);
        BinaryPrimitives.WriteUInt32BigEndian(new Span<byte>(target, sizeof(uint)), keyspace);
        key.CopyTo(new Span<byte>(target + InternalKey.KeyspaceBytes, key.Length));
        InternalKey.WriteTrailer(new Span<byte>(target + prefixLength, InternalKey.TrailerBytes), version, kind);
        byte* valueTarget = SkipListNode.Value(node);
        if (headerBytes != 0)
        {
            BinaryPrimitives.WriteInt64LittleEndian(new Span<byte>(valueTarget, sizeof(long)), header);
            valueTarget += sizeof(long);
        }

        value.CopyTo(new Span<byte>(valueTarget, value.Length));

        hash = BloomFilter.Hash(new ReadOnlySpan<byte>(target, prefixLength));
        WidenVersions(version.Value);
        return node;
    }

    private void Finish(SkipListNode* node, ulong hash, ulong slot, bool inserted, bool isNewest)
    {
        _newest.Give(hash, slot, inserted && isNewest ? node : null);
        if (!inserted)
        {
            Interlocked.Increment(ref _counters->Repeated);
        }
    }

    /// <summary>
    /// The newest entry of a key at or below a version, tombstones included. A found value holds a reference to the memtable.
    /// </summary>
    public bool TryGet(in LookupKey key, out FoundEntry entry)
    {
        if (!TryPeek(key, out entry))
        {
            return false;
        }

        if (entry.Kind != EntryKind.Delete)
        {
            Retain();
            entry.Owner = this;
        }

        return true;
    }

    /// <summary>The same without a reference: the caller holds one for as long as it looks at what was found.</summary>
    public bool TryPeek(in LookupKey key, out FoundEntry entry)
    {
        Unsafe.SkipInit(out entry);
        if (!FilterMayContain(key.Hash))
        {
            return false;
        }

        // A search goes on where the newest entry is not known, or is too new for this read.
        SkipListNode* node = _newest.Find(key.Hash);
        if (!IsOf(node, key) || VersionOf(node) > key.At)
        {
            node = _list.FindAtOrAfter(key.Pointer, key.PrefixLength);
            if (!IsOf(node, key))
            {
                return false;
            }
        }

        byte* trailer = SkipListNode.Key(node) + key.PrefixLength;
        entry.Version = VersionOf(node);
        entry.SetValue((EntryKind)trailer[sizeof(ulong)], SkipListNode.Value(node), SkipListNode.ValueLength(node));
        entry.Token = 0;
        entry.Owner = null;
        return true;
    }

    /// <summary>
    /// The node of an entry with exactly this key, version and kind, or null. Cheap when its key has no entry, or only older ones. The
    /// caller holds a reference.
    /// </summary>
    public SkipListNode* Find(in LookupKey key, EntryKind kind)
    {
        if (!FilterMayContain(key.Hash))
        {
            return null;
        }

        SkipListNode* newest = _newest.Find(key.Hash);
        if (IsOf(newest, key) && VersionOf(newest) < key.At)
        {
            return null;
        }

        SkipListNode* node = _list.FindAtOrAfter(key.Pointer, key.PrefixLength);
        while (IsOf(node, key) && VersionOf(node) == key.At)
        {
            if (KindOf(node) == kind)
            {
                return node;
            }

            node = SkipListNode.Next(node, 0);
        }

        return null;
    }

    /// <summary>The first node at or after a key and version, or null. The caller holds a reference.</summary>
    public SkipListNode* FindAtOrAfter(in LookupKey key) => _list.FindAtOrAfter(key.Pointer, key.PrefixLength);

    /// <summary>An iterator; it holds a reference, and may or may not see what is added after it was made.</summary>
    public InternalIterator CreateIterator()
    {
        Retain();
        return new MemTableIterator(this, _list);
    }

    /// <summary>Takes a reference; the caller must hold one, or know that another is held meanwhile.</summary>
    public void Retain() => Interlocked.Increment(ref _references);

    /// <summary>Takes a reference unless the last one has gone.</summary>
    public bool TryRetain()
    {
        int seen = Volatile.Read(ref _references);
        while (seen > 0)
        {
            int now = Interlocked.CompareExchange(ref _references, seen + 1, seen);
            if (now == seen)
            {
                return true;
            }

            seen = now;
        }

        return false;
    }

    /// <summary>Gives a reference back; with the last one the memory is freed.</summary>
    public void Release()
    {
        int left = Interlocked.Decrement(ref _references);
        Invariant.Check(left >= 0, "memtable released too often");
        if (left == 0)
        {
            _list.Free();
            _newest.Free();
            _arena.Free();
            OffHeap.FreeAligned((byte*)_filter, (long)_filterWords * sizeof(ulong));
            OffHeap.FreeAligned((byte*)_counters, sizeof(Counters));
        }
    }

    void IPinOwner.Unpin(nint token) => Release();

    /// <summary>
    /// A filter in which each key has 4 bits of one word: one atomic instruction to add, one load to ask. It spares gets of keys that are
    /// not here (most, when the tables hold more than the memtable) the walk through the list.
    /// </summary>
    private void AddToFilter(ulong hash)
    {
        ref ulong word = ref _filter[FilterIndex(hash)];
        ulong bits = FilterBits(hash);
        if ((Volatile.Read(ref word) & bits) != bits)
        {
            Interlocked.Or(ref word, bits);
        }
    }

    private bool FilterMayContain(ulong hash)
    {
        ulong bits = FilterBits(hash);
        return (Volatile.Read(ref _filter[FilterIndex(hash)]) & bits) == bits;
    }

    /// <summary>True for a node of the key, whatever its version.</summary>
    internal static bool IsOf(SkipListNode* node, in LookupKey key) =>
        node != null
        && SkipListNode.PrefixLength(node) == key.PrefixLength
        && new ReadOnlySpan<byte>(SkipListNode.Key(node), key.PrefixLength).SequenceEqual(
            new ReadOnlySpan<byte>(key.Pointer, key.PrefixLength));

    /// <summary>What a node's entry is.</summary>
    internal static EntryKind KindOf(SkipListNode* node) =>
        (EntryKind)SkipListNode.Key(node)[SkipListNode.PrefixLength(node) + sizeof(ulong)];

    /// <summary>The version of a node's entry.</summary>
    internal static Core.Version VersionOf(SkipListNode* node) =>
        new(
            ~BinaryPrimitives.ReadUInt64BigEndian(
                new ReadOnlySpan<byte>(SkipListNode.Key(node) + SkipListNode.PrefixLength(node), sizeof(ulong))));

    private ulong FilterIndex(ulong hash) => Math.BigMul(hash, _filterWords, out _);

    private static ulong FilterBits(ulong hash) =>
        (1UL << (int)(hash & 63))
        | (1UL << (int)((hash >> 6) & 63))
        | (1UL << (int)((hash >> 12) & 63))
        | (1UL << (int)((hash >> 18) & 63));

    private void WidenVersions(ulong version)
    {
        ulong seen;
        while (version > (seen = Volatile.Read(ref _counters->MaxVersion)))
        {
            Interlocked.CompareExchange(ref _counters->MaxVersion, version, seen);
        }

        while (version < (seen = Volatile.Read(ref _counters->MinVersion)))
        {
            Interlocked.CompareExchange(ref _counters->MinVersion, version, seen);
        }
    }

    /// <summary>Counters that threads change all the time: on lines of their own, away from what readers read.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 128)]
    private struct Counters
    {
        [FieldOffset(0)]
        public long Added;
        [FieldOffset(8)]
        public ulong MinVersion;
        [FieldOffset(16)]
        public ulong MaxVersion;
        [FieldOffset(24)]
        public long Repeated;
    }
}
