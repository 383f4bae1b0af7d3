using Henge.Core;
using Henge.Node.Replication;
using Henge.Raft;
using Henge.Simulation.Clients;
using Henge.Simulation.World;

namespace Henge.Simulation;

/// <summary>
/// Whoever changes the members of shards: takes votes away, has members leave, and brings them back as learners first and voters then. It
/// goes by what the leader's log says, as an operator by the status page, and asks the leader, who may refuse.
/// </summary>
internal sealed class SimOperator(SimCluster cluster, SimRandom random)
{
    private readonly NodeId[] _all = [.. cluster.Nodes.Select(static n => new NodeId((ulong)n.Index + 1))];
    private bool _peace;

    /// <summary>Begins to bring members back.</summary>
    public void Start() => cluster.World.AfterMs(random.Between(100, 1_000), Turn);

    /// <summary>From now on members only come back.</summary>
    public void EndFaults() => _peace = true;

    /// <summary>Takes something away from a shard, or exchanges members.</summary>
    public void Disturb()
    {
        if (_peace || _all.Length == 1 || Leader(out ShardId shard) is not { } leader)
        {
            return;
        }

        Membership now = leader.ReplicaOf((int)shard.Value)!.Group.Membership;
        List<NodeId> voters = [.. now.Voters], learners = [.. now.Learners];
        // Down to the leader alone at times: then it is the old majority only that keeps it from deciding everything by itself.
        NodeId self = _all[leader.Index];
        bool allButLeader = random.PerMille(300) && voters.Contains(self);
        int taken = allButLeader ? voters.Count - 1 : random.Next(Math.Min(voters.Count, 3));
        for (int i = 0; i < taken; i++)
        {
            NodeId victim = allButLeader ? voters.First(id => id != self) : random.Pick(voters);
            voters.Remove(victim);
            if (random.PerMille(500))
            {
                learners.Add(victim);
            }
        }

        // In the same step as others lose theirs: a majority of neither side may be enough.
        if (now.Learners.Count > 0 && random.PerMille(500))
        {
            NodeId risen = random.Pick(now.Learners);
            learners.Remove(risen);
            voters.Add(risen);
        }

        if (voters.Count == 1 && cluster.Victim is { } victimNode && _all[victimNode.Index] == voters[0])
        {
            // What is damaged there must be whole elsewhere.
            return;
        }

        Ask(leader, shard, now, voters, learners);
        if (random.PerMille(400))
        {
            // In the middle of the change, when some know of it and some do not.
            cluster.World.After(random.Between(0, 4 * cluster.Network.Faults.DelayNs), () => CutOff(leader));
        }
    }

    private void CutOff(SimNode leader)
    {
        if (_peace)
        {
            return;
        }

        cluster.Statistics.Partitions++;
        cluster.Network.Isolate(leader.Index);
        cluster.World.AfterMs(random.Between(100, 3_000), cluster.Network.Heal);
    }

    private void Turn()
    {
        if (cluster.IsOver)
        {
            return;
        }

        if (Leader(out ShardId shard) is { } leader)
        {
            BringBack(leader, shard);
        }

        cluster.World.AfterMs(_peace ? 50 : random.Between(50, 1_500), Turn);
    }

    private void BringBack(SimNode leader, ShardId shard)
    {
        Membership now = leader.ReplicaOf((int)shard.Value)!.Group.Membership;
        NodeId[] missing = [.. _all.Where(id => !now.IsMember(id))];
        if (missing.Length > 0)
        {
            Ask(leader, shard, now, now.Voters, [.. now.Learners, .. missing]);
        }
        else if (now.Learners.Count > 0)
        {
            NodeId risen = random.Pick(now.Learners);
            Ask(leader, shard, now, [.. now.Voters, risen], [.. now.Learners.Where(id => id != risen)]);
        }
    }

    private SimNode? Leader(out ShardId shard)
    {
        int at = random.Next(cluster.Shards);
        shard = new ShardId((uint)at);
        return cluster.Nodes
            .Where(n => !n.IsPaused && n.ReplicaOf(at)?.Group.Role == RaftRole.Leader)
            .MaxBy(n => n.ReplicaOf(at)!.Group.Term.Value);
    }

    private void Ask(SimNode leader, ShardId shard, Membership now, IReadOnlyList<NodeId> voters, IReadOnlyList<NodeId> learners) =>
        leader.Guard("membership", () => leader.Node!.ChangeMembership(shard, voters, learners, status =>
        {
            cluster.World.Note("membership", leader.Index, shard.Value, (ulong)status);
            if (status == MembershipStatus.Accepted)
            {
                Count(now, voters, learners);
            }
        }));

    private void Count(Membership before, IReadOnlyList<NodeId> voters, IReadOnlyList<NodeId> learners)
    {
        SimStatistics statistics = cluster.Statistics;
        statistics.MembershipChanges++;
        statistics.MembersDemoted += learners.Count(before.IsVoter);
        statistics.MembersRemoved += before.Voters.Concat(before.Learners).Count(id => !voters.Contains(id) && !learners.Contains(id));
        statistics.LearnersAdded += learners.Count(id => !before.IsMember(id));
        statistics.LearnersPromoted += voters.Count(before.IsLearner);
    }
}
