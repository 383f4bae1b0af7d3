using Henge.Core;

namespace Henge.Cluster.Leaders;

/// <summary>A shard's load.</summary>
/// <param name="Shard">Which shard.</param>
/// <param name="Leader">Who leads it, or shall.</param>
/// <param name="Replicas">Who could lead it, the leader among them.</param>
/// <param name="OperationsPerSecond">What its leader does, measured over a while.</param>
public readonly record struct ShardLoad(ShardId Shard, NodeId Leader, IReadOnlyList<NodeId> Replicas, double OperationsPerSecond);
