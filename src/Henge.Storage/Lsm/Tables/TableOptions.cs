namespace Henge.Storage.Lsm.Tables;

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
