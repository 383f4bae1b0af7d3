using Henge.Core;
using Henge.Raft;
using Henge.Simulation.Clients;
using Henge.Simulation.World;

namespace Henge.Simulation.Checking;

/// <summary>
/// Looks again and again, while replicas move: whatever happens, most of the voters of a membership that is final have everything that is
/// committed.
/// </summary>
internal sealed class MajorityCheck(SimCluster cluster)
{
    private const int IntervalMs = 50;

    /// <summary>Begins to look.</summary>
    public void Start() => cluster.World.AfterMs(IntervalMs, Look);

    private void Look()
    {
        if (cluster.IsOver)
        {
            return;
        }

        for (int shard = 0; shard < cluster.Shards; shard++)
        {
            if (cluster.LeaderOf(shard) is not { } leader || leader.ReplicaOf(shard)!.Group is not { IsSureOfMembership: true } group)
            {
                continue;
            }

            int have = group.Membership.Voters.Count(id => Has(cluster.NodeOf(id), shard, group.CommitIndex));
            if (have <= group.Membership.Voters.Count / 2)
            {
                throw new SimulationException(
                    $"of the voters {string.Join(' ', group.Membership.Voters)} of shard {shard} only {have} can have all that is committed "
                        + $"({group.CommitIndex}): " + cluster.Describe());
            }
        }

        cluster.World.AfterMs(IntervalMs, Look);
    }

    private static bool Has(SimNode node, int shard, LogIndex index) =>
        node.Node is null || (node.ReplicaOf(shard) is { } replica && replica.Group.PersistedIndex >= index);
}
