namespace Henge.Storage.Lsm;

/// <summary>
/// Entries in memory, ordered: a skip list in an off-heap arena. Any number of threads may add and read at once; readers take no lock.
/// </summary>
/// <remarks>
/// Reference counted: made with one reference; the arena is freed when the last one goes. Iterators and pinned values hold one each.
/// </remarks>
internal sealed unsafe class MemTable : IPinOwner
{
    /// <summary>Creates an empty memtable that is meant to hold about <paramref name="capacityBytes"/>; it grows beyond when it must.</summary>
    public MemTable(long capacityBytes) => throw new NotSupportedException();

    /// <summary>Bytes of the arena in use, towers and headers included.</summary>
    public long ApproximateBytes => throw new NotSupportedException();

    /// <summary>Entries.</summary>
    public long EntryCount => throw new NotSupportedException();

    /// <summary>True when nothing was added.</summary>
    public bool IsEmpty => EntryCount == 0;

    /// <summary>The smallest version in it; <see cref="Core.Version.Max"/> when empty.</summary>
    public Core.Version MinVersion => throw new NotSupportedException();

    /// <summary>The largest version in it; zero when empty.</summary>
    public Core.Version MaxVersion => throw new NotSupportedException();

    /// <summary>
    /// Adds an entry. An entry with the same key, version and kind that is there already stays as it is (a log may be replayed over it).
    /// The expiry counts for <see cref="EntryKind.PutExpiring"/> only.
    /// </summary>
    public void Add(EntryKind kind, uint keyspace, ReadOnlySpan<byte> key, Core.Version version, ReadOnlySpan<byte> value, long expiresAtMs = 0) => throw new NotSupportedException();

    /// <summary>
    /// The newest entry of a key at or below a version, tombstones included. A found value holds a reference to the memtable.
    /// </summary>
    public bool TryGet(in LookupKey key, out FoundEntry entry) => throw new NotSupportedException();

    /// <summary>An iterator; it holds a reference, and also sees what is added after it was made.</summary>
    public InternalIterator CreateIterator() => throw new NotSupportedException();

    /// <summary>Takes a reference; the caller must hold one, or know that another is held meanwhile.</summary>
    public void Retain() => throw new NotSupportedException();

    /// <summary>Takes a reference unless the last one has gone.</summary>
    public bool TryRetain() => throw new NotSupportedException();

    /// <summary>Gives a reference back; with the last one the memory is freed.</summary>
    public void Release() => throw new NotSupportedException();

    void IPinOwner.Unpin(nint token) => Release();
}
