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

    /// <summary>
    /// Bytes of events that a node keeps for its watches, of what other nodes have sent; what is over twice as much is sent again later.
    /// </summary>
    public long RemoteTotalBytes { get; init; } = 64 * 1024 * 1024;

    /// <summary>
    /// Bytes of events that another node may send for a watch before they are read, when few watches share the node's memory.
    /// </summary>
    public int RemoteWindowBytes { get; init; } = 256 * 1024;

    /// <summary>As <see cref="RemoteWindowBytes"/>, when many do. One version is always let in.</summary>
    public int RemoteMinWindowBytes { get; init; } = 2 * 1024;

    /// <summary>How often each side of a subscription says at least that it is there, in milliseconds.</summary>
    public long RemoteIntervalMs { get; init; } = 1_000;

    /// <summary>A subscription is opened anew, and one that is served is let go, when the other side is not heard for so long.</summary>
    public long RemoteSilenceMs { get; init; } = 3_500;

    /// <summary>How long another node is passed over after it did not serve, in milliseconds, when there are others.</summary>
    public long RemoteAvoidMs { get; init; } = 1_000;

    /// <summary>How soon a watch asks again after nobody served it, in milliseconds; doubled up to <see cref="RemoteAvoidMs"/>.</summary>
    public long RemoteRetryMs { get; init; } = 20;

    /// <summary>Subscriptions that a node serves for one other node.</summary>
    public int ServedOfPeer { get; init; } = 20_000;

    /// <summary>Subscriptions that a node serves in all.</summary>
    public int Served { get; init; } = 60_000;

    /// <summary>Events in one record to another node; all of a version are in one.</summary>
    public int ServedItems { get; init; } = 512;

    /// <summary>Bytes of events in one record to another node; all of a version are in one.</summary>
    public int ServedBytes { get; init; } = 64 * 1024;

    /// <summary>Bytes of events of one version that fit into a record. More are an error of the watch.</summary>
    public int ServedVersionBytes { get; init; } = 48 * 1024 * 1024;

    /// <summary>Bytes of earlier values in one record; what is over them is left out.</summary>
    public int ServedPreviousBytes { get; init; } = 8 * 1024 * 1024;
}
