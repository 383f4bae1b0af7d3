using Henge.Core;

namespace Henge.Cluster.Leaders;

/// <summary>A shard that another member shall lead.</summary>
/// <param name="Shard">Which shard.</param>
/// <param name="From">Who leads it.</param>
/// <param name="To">Who shall.</param>
public readonly record struct LeaderTransfer(ShardId Shard, NodeId From, NodeId To);
