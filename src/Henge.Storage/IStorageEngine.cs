using Henge.Core;

namespace Henge.Storage;

/// <summary>What an entry is. The numbers are on disk: never change one.</summary>
public enum EntryKind : byte
{
    /// <summary>A tombstone: from this version on the key is not there.</summary>
    Delete = 0,
    /// <summary>A value.</summary>
    Put = 1,
    /// <summary>A value that ends at a moment (stored as 8 bytes of milliseconds before the value).</summary>
    PutExpiring = 2,
    /// <summary>A value with a type of its own, and maybe an end (stored as 8 bytes before the value, see <see cref="EntryHeader"/>).</summary>
    PutTyped = 3,
}

/// <summary>
/// Where in history a read stands. <paramref name="At"/> hides all newer versions; <paramref name="NowMs"/> (milliseconds since
/// the epoch of versions) hides what has expired by then. Time travel uses <see cref="AsOf"/>, where both are one moment.
/// </summary>
public readonly record struct ReadPoint(Core.Version At, long NowMs)
{
    /// <summary>As it was at a version.</summary>
    public static ReadPoint AsOf(Core.Version version) => new(version, version.Milliseconds);
}

/// <summary>
/// The seam for engines: an ordered, multi-version map of (keyspace, key, version) to entries. Keys are any bytes, ordered by
/// memcmp. A keyspace is a 32-bit prefix; the node gives each shard one or more. Versions of one keyspace rise in the order in
/// which batches are applied; between keyspaces there is no order.
/// </summary>
/// <remarks>
/// Two rules for those who apply batches: a batch holds at most one entry for a key and version (of two, the tombstone would count), and
/// versions of one key are applied oldest first, or in one batch: an engine looks into its newest parts first, and stops at the first version that fits.
/// After <see cref="DropRange"/> versions may begin again lower. Replay after a restart begins right after <see cref="GetDurablePosition"/>.
/// Reads never block and may run on any thread beside writers. <see cref="Apply"/> may be called from several threads at once, for
/// different keyspaces. Errors are <see cref="HengeException"/> with <see cref="ErrorCode.Corruption"/> (naming file and offset) and
/// <see cref="IOException"/>. An engine whose log or manifest could not be synced is finished: every later call throws, and the
/// owner must end the process.
/// </remarks>
public interface IStorageEngine : IDisposable
{
    /// <summary>The engine's name: "lsm", "memory"…</summary>
    string Name { get; }

    /// <summary>
    /// Applies a batch atomically: a crash leaves all of it or nothing. With the engine's own log on, and <paramref name="sync"/>, it returns
    /// when the batch is durable (many callers share one sync). Without the log the owner's log must hold it until
    /// <see cref="GetDurablePosition"/> has passed it. Blocks (only) when compaction is too far behind; <see cref="Pressure"/> says so before.
    /// </summary>
    void Apply(WriteBatch batch, bool sync = true);

    /// <summary>
    /// The newest visible value of a key at a point. The value points into the engine's own memory: dispose of it soon. Allocates nothing.
    /// </summary>
    bool TryGet(uint keyspace, ReadOnlySpan<byte> key, ReadPoint point, out PinnedValue value);

    /// <summary>An iterator over one keyspace. It sees what was applied when it was made, and stays usable over flushes and compactions.</summary>
    EngineIterator CreateIterator(in IteratorOptions options);

    /// <summary>A view that does not change, from which gets and several iterators can be taken; holds history until disposed of.</summary>
    IEngineSnapshot CreateSnapshot();

    /// <summary>The position last applied for a stream by <see cref="WriteBatch.SetPosition"/>; 0 if none.</summary>
    ulong GetPosition(uint stream);

    /// <summary>The position up to which a stream's batches would survive a crash without the owner's log.</summary>
    ulong GetDurablePosition(uint stream);

    /// <summary>Asks for all that is in memory now to be made durable in tables; completes in the background. <see cref="Flushed"/> follows.</summary>
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
    /// The floor: what was set, or after opening at least what versions were dropped by before. Reads below it may miss versions, or find older ones.
    /// </summary>
    Core.Version HistoryFloor { get; }

    /// <summary>Removes everything in a range of one keyspace, at all versions, durably and at once. An empty upper bound means the keyspace's end.</summary>
    void DropRange(uint keyspace, ReadOnlySpan<byte> lower, ReadOnlySpan<byte> upper);

    /// <summary>Writes a copy that can be opened as an engine into a new directory, by hard links where possible.</summary>
    void Checkpoint(string directory);

    /// <summary>How far writes are ahead of the background work.</summary>
    WritePressure Pressure { get; }

    /// <summary>
    /// The owner says that nothing lies, or ever will, in other keyspaces than these. So a compaction that leaves a dropped keyspace out need not look, in a block that may be damaged, for one that comes after it.
    /// </summary>
    void DeclareKeyspaces(IReadOnlyList<uint> keyspaces)
    {
        // An engine without compactions has no use for it.
    }

    /// <summary>
    /// Tells what was found damaged since the last call, by reads, by compactions or when the engine was opened: for each such part those of the declared keyspaces that may have entries in it (an entry that a
    /// range drop hides is none). Cheap when there is nothing.
    /// </summary>
    void TakeDamage(Action<uint, HengeException> found)
    {
        // An engine without tables has nothing that could be damaged.
    }

    /// <summary>A picture of the engine's state, for operators.</summary>
    EngineStatistics GetStatistics();
}

