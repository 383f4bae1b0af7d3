using Henge.Core;
using Henge.Node.StateMachine;

namespace Henge.Node.Watch;

/// <summary>What watches of one node share.</summary>
internal sealed record NodeWatchParts
{
    /// <summary>Bounds of watching.</summary>
    public required WatchOptions Options { get; init; }

    /// <summary>The node's memory for reading history.</summary>
    public required HistoryBudget Budget { get; init; }

    /// <summary>The state machine of a shard on this node, if it can be watched; null when not.</summary>
    public required Func<ShardId, ShardStateMachine?> MachineOf { get; init; }

    /// <summary>The way to the shards that the node does not carry; null: there is none.</summary>
    public IRemoteWatches? Remotes { get; init; }

    /// <summary>Called when a watch ends.</summary>
    public required Action OnClosed { get; init; }

    /// <summary>Called when a watch finds that events are lost to it.</summary>
    public required Action OnLost { get; init; }
}
