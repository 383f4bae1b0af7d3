using Henge.Core;
using Henge.Node.Api;

namespace Henge.Node.Watch;

/// <summary>
/// The shards of one watch whose events come from other nodes: who sends them may change, and the watch does not notice. One reader at a
/// time; its members may be called while the watch's lock is held.
/// </summary>
internal interface IRemoteShards : IDisposable
{
    /// <summary>True when it has no shard.</summary>
    bool IsEmpty { get; }

    /// <summary>The lowest position of its shards; the highest version when it has none.</summary>
    Core.Version LowestPosition { get; }

    /// <summary>True when nothing that came waits to be given.</summary>
    bool IsDrained { get; }

    /// <summary>
    /// True once some other node has taken the watch on for every shard, so that it is known where it begins. Throws
    /// <see cref="HengeException"/> when none did in time: HistoryGone, or why the last one did not.
    /// </summary>
    bool TryOpen();

    /// <summary>Takes a shard over, from a position on; zero: from now on. False when no other node is known to carry it.</summary>
    /// <param name="position">The shard, and where the watch stands in it.</param>
    /// <param name="isGoneHere">This node does not have all of the history any more that the watch needs.</param>
    bool TryAdd(ShardPosition position, bool isGoneHere);

    /// <summary>Hands back the shards that this node can serve by now, unless something of what came waits to be given.</summary>
    /// <param name="isHere">Whether it can, from a position on.</param>
    /// <param name="home">Gets them, with where the watch stands.</param>
    void TakeHome(Predicate<ShardPosition> isHere, List<ShardPosition> home);

    /// <summary>Adds where the watch stands in each of its shards.</summary>
    void CopyPositions(List<ShardPosition> positions);

    /// <summary>
    /// Gives what has come, whole versions only. Throws <see cref="HengeException"/> (HistoryGone) when no node has the events any more
    /// that come next, and what the receiver throws: then the version that was not given whole comes again.
    /// </summary>
    void Read(IWatchReceiver receiver, ref ReadBudget budget);
}

/// <summary>Makes the remote part of watches. Thread-safe.</summary>
internal interface IRemoteWatches
{
    /// <summary>True when some other node is known that could give the events of a shard.</summary>
    bool HasSource(ShardId shard);

    /// <summary>Shards of one watch, none so far.</summary>
    /// <param name="query">The keys that are watched, and what events carry.</param>
    /// <param name="mustOpen">Whether it counts as open only when other nodes have taken it on, within the node's usual deadline.</param>
    /// <param name="onAvailable">Called when there is something to read, or the watch is open, or cannot be opened.</param>
    IRemoteShards Create(WatchQuery query, bool mustOpen, Action onAvailable);
}
