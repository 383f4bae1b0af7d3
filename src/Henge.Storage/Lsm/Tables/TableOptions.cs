namespace Henge.Storage.Lsm.Tables;

/// <summary>How a block is stored. The numbers are on disk: never change one.</summary>
internal enum BlockCodec : byte
{
    /// <summary>As it is.</summary>
    None = 0,
    /// <summary>Brotli (RFC 7932) at a fast quality.</summary>
    Brotli = 1,
}

/// <summary>How tables are written.</summary>
internal sealed record TableOptions
{
    /// <summary>The defaults.</summary>
    public static TableOptions Default { get; } = new();

    /// <summary>
    /// A data block is closed when it has grown to this. 4 KiB, because a point read that misses the cache pays for the whole block, and
    /// a smaller one would grow the index that stays in memory.
    /// </summary>
    public int BlockBytes { get; init; } = 4096;

    /// <summary>Every so many entries a key is stored whole, so that a search can begin there.</summary>
    public int RestartInterval { get; init; } = 16;

    /// <summary>Bits of Bloom filter for each key; 0 for none.</summary>
    public int BloomBitsPerKey { get; init; } = 10;

    /// <summary>How data blocks are stored; blocks that do not shrink by an eighth are stored as they are.</summary>
    public BlockCodec Codec { get; init; }

    /// <summary>Bytes that are gathered for one write.</summary>
    public int WriteBufferBytes { get; init; } = 512 * 1024;
}

/// <summary>How a table is read by an iterator.</summary>
internal readonly record struct TableReadOptions
{
    /// <summary>Whether blocks that were read from the file go to the cache.</summary>
    public bool FillCache { get; init; }

    /// <summary>Blocks without any entry at or after this version are skipped unread; 0 for all.</summary>
    public Core.Version From { get; init; }

    /// <summary>For compactions: the only keyspaces that there are, in order; null when that is not known.</summary>
    public uint[]? Keyspaces { get; init; }

    /// <summary>Forwards, these blocks are not read; null for none.</summary>
    public HiddenBlocks? Hidden { get; init; }

    /// <summary>
    /// Forwards, blocks with nothing below this prefix (keyspace and key) are not read: they may be damaged. Null or empty: all are
    /// read.
    /// </summary>
    public byte[]? Upper { get; init; }

    /// <summary>
    /// The most bytes that one read takes from the file when blocks are read one after another; reads grow up to it. 0 for the default.
    /// </summary>
    public int ReadaheadBytes { get; init; }

    /// <summary>True for compactions: the first read takes all of <see cref="ReadaheadBytes"/> already.</summary>
    public bool Sequential { get; init; }
}
