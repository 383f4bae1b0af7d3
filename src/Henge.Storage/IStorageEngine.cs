using Henge.Core;

namespace Henge.Storage;

/// <summary>
/// The seam for engines: an ordered, multi-version map of (keyspace, key, version) to entries. Keys are any bytes, ordered by
/// memcmp. A keyspace is a 32-bit prefix; the node gives each shard one or more. Versions of one keyspace rise in the order in
/// which batches are applied; between keyspaces there is no order.
/// </summary>
/// <remarks>
/// Two rules for those who apply batches: a batch holds at most one entry for a key and version (of two, the tombstone would count), and
/// versions of one key are applied oldest first, or in one batch: an engine looks into its newest parts first, and stops at the first
/// version that fits. After <see cref="DropRange"/> versions may begin again lower. Replay after a restart begins right after
/// <see cref="GetDurablePosition"/>. Reads never block and may run on any thread beside writers. <see cref="Apply"/> may be called from
/// several threads at once, for different keyspaces. Errors are <see cref="HengeException"/> with <see cref="ErrorCode.Corruption"/>
/// (naming file and offset) and <see cref="IOException"/>. An engine whose log or manifest could not be synced is finished: every later
/// call throws, and the owner must end the process.
/// </remarks>
public interface IStorageEngine : IDisposable
{
    /// <summary>The engine's name: "lsm", "memory"…</summary>
    string Name { get; }

    /// <summary>
    /// Applies a batch atomically: a crash leaves all of it or nothing. With the engine's own log on, and <paramref name="sync"/>, it
    /// returns when the batch is durable (many callers share one sync). Without the log the owner's log must hold it until
    /// <see cref="GetDurablePosition"/> has passed it. Blocks (only) when compaction is too far behind; <see cref="Pressure"/> says so
    /// before.
    /// </summary>
    void Apply(WriteBatch batch, bool sync = true);

    /// <summary>
    /// The newest visible value of a key at a point. The value points into the engine's own memory: dispose of it soon. Allocates nothing.
    /// </summary>
    bool TryGet(uint keyspace, ReadOnlySpan<byte> key, ReadPoint point, out PinnedValue value);

    /// <summary>
    /// An iterator over one keyspace. It sees what was applied when it was made, and stays usable over flushes and compactions.
    /// </summary>
    EngineIterator CreateIterator(in IteratorOptions options);

    /// <summary>A view that does not change, from which gets and several iterators can be taken; holds history until disposed of.</summary>
    IEngineSnapshot CreateSnapshot();

    /// <summary>The position last applied for a stream by <see cref="WriteBatch.SetPosition"/>; 0 if none.</summary>
    ulong GetPosition(uint stream);

    /// <summary>The position up to which a stream's batches would survive a crash without the owner's log.</summary>
    ulong GetDurablePosition(uint stream);

    /// <summary>
    /// Asks for all that is in memory now to be made durable in tables; completes in the background. <see cref="Flushed"/> follows.
    /// </summary>
    void RequestFlush();

    /// <summary>Makes all that is in memory durable in tables before it returns.</summary>
    void Flush();

    /// <summary>Raised (on a background thread) after durable positions have moved.</summary>
    event Action? Flushed;

    /// <summary>
    /// Versions below the floor may be dropped from now on, except the newest at or below it of each key. Never moves back.
    /// Keyspaces whose highest bit is set keep no history: only the newest version of each key (and what open snapshots see).
    /// </summary>
    void SetHistoryFloor(Core.Version floor);

    /// <summary>
    /// The floor: what was set, or after opening at least what versions were dropped by before. Reads below it may miss versions, or find
    /// older ones.
    /// </summary>
    Core.Version HistoryFloor { get; }

    /// <summary>
    /// Removes everything in a range of one keyspace, at all versions, durably and at once. An empty upper bound means the keyspace's end.
    /// </summary>
    void DropRange(uint keyspace, ReadOnlySpan<byte> lower, ReadOnlySpan<byte> upper);

    /// <summary>Writes a copy that can be opened as an engine into a new directory, by hard links where possible.</summary>
    void Checkpoint(string directory);

    /// <summary>How far writes are ahead of the background work.</summary>
    WritePressure Pressure { get; }

    /// <summary>
    /// With <see cref="WritePressure.Stop"/>: why that does not end by itself. A part of the data is damaged, so that compactions stand
    /// still, and the engine has grown as far as it should; nothing but what replaces the damaged part is to be written. Null when it is
    /// background work that is waited for.
    /// </summary>
    string? StopReason => null;

    /// <summary>
    /// The owner says that nothing lies, or ever will, in other keyspaces than these. So a compaction that leaves a dropped keyspace out
    /// need not look, in a block that may be damaged, for one that comes after it.
    /// </summary>
    void DeclareKeyspaces(IReadOnlyList<uint> keyspaces)
    {
        // An engine without compactions has no use for it.
    }

    /// <summary>
    /// Tells what was found damaged since the last call, by reads, by compactions or when the engine was opened: for each such part those
    /// of the declared keyspaces that may have entries in it (an entry that a range drop hides is none). Cheap when there is nothing.
    /// </summary>
    void TakeDamage(Action<uint, HengeException> found)
    {
        // An engine without tables has nothing that could be damaged.
    }

    /// <summary>
    /// About how many bytes of keys and values, all versions of them, a keyspace has in tables: by whole blocks of them, with what range
    /// drops hide, without what is in memory only. 0 where an engine does not know. Cheap: it reads nothing from the disk.
    /// </summary>
    long EstimateTableBytes(uint keyspace) => 0;

    /// <summary>A picture of the engine's state, for operators.</summary>
    EngineStatistics GetStatistics();
}
