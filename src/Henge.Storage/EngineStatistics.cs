namespace Henge.Storage;

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

    /// <summary>
    /// Compactions since the engine was opened whose result was thrown away, because a range drop had taken what they worked on.
    /// </summary>
    public long DiscardedCompactions { get; init; }

    /// <summary>Entries (all versions, tombstones too) in tables and memtables.</summary>
    public long Entries { get; init; }
}
