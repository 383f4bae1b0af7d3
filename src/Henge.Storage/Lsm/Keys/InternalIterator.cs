namespace Henge.Storage.Lsm.Keys;

/// <summary>
/// A cursor over the entries of one memtable or table (or of a merge of several), in the order of <see cref="InternalKey"/>: all versions,
/// tombstones and expired ones too. Not thread-safe. Steps allocate nothing. Spans are valid until the next move.
/// </summary>
/// <remarks>
/// Damage found on the way is a <see cref="Core.HengeException"/> with <see cref="Core.ErrorCode.Corruption"/>; the iterator is then not
/// <see cref="Valid"/>.
/// </remarks>
internal abstract class InternalIterator : IDisposable
{
    /// <summary>True while it stands on an entry.</summary>
    public abstract bool Valid { get; }

    /// <summary>The internal key.</summary>
    public abstract ReadOnlySpan<byte> Key { get; }

    /// <summary>The value; that of a kind with a header begins with it (<see cref="EntryHeader"/>, LE).</summary>
    public abstract ReadOnlySpan<byte> Value { get; }

    /// <summary>Moves to the first entry.</summary>
    public abstract void SeekToFirst();

    /// <summary>Moves to the last entry.</summary>
    public abstract void SeekToLast();

    /// <summary>Moves to the first entry at or after an internal key.</summary>
    public abstract void Seek(ReadOnlySpan<byte> internalKey);

    /// <summary>Moves to the last entry at or before an internal key.</summary>
    public abstract void SeekForPrev(ReadOnlySpan<byte> internalKey);

    /// <summary>Moves one entry on. Only while <see cref="Valid"/>.</summary>
    public abstract void Next();

    /// <summary>Moves one entry back. Only while <see cref="Valid"/>.</summary>
    public abstract void Prev();

    /// <summary>
    /// Pins the memory behind <see cref="Value"/>, so that it outlives the next move and the iterator: call <see cref="IPinOwner.Unpin"/>
    /// on the result with the token, once.
    /// </summary>
    public abstract IPinOwner Pin(out nint token);

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Lets go of what is pinned. May be called twice.</summary>
    protected abstract void Dispose(bool disposing);
}
