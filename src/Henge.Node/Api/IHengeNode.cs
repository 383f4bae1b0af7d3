using Henge.Core;
using Henge.Storage;

namespace Henge.Node.Api;

/// <summary>
/// What every door talks to. Callback-style on purpose: the core starts no task and no thread, so that the simulator can run a whole
/// cluster in one thread; doors wrap it for async code. All members are thread-safe.
/// </summary>
public interface IHengeNode
{
    /// <summary>Limits on what may be asked; doors check them before memory is taken.</summary>
    NodeLimits Limits { get; }

    /// <summary>The node's monotonic clock in milliseconds, for <see cref="Operation.DeadlineMs"/>.</summary>
    long MonotonicMs { get; }

    /// <summary>
    /// The version of this moment, by this node's clock (for turning "5m ago" into a version, and expiry into "remaining").
    /// </summary>
    Core.Version Now { get; }

    /// <summary>Versions below this one may be gone: reads there fail with <see cref="ErrorCode.HistoryGone"/>.</summary>
    Core.Version OldestVersion { get; }

    /// <summary>Submits one operation.</summary>
    void Submit(Operation operation);

    /// <summary>Submits what a door read at once, as one group for each worker.</summary>
    void Submit(ReadOnlySpan<Operation> operations);

    /// <summary>
    /// After a <see cref="OperationKind.Get"/> completed without error: the value, read on the caller's thread. False: not found.
    /// </summary>
    bool TryRead(Operation get, out PinnedValue value);

    /// <summary>
    /// Reads a page of a range on the caller's thread, as of <see cref="ScanQuery.Version"/> (which a barrier gave). Throws
    /// <see cref="HengeException"/> for history that is gone and for damage.
    /// </summary>
    ScanEnd Scan(in ScanQuery query, IScanReceiver receiver);

    /// <summary>The versions of one key on the caller's thread, newest first, tombstones included.</summary>
    ScanEnd History(ReadOnlyMemory<byte> key, Core.Version newest, int limit, IScanReceiver receiver);

    /// <summary>
    /// Opens a watch. Its receiver is told when there is something to read. Throws <see cref="HengeException"/> (HistoryGone,
    /// ResourceExhausted). Dispose of it to end it.
    /// </summary>
    IWatch OpenWatch(WatchQuery query, Action onAvailable);

    /// <summary>The state of this node, by shard.</summary>
    NodeStatus GetStatus();

    /// <summary>Where shards are and who leads them, as this node knows it.</summary>
    Topology GetTopology();

    /// <summary>Raised when <see cref="GetTopology"/> would answer something new. Quick, on any thread.</summary>
    event Action? TopologyChanged;

    /// <summary>
    /// Asks the leader of a shard, if it is this node, to hand over. Throws <see cref="HengeException"/> when it cannot begin.
    /// </summary>
    void TransferLeader(ShardId shard, NodeId to);
}

/// <summary>Bounds of a node, all settings with these defaults.</summary>
public sealed record NodeLimits
{
    /// <summary>Longest key, in bytes.</summary>
    public int KeyBytes { get; init; } = 16 * 1024;

    /// <summary>Longest value, in bytes.</summary>
    public int ValueBytes { get; init; } = 4 * 1024 * 1024;

    /// <summary>Most operations in a transaction.</summary>
    public int TxnOperations { get; init; } = 1024;

    /// <summary>Largest encoded command (a transaction), in bytes.</summary>
    public int CommandBytes { get; init; } = 8 * 1024 * 1024;

    /// <summary>Most pairs in a page of a scan.</summary>
    public int ScanPageItems { get; init; } = 10_000;

    /// <summary>Most bytes in a page of a scan; one pair is always let in.</summary>
    public int ScanPageBytes { get; init; } = 1024 * 1024;

    /// <summary>Most watches on a node.</summary>
    public int Watches { get; init; } = 10_000;

    /// <summary>Most operations under way on a node; over it they fail with ResourceExhausted.</summary>
    public int PendingOperations { get; init; } = 1_000_000;

    /// <summary>Most bytes of commands under way on a node.</summary>
    public long PendingBytes { get; init; } = 256L * 1024 * 1024;
}

/// <summary>A page of a range.</summary>
public readonly record struct ScanQuery
{
    /// <summary>The version to read at; a barrier gives it.</summary>
    public required Core.Version Version { get; init; }

    /// <summary>First key, inclusive.</summary>
    public ReadOnlyMemory<byte> Lower { get; init; }

    /// <summary>Last key, exclusive; empty means no end.</summary>
    public ReadOnlyMemory<byte> Upper { get; init; }

    /// <summary>From the last key to the first.</summary>
    public bool Reverse { get; init; }

    /// <summary>The receiver gets empty values.</summary>
    public bool KeysOnly { get; init; }

    /// <summary>Most items; at least 1.</summary>
    public required int LimitItems { get; init; }

    /// <summary>Most bytes of keys and values; one item is always let in.</summary>
    public required int LimitBytes { get; init; }
}

