namespace Henge.Storage;

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

    /// <summary>
    /// With <see cref="AllVersions"/>: entries older than this are left out, and tables and blocks without newer ones are skipped unread.
    /// </summary>
    public Core.Version From { get; init; }

    /// <summary>False for long scans that should not push hot blocks out of the cache.</summary>
    public bool FillCache { get; init; }
}
