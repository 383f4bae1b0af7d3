namespace Henge.Storage.Lsm;

/// <summary>Blocks of tables in off-heap memory, up to a number of bytes. Thread-safe; hits take no lock and allocate nothing.</summary>
internal sealed class BlockCache : IPinOwner, IDisposable
{
    /// <summary>Creates a cache; 0 for none.</summary>
    public BlockCache(long capacityBytes) => throw new NotSupportedException();

    /// <summary>The most bytes it holds (pinned blocks may put it over for a moment).</summary>
    public long CapacityBytes => throw new NotSupportedException();

    /// <summary>Bytes in use.</summary>
    public long UsedBytes => throw new NotSupportedException();

    /// <summary>Reads answered by the cache, about.</summary>
    public long Hits => throw new NotSupportedException();

    /// <summary>Reads that went to the file.</summary>
    public long Misses => throw new NotSupportedException();

    /// <inheritdoc/>
    public void Unpin(nint token) => throw new NotSupportedException();

    /// <inheritdoc/>
    public void Dispose()
    {
    }
}
