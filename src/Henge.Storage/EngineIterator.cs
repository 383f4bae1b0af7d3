namespace Henge.Storage;

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
