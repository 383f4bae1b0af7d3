using Henge.Core;
using Henge.Raft;
using Henge.Simulation.Checking;
using Henge.Simulation.Clients;
using Henge.Simulation.World;
using Henge.Testing.Files;

namespace Henge.Simulation;

/// <summary>
/// Moves replicas of shards between nodes, where a shard has fewer replicas than there are nodes: takes a node in as a learner, gives it a
/// vote when it has caught up, and takes another one out, or both in one step; gives up in the middle; and machines that have a part in it
/// crash at any moment. In peace every shard comes to have as many replicas as it should.
/// </summary>
internal sealed class SimMover(SimCluster cluster, SimRandom random)
{
    private readonly NodeId[] _all = [.. cluster.Nodes.Select(static n => new NodeId((ulong)n.Index + 1))];

    // What was committed when a learner was taken in: before it votes it must have that.
    private readonly Dictionary<(int Shard, NodeId Id), LogIndex> _takenInAt = [];
    private readonly SimRandom _hurry = new(cluster.World.Seed ^ 0x2_0F_75);
    private bool _peace;

    // Where a disk loses bits, two others have all that it has.
    private int Fewest => cluster.Victim is null ? 1 : 3;

    /// <summary>Begins.</summary>
    public void Start()
    {
        cluster.World.AfterMs(random.Between(100, 1_000), Turn);
        new MajorityCheck(cluster).Start();
    }

    /// <summary>From now on every shard comes to rest.</summary>
    public void EndFaults() => _peace = true;

    private void Turn()
    {
        if (cluster.IsOver)
        {
            return;
        }

        int shard = random.Next(cluster.Shards);
        if (cluster.LeaderOf(shard) is { } leader)
        {
            Step(leader, shard, leader.ReplicaOf(shard)!.Group.Membership);
        }

        cluster.World.AfterMs(_peace ? 50 : random.Between(10, 150), Turn);
    }

    private void Step(SimNode leader, int shard, Membership now)
    {
        List<NodeId> voters = [.. now.Voters], learners = [.. now.Learners];
        NodeId[] outside = [.. _all.Where(id => !now.IsMember(id))];
        int wanted = cluster.ReplicationFactor;
        if (learners.Count > 0 && (_peace ? voters.Count >= wanted : random.PerMille(150)))
        {
            // Given up, or one too many.
            learners.Remove(random.Pick(learners));
        }
        else if (learners.Count > 0)
        {
            NodeId risen = random.Pick(learners);
            learners.Remove(risen);
            voters.Add(risen);
            if (!_peace && voters.Count > wanted && random.PerMille(500))
            {
                // The exchange in one step.
                voters.Remove(random.Pick(now.Voters));
            }
        }
        else if (voters.Count > wanted || (!_peace && voters.Count > Fewest && random.PerMille(100)))
        {
            voters.Remove(random.Pick(voters));
        }
        else if (outside.Length > 0 && (voters.Count < wanted || !_peace))
        {
            learners.Add(random.Pick(outside));
        }
        else
        {
            return;
        }

        Ask(leader, shard, now, voters, learners);
        if (!_peace && cluster.Canary is Canary.None or Canary.ChangeWhileJoint && _hurry.PerMille(200))
        {
            // Another change before this one can be done: it has to be refused, or wait.
            cluster.World.After(_hurry.Between(0, 2_000_000), () => AskAgain(leader, shard));
        }

        if (!_peace && random.PerMille(250))
        {
            NodeId part = random.Pick([.. now.Members, .. voters, .. learners]);
            SimNode victim = random.PerMille(400) ? leader : cluster.NodeOf(part);
            cluster.World.After(random.Between(0, random.Pick<long>([2_000_000, 200_000_000, 2_000_000_000])), () => Crash(victim));
        }
    }

    private void AskAgain(SimNode leader, int shard)
    {
        if (!_peace && leader.Node is not null && leader.ReplicaOf(shard)?.Group is { Role: RaftRole.Leader } group)
        {
            Membership now = group.Membership;
            List<NodeId> voters = [.. now.Voters], learners = [.. now.Learners];
            NodeId[] outside = [.. _all.Where(id => !now.IsMember(id))];
            if (voters.Count > Fewest)
            {
                voters.Remove(_hurry.Pick(voters));
            }

            if (outside.Length > 0)
            {
                learners.Add(_hurry.Pick(outside));
            }

            Ask(leader, shard, now, voters, learners);
        }
    }

    private void Crash(SimNode node)
    {
        if (_peace || node.Node is null)
        {
            return;
        }

        cluster.Statistics.MoversCrashed++;
        node.Crash(random.Pick<CrashMode>([CrashMode.KeepAll, CrashMode.LoseAllUnsynced, CrashMode.LoseRandomPart]));
        node.RestartLater();
    }

    private void Ask(SimNode leader, int shard, Membership now, List<NodeId> voters, List<NodeId> learners)
    {
        RaftGroup group = leader.ReplicaOf(shard)!.Group;
        LogIndex commit = group.CommitIndex;
        leader.Guard("membership", () => leader.Node!.ChangeMembership(new ShardId((uint)shard), voters, learners, status =>
        {
            cluster.World.Note("move", leader.Index, (ulong)shard, (ulong)status);
            if (status != MembershipStatus.Accepted)
            {
                return;
            }

            SimStatistics statistics = cluster.Statistics;
            statistics.MoveSteps++;
            statistics.ReplicasAdded += learners.Count(id => !now.IsMember(id));
            statistics.ReplicasPromoted += voters.Count(now.IsLearner);
            statistics.ReplicasRemoved += now.Members.Count(id => !voters.Contains(id) && !learners.Contains(id));
            foreach (NodeId id in learners.Where(id => !now.IsMember(id)))
            {
                _takenInAt[(shard, id)] = commit;
            }

            foreach (NodeId id in voters.Where(id => !now.IsVoter(id)))
            {
                CheckPromoted(shard, id);
            }
        }));
    }

    private void CheckPromoted(int shard, NodeId id)
    {
        SimNode node = cluster.NodeOf(id);
        LogIndex least = _takenInAt.GetValueOrDefault((shard, id));
        if (node.Node is not null && (node.ReplicaOf(shard)?.Group.LastIndex ?? LogIndex.Zero) < least)
        {
            throw new SimulationException(
                $"node {node.Index} got a vote in shard {shard} without having what was committed when it was taken in (up to {least}): "
                    + cluster.Describe());
        }
    }
}
