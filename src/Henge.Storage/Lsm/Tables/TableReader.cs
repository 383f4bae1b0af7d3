using Henge.Storage.Files;

namespace Henge.Storage.Lsm;

/// <summary>
/// An open table. Thread-safe. Its index and filter stay in memory (off-heap); data blocks come through the cache.
/// </summary>
/// <remarks>
/// Reference counted: opened with one reference; when the last one goes, its blocks leave the cache and the file is closed.
/// Iterators hold one each; pinned values hold only their block.
/// </remarks>
internal sealed class TableReader
{
    /// <summary>
    /// Opens a table and takes over the file (which is closed when this fails). Damage is a <see cref="Core.HengeException"/> with
    /// <see cref="Core.ErrorCode.Corruption"/>, an unknown format version one with <see cref="Core.ErrorCode.UnsupportedFormat"/>.
    /// </summary>
    public static TableReader Open(IFile file, BlockCache cache) => throw new NotSupportedException();

    /// <summary>What the table says about itself.</summary>
    public TableProperties Properties => throw new NotSupportedException();

    /// <summary>The file's name, for messages.</summary>
    public string Path => throw new NotSupportedException();

    /// <summary>Bytes of index and filter that stay in memory while the table is open.</summary>
    public long PinnedBytes => throw new NotSupportedException();

    /// <summary>False when no version of the key is in the table, by the filter alone.</summary>
    public bool MayContain(ulong hash) => throw new NotSupportedException();

    /// <summary>
    /// The newest entry of a key at or below a version, tombstones included. Asks the filter first. A found value pins its block.
    /// Allocates nothing when the block is in the cache.
    /// </summary>
    public bool TryGet(in LookupKey key, out FoundEntry entry) => throw new NotSupportedException();

    /// <summary>An iterator; it holds a reference.</summary>
    public InternalIterator CreateIterator(in TableReadOptions options) => throw new NotSupportedException();

    /// <summary>Bytes of the file between two internal keys, about, from the index alone.</summary>
    public long EstimateBytes(ReadOnlySpan<byte> lower, ReadOnlySpan<byte> upper) => throw new NotSupportedException();

    /// <summary>Reads everything, past the cache, and checks checksums, order, counts and filter; throws at the first damage.</summary>
    public void Verify() => throw new NotSupportedException();

    /// <summary>Writes properties, index and entries readably.</summary>
    public void Dump(TextWriter output) => throw new NotSupportedException();

    /// <summary>Takes a reference; the caller must hold one, or know that another is held meanwhile.</summary>
    public void Retain() => throw new NotSupportedException();

    /// <summary>Takes a reference unless the last one has gone.</summary>
    public bool TryRetain() => throw new NotSupportedException();

    /// <summary>Gives a reference back.</summary>
    public void Release() => throw new NotSupportedException();
}
