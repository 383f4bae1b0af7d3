using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Moves;
using Henge.Node.Replication;

namespace Henge.Node.Opening;

/// <summary>
/// What the catalog's leader sees of the cluster: all members follow the catalog, so it hears of all of them; where shards are, their
/// leaders tell. Used by the thread that ticks.
/// </summary>
internal sealed class ClusterSight(NodeContext node, ShardReplica catalog, ShardReports reports) : IClusterSight
{
    /// <inheritdoc/>
    public bool Leads => catalog.Status.Role == ReplicaRole.Leader && node.Cluster.IsEstablished;

    /// <inheritdoc/>
    public bool IsHeard(NodeId member) => member == node.Self || catalog.Status.Peers.Any(p => p.Node == member && p.Active);

    /// <inheritdoc/>
    public IReadOnlyList<NodeId>? VotersOf(ShardId shard) =>
        node.Directory.PlaceOf(shard) is { Voters.Count: > 0 } place ? place.Voters : null;

    /// <inheritdoc/>
    public long LoadOf(ShardId shard) => reports.Of(shard)?.OperationsPerSecond ?? 0;
}
