using Henge.Core;
using Henge.Storage.Bitcask.Segments;
using Henge.Storage.Bitcask.Settings;
using Henge.Storage.Bitcask.State;
using Henge.Storage.Lsm.Buffers;

namespace Henge.Storage.Bitcask.Merging;

/// <summary>
/// Up to where history may be dropped, as of the moment when a job began. Of each key all versions above the limit stay, and the newest
/// one at or below it that is durable. Keyspaces with the highest bit set keep no history: their limit is the newest whole batch.
/// </summary>
internal sealed class HistoryLimits
{
    private readonly KeyspaceClocks _clocks;
    private readonly BatchWriter _writer;
    private readonly bool _trustsAll;

    public HistoryLimits(BitcaskState state, BatchWriter writer)
    {
        // The floor first: it speaks of what was applied, and durable, before.
        Floor = state.DurableFloor;
        _clocks = state.Clocks.Copy();
        _writer = writer;
        _trustsAll = state.Options.Bugs.TrustsUnsyncedEntries;
    }

    /// <summary>The history floor.</summary>
    public Core.Version Floor { get; }

    /// <summary>Entries of a keyspace above this stay.</summary>
    public Core.Version LimitOf(uint keyspace)
    {
        Core.Version whole = _clocks.Read(keyspace);
        return KeepsHistory(keyspace) && Floor < whole ? Floor : whole;
    }

    /// <summary>
    /// True when older entries of the key may go for this one: it would survive a crash. An owner that applies it again must find what was
    /// there before.
    /// </summary>
    public bool CountsAlone(EntryAddress address) => _trustsAll || _writer.IsDurable(address);

    /// <summary>True when an entry at or below the limit shows nothing: a tombstone, or a value that had ended at the floor.</summary>
    public bool IsNothing(uint keyspace, EntryKind kind, long header) =>
        kind == EntryKind.Delete
        || (EntryHeader.IsIn(kind) && KeepsHistory(keyspace) && !EntryHeader.IsAlive(header, Floor.Milliseconds));

    private static bool KeepsHistory(uint keyspace) => (keyspace & 0x8000_0000) == 0;
}
