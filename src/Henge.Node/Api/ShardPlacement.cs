using Henge.Core;
using Henge.Storage;

namespace Henge.Node.Api;

/// <summary>Where a shard is.</summary>
public readonly record struct ShardPlacement(ShardId Shard, IReadOnlyList<NodeId> Replicas, NodeId Leader, Term Term);
