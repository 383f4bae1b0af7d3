using Henge.Storage.Lsm.MemTables;

namespace Henge.Storage.Bitcask.State;

/// <summary>
/// The index of one keyspace: a skip list whose values say where entries lie. Changed by the writer; while it is rebuilt, entries go to the
/// copy as well.
/// </summary>
/// <param name="table">The list; this object owns a reference to it.</param>
/// <param name="capacityBytes">What the list was made for.</param>
internal sealed class KeyspaceIndex(MemTable table, long capacityBytes)
{
    /// <summary>What a list for few entries is made for.</summary>
    public const long SmallestBytes = 64 << 10;

    // A list that has outgrown what it was made for so many times finds most keys by a search, no longer by its index of newest entries.
    private const int MostGrowth = 4;
    private const long FewEntries = 1024;
    private long _gone;

    public MemTable Table => table;

    /// <summary>The list that takes this one's place in the end; null when none is being made.</summary>
    public MemTable? Copy { get; set; }

    /// <summary>Entries whose segments merges have replaced without them: nothing but the list knows of them.</summary>
    public long Gone => Math.Min(Volatile.Read(ref _gone), table.EntryCount);

    /// <summary>True when the list is to be made anew, for its growth or without what is gone.</summary>
    public bool IsRebuildDue =>
        table.ApproximateBytes > capacityBytes * MostGrowth || (Gone is var gone && gone >= FewEntries && gone > table.EntryCount / 2);

    public void AddGone(long entries) => Interlocked.Add(ref _gone, entries);
}