/// <summary>A view of an engine that does not change. Thread-safe for reads.</summary>
public interface IEngineSnapshot : IDisposable
{
    /// <summary>As <see cref="IStorageEngine.TryGet"/>, over the snapshot.</summary>
    bool TryGet(uint keyspace, ReadOnlySpan<byte> key, ReadPoint point, out PinnedValue value);

    /// <summary>As <see cref="IStorageEngine.CreateIterator"/>, over the snapshot. Dispose of iterators before the snapshot.</summary>
    EngineIterator CreateIterator(in IteratorOptions options);
}

/// <summary>How far writes are ahead of flushes and compactions.</summary>
public enum WritePressure
{
    /// <summary>All is well.</summary>
    None,
    /// <summary>Compaction falls behind: writers should go slower.</summary>
    SlowDown,
    /// <summary>The next <see cref="IStorageEngine.Apply"/> would block.</summary>
    Stop,
}

/// <summary>What an iterator walks over. Bounds are within the keyspace; empty means unbounded.</summary>
public readonly record struct IteratorOptions
{
    /// <summary>The keyspace.</summary>
    public required uint Keyspace { get; init; }

    /// <summary>Where the read stands.</summary>
    public required ReadPoint Point { get; init; }

    /// <summary>First key, inclusive.</summary>
    public ReadOnlyMemory<byte> Lower { get; init; }

    /// <summary>Last key, exclusive.</summary>
    public ReadOnlyMemory<byte> Upper { get; init; }

    /// <summary>
    /// False: one visible entry for each key. True: every entry at or below the point's version, tombstones and expired ones too,
    /// the newest of a key first.
    /// </summary>
    public bool AllVersions { get; init; }

    /// <summary>With <see cref="AllVersions"/>: entries older than this are left out, and tables and blocks without newer ones are skipped unread.</summary>
    public Core.Version From { get; init; }

    /// <summary>False for long scans that should not push hot blocks out of the cache.</summary>
    public bool FillCache { get; init; }
}

/// <summary>
/// A cursor over entries, in key order (and, in all-versions mode, newest first within a key). Not thread-safe. Steps allocate nothing.
/// Spans are valid until the next move.
/// </summary>
public abstract class EngineIterator : IDisposable
{
    /// <summary>True while it stands on an entry.</summary>
    public abstract bool Valid { get; }

    /// <summary>The key, without keyspace.</summary>
    public abstract ReadOnlySpan<byte> Key { get; }

    /// <summary>The value; empty for tombstones.</summary>
    public abstract ReadOnlySpan<byte> Value { get; }

    /// <summary>The entry's version.</summary>
    public abstract Core.Version Version { get; }

    /// <summary>What the entry is.</summary>
    public abstract EntryKind Kind { get; }

    /// <summary>When it expires, in milliseconds since the epoch of versions; 0 if never.</summary>
    public abstract long ExpiresAtMs { get; }

    /// <summary>What the value is.</summary>
    public abstract DataType Type { get; }

    /// <summary>Moves to the first entry.</summary>
    public abstract void SeekToFirst();

    /// <summary>Moves to the last entry.</summary>
    public abstract void SeekToLast();

    /// <summary>Moves to the first entry whose key is at or after a key.</summary>
    public abstract void Seek(ReadOnlySpan<byte> key);

    /// <summary>Moves to the last entry whose key is at or before a key.</summary>
    public abstract void SeekForPrev(ReadOnlySpan<byte> key);

    /// <summary>Moves one entry on.</summary>
    public abstract void Next();

    /// <summary>Moves one entry back.</summary>
    public abstract void Prev();

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Lets go of what is pinned.</summary>
    protected abstract void Dispose(bool disposing);
}

/// <summary>A picture of an engine's state.</summary>
public sealed record EngineStatistics
{
    /// <summary>Bytes in memtables, active and sealed.</summary>
    public long MemTableBytes { get; init; }

    /// <summary>Tables and their bytes, by level.</summary>
    public IReadOnlyList<LevelStatistics> Levels { get; init; } = [];

    /// <summary>Bytes of all tables.</summary>
    public long TableBytes { get; init; }

    /// <summary>Bytes of user data that were applied since the engine was opened.</summary>
    public long BytesIn { get; init; }

    /// <summary>Bytes that flushes and compactions wrote since the engine was opened.</summary>
    public long BytesWritten { get; init; }

    /// <summary>Bytes written to tables for each byte that came in; 0 before anything did.</summary>
    public double WriteAmplification => BytesIn == 0 ? 0 : (double)BytesWritten / BytesIn;

    /// <summary>Bytes of the block cache in use.</summary>
    public long BlockCacheBytes { get; init; }

    /// <summary>Block reads answered by the cache.</summary>
    public long BlockCacheHits { get; init; }

    /// <summary>Block reads that went to the file.</summary>
    public long BlockCacheMisses { get; init; }

    /// <summary>Flushes since the engine was opened.</summary>
    public long Flushes { get; init; }

    /// <summary>Compactions since the engine was opened.</summary>
    public long Compactions { get; init; }

    /// <summary>Compactions since the engine was opened whose result was thrown away, because a range drop had taken what they worked on.</summary>
    public long DiscardedCompactions { get; init; }

    /// <summary>Entries (all versions, tombstones too) in tables and memtables.</summary>
    public long Entries { get; init; }
}

/// <summary>Tables of one level.</summary>
public readonly record struct LevelStatistics(int Level, int Tables, long Bytes);
