namespace Henge.Node.Watch;

/// <summary>Bounds of watching. All in memory only; nodes may differ.</summary>
internal sealed record WatchOptions
{
    public static WatchOptions Default { get; } = new();

    /// <summary>Bytes of recent events that a shard keeps while it is watched.</summary>
    public int RingBytes { get; init; } = 1024 * 1024;

    /// <summary>Larger values are not kept in the ring: readers fetch them from the engine.</summary>
    public int InlineValueBytes { get; init; } = 16 * 1024;

    /// <summary>Bytes of the ring that a reader looks at before it lets go of its lock.</summary>
    public int SliceBytes { get; init; } = 64 * 1024;

    /// <summary>Events that a reader of history collects in one pass over the engine.</summary>
    public int HistoryEvents { get; init; } = 32_768;

    /// <summary>Bytes of keys that a reader of history collects in one pass over the engine.</summary>
    public int HistoryKeyBytes { get; init; } = 2 * 1024 * 1024;

    /// <summary>
    /// Bytes that are shared by all who read history at the same time; each takes an even smaller part the later it comes.
    /// </summary>
    public long HistoryTotalBytes { get; init; } = 32 * 1024 * 1024;

    /// <summary>Entries that a reader of history looks at before it lets its caller do something else.</summary>
    public int HistorySteps { get; init; } = 20_000;

    /// <summary>Progress marks are at least this far apart, by versions.</summary>
    public long ProgressMs { get; init; } = 500;
}
