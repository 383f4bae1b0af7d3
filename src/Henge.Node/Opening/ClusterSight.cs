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
    // The group forgets who was active at each check of its quorum, so one look may come at a moment when nobody was.
    private const long HeardMs = 1_000;
    private readonly Dictionary<NodeId, long> _activeMs = [];
    private ShardStatus? _seen;

    /// <inheritdoc/>
    public bool Leads => catalog.Status.Role == ReplicaRole.Leader && node.Cluster.IsEstablished;

    /// <inheritdoc/>
    public bool IsHeard(NodeId member)
    {
        long now = node.MonotonicMs;
        if (catalog.Status is var status && !ReferenceEquals(status, _seen))
        {
            _seen = status;
            foreach (PeerProgress peer in status.Peers)
            {
                if (peer.Active)
                {
                    _activeMs[peer.Node] = now;
                }
            }
        }

        return member == node.Self || (_activeMs.TryGetValue(member, out long last) && now - last < HeardMs);
    }

    /// <inheritdoc/>
    public IReadOnlyList<NodeId>? VotersOf(ShardId shard) =>
        node.Directory.PlaceOf(shard) is { Voters.Count: > 0 } place ? place.Voters : null;

    /// <inheritdoc/>
    public long LoadOf(ShardId shard) => reports.Of(shard)?.OperationsPerSecond ?? 0;
}
