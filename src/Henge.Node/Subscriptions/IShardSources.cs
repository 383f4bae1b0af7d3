using Henge.Core;

namespace Henge.Node.Subscriptions;

/// <summary>Which other nodes could give the events of a shard. Thread-safe.</summary>
internal interface IShardSources
{
    /// <summary>Rises whenever <see cref="AddNodes"/> may answer something else.</summary>
    ulong Generation { get; }

    /// <summary>Adds the other nodes that are thought to carry a shard.</summary>
    void AddNodes(ShardId shard, List<NodeId> nodes);
}
