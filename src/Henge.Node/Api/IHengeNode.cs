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
    /// Reads a page of a range on the caller's thread, as of <see cref="ScanQuery.Version"/>, as far as this node has applied. Throws
    /// <see cref="HengeException"/> for history that is gone and for damage.
    /// </summary>
    ScanEnd Scan(in ScanQuery query, IScanReceiver receiver);

    /// <summary>
    /// The versions of one key on the caller's thread, newest first, tombstones included, as far as this node has applied.
    /// </summary>
    ScanEnd History(ReadOnlyMemory<byte> key, Core.Version newest, int limit, IScanReceiver receiver);

    /// <summary>
    /// True while this node has a replica of every shard that has come to a version, so that a page as of it needs nothing from others.
    /// Zero: however far they are.
    /// </summary>
    bool HasAllShardsAt(Core.Version version) => true;

    /// <summary>
    /// Reads a page on the caller's thread, of this node's shards and of what an operation of kind <see cref="OperationKind.Page"/> has
    /// fetched of the others. Nothing need be fetched where <see cref="HasAllShardsAt"/> is true of <see cref="PageFetch.Required"/>,
    /// except for the newest of a history. Throws <see cref="HengeException"/> as <see cref="Scan"/> and <see cref="History"/> do; and
    /// Unavailable when a shard has left this node since, or has come anew and is not at the page's version yet: fetch again.
    /// </summary>
    ScanEnd ReadPage(PageFetch page, IScanReceiver receiver) =>
        page.IsHistory
            ? History(page.Query.Lower, page.Query.Version, page.Query.LimitItems, receiver)
            : Scan(page.Query, receiver);

    /// <summary>
    /// Begins to open a watch. Its call is made when there is something to read, or more to say on whether it stands: ask
    /// <see cref="IWatch.TryOpen"/> before anybody is told that it does. Throws <see cref="HengeException"/> (HistoryGone,
    /// ResourceExhausted). Dispose of it to end it.
    /// </summary>
    IWatch OpenWatch(WatchQuery query, Action onAvailable);

    /// <summary>The state of this node, by shard.</summary>
    NodeStatus GetStatus();

    /// <summary>Where shards are and who leads them, as this node knows it.</summary>
    Topology GetTopology();

    /// <summary>
    /// Raised when <see cref="GetTopology"/> would answer something new, but not when all that is new is that a leader elsewhere has fallen
    /// silent. Quick, on any thread.
    /// </summary>
    event Action? TopologyChanged;

    /// <summary>
    /// Takes a node into the cluster, whichever member is asked: the catalog gives it a number, and the same one when it asks again.
    /// </summary>
    /// <param name="request">What the node says of itself.</param>
    /// <param name="deadlineMs">When to give up, on the node's monotonic clock.</param>
    /// <param name="answered">
    /// Called once, on any thread, with the answer or why there is none: Misconfigured (name, address or token), UnsupportedFormat,
    /// InvalidArgument, ResourceExhausted, Unavailable (try again).
    /// </param>
    void Join(JoinRequest request, long deadlineMs, Action<JoinAnswer?, HengeException?> answered);

    /// <summary>
    /// Changes members, settings or the plan of where replicas are to be, whichever member is asked; or says what it would come to.
    /// </summary>
    /// <param name="change">What is wanted.</param>
    /// <param name="deadlineMs">When to give up, on the node's monotonic clock.</param>
    /// <param name="answered">
    /// Called once, on any thread, with the answer or why there is none: InvalidArgument (no such node or setting; or it would lose
    /// something, or could not be finished, and the message says what), Unavailable (try again), ResourceExhausted.
    /// </param>
    void Change(ClusterChange change, long deadlineMs, Action<ClusterChangeAnswer?, HengeException?> answered);

    /// <summary>What can be done after majorities are lost for ever.</summary>
    IClusterRecovery Recovery { get; }

    /// <summary>Where replicas are to be, as this node has applied it, and how the shards that it leads get there.</summary>
    PlacementStatus GetPlacement();

    /// <summary>
    /// Asks the leader of a shard, if it is this node, to hand over. Throws <see cref="HengeException"/> when it cannot begin.
    /// </summary>
    void TransferLeader(ShardId shard, NodeId to);
}
