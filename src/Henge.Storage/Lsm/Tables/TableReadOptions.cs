namespace Henge.Storage.Lsm.Tables;

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