/// <summary>Takes what a scan finds. Spans are valid during the call only.</summary>
public interface IScanReceiver
{
    /// <summary>
    /// One entry. <paramref name="expiresAtMs"/> is in milliseconds since the epoch of versions, 0 for never. A kind of PutTyped says that
    /// the value is a hash.
    /// </summary>
    void OnItem(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, Core.Version version, EntryKind kind, long expiresAtMs);
}

/// <summary>How a page ended.</summary>
/// <param name="Items">Items given to the receiver.</param>
/// <param name="More">True when there is more behind the page.</param>
/// <param name="NextKey">Where the next page begins: the Lower of a forward scan, the Upper of a reverse one.</param>
/// <param name="Applied">For the history of a key: whatever was written up to this version was seen.</param>
public readonly record struct ScanEnd(int Items, bool More, byte[]? NextKey, Core.Version Applied = default);

/// <summary>What a watch is about.</summary>
public sealed record WatchQuery
{
    /// <summary>First key, inclusive.</summary>
    public ReadOnlyMemory<byte> Lower { get; init; }

    /// <summary>Last key, exclusive; empty means no end.</summary>
    public ReadOnlyMemory<byte> Upper { get; init; }

    /// <summary>Events with this version and later; zero: from now on.</summary>
    public Core.Version Start { get; init; }

    /// <summary>An earlier watch's <see cref="IWatch.ResumeToken"/>; wins over <see cref="Start"/>.</summary>
    public ReadOnlyMemory<byte> Resume { get; init; }

    /// <summary>Events carry the value that they replace, where history still has it.</summary>
    public bool PreviousValues { get; init; }

    /// <summary>Progress marks are wanted.</summary>
    public bool Progress { get; init; }
}

/// <summary>Why an event happened. The numbers are on the wire.</summary>
public enum WatchReason : byte
{
    /// <summary>A value was written.</summary>
    Put = 1,
    /// <summary>The key was deleted.</summary>
    Delete = 2,
    /// <summary>The key was deleted because its time had come.</summary>
    Expired = 3,
    /// <summary>Not an event: everything up to the version has been given.</summary>
    Progress = 4,
}

/// <summary>Takes what a watch has. Spans are valid during the call only.</summary>
public interface IWatchReceiver
{
    /// <summary>One event, or a progress mark (empty key).</summary>
    void OnEvent(in WatchEventView watchEvent);
}

/// <summary>One event, valid during the call only.</summary>
public readonly ref struct WatchEventView
{
    /// <summary>Why.</summary>
    public WatchReason Reason { get; init; }

    /// <summary>The key.</summary>
    public ReadOnlySpan<byte> Key { get; init; }

    /// <summary>The new value; empty for deletions.</summary>
    public ReadOnlySpan<byte> Value { get; init; }

    /// <summary>What the new value is.</summary>
    public DataType Type { get; init; }

    /// <summary>The version of the event.</summary>
    public Core.Version Version { get; init; }

    /// <summary>When the new value expires, in milliseconds since the epoch of versions; 0 for never.</summary>
    public long ExpiresAtMs { get; init; }

    /// <summary>With <see cref="WatchQuery.PreviousValues"/>: true when there was a value before and history still has it.</summary>
    public bool HasPrevious { get; init; }

    /// <summary>The value before.</summary>
    public ReadOnlySpan<byte> PreviousValue { get; init; }

    /// <summary>What the value before was.</summary>
    public DataType PreviousType { get; init; }

    /// <summary>The version of the value before.</summary>
    public Core.Version PreviousVersion { get; init; }
}

/// <summary>An open watch. One reader at a time.</summary>
public interface IWatch : IDisposable
{
    /// <summary>
    /// Gives the receiver up to so many events and bytes that are there now; false when there were none. Throws
    /// <see cref="HengeException"/> with <see cref="ErrorCode.HistoryGone"/> when the watch fell so far behind that events are lost: it
    /// never skips them silently.
    /// </summary>
    bool TryRead(IWatchReceiver receiver, int limitItems, int limitBytes);

    /// <summary>
    /// Where the watch stands after the last <see cref="TryRead"/>: by shard, so that a later watch goes on without gap or repetition.
    /// </summary>
    byte[] ResumeToken { get; }
}
