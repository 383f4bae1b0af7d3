using System.Collections.Immutable;

namespace Henge.Storage.Memory;

/// <summary>Reads over one immutable state of a <see cref="MemoryEngine"/>.</summary>
internal sealed class MemoryView(ImmutableSortedSet<MemoryEntry> entries) : IEngineSnapshot
{
    public bool TryGet(uint keyspace, ReadOnlySpan<byte> key, ReadPoint point, out PinnedValue value) => TryGet(entries, keyspace, key, point, out value);

    public EngineIterator CreateIterator(in IteratorOptions options) => new MemoryIterator(entries, options);

    public void Dispose()
    {
        // Nothing is pinned: the state lives as long as it is reachable.
    }

    public static bool TryGet(ImmutableSortedSet<MemoryEntry> entries, uint keyspace, ReadOnlySpan<byte> key, ReadPoint point, out PinnedValue value)
    {
        value = default;
        int i = LowerBound(entries, MemoryEntry.At(keyspace, key, point.At));
        if (i >= entries.Count)
        {
            return false;
        }

        MemoryEntry found = entries[i];
        if (found.Keyspace != keyspace || !found.Key.SequenceEqual(key) || !Visible(found, point))
        {
            return false;
        }

        value = found.Pin();
        return true;
    }

    public static bool Visible(MemoryEntry entry, ReadPoint point) =>
        entry.Version <= point.At && entry.Kind != EntryKind.Delete && (entry.ExpiresAtMs == 0 || entry.ExpiresAtMs > point.NowMs);

    /// <summary>Index of the first entry at or after one.</summary>
    public static int LowerBound(ImmutableSortedSet<MemoryEntry> entries, MemoryEntry entry)
    {
        int i = entries.IndexOf(entry);
        return i < 0 ? ~i : i;
    }

    /// <summary>Index after the last entry below an exclusive upper bound, or of the keyspace when the bound is empty.</summary>
    public static int KeyspaceOrKeyEnd(ImmutableSortedSet<MemoryEntry> entries, uint keyspace, ReadOnlySpan<byte> upper)
    {
        if (!upper.IsEmpty)
        {
            return LowerBound(entries, MemoryEntry.Before(keyspace, upper));
        }

        return keyspace == uint.MaxValue ? entries.Count : LowerBound(entries, MemoryEntry.Before(keyspace + 1, default));
    }
}
