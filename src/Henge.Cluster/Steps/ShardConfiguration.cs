using Henge.Core;

namespace Henge.Cluster.Steps;

/// <summary>A shard as its leader sees it: who its replicas are, and how far.</summary>
public sealed record ShardConfiguration
{
    /// <summary>The leader, which sees all this.</summary>
    public required NodeId Leader { get; init; }

    /// <summary>Who votes, after the change that is under way, if any.</summary>
    public required IReadOnlyList<NodeId> Voters { get; init; }

    /// <summary>Who gets the log without a vote.</summary>
    public IReadOnlyList<NodeId> Learners { get; init; } = [];

    /// <summary>
    /// The configuration is committed and not joint, and the leader has committed an entry of its own term: another change may begin.
    /// </summary>
    public bool IsSettled { get; init; } = true;

    /// <summary>The last entry of the leader's log.</summary>
    public required LogIndex Last { get; init; }

    /// <summary>What is committed.</summary>
    public required LogIndex Commit { get; init; }

    /// <summary>How far the replicas are. One that is not among them counts as not heard of; the leader need not be there.</summary>
    public required IReadOnlyList<ReplicaProgress> Replicas { get; init; }

    /// <summary>Members that are down, as far as is known: they are not made learners.</summary>
    public IReadOnlyCollection<NodeId> Down { get; init; } = [];

    /// <summary>
    /// How many entries behind the commit index a replica counts as caught up. Not more than Raft's own bound for promotion.
    /// </summary>
    public ulong CaughtUpEntries { get; init; } = 100;

    internal ReplicaProgress ProgressOf(NodeId id)
    {
        foreach (ReplicaProgress replica in Replicas)
        {
            if (replica.Id == id)
            {
                return replica;
            }
        }

        return new ReplicaProgress(id, default, id == Leader, id == Leader);
    }

    /// <summary>It is in touch, whole, and has all that is committed but for a few entries.</summary>
    internal bool IsSound(NodeId id)
    {
        ReplicaProgress replica = ProgressOf(id);
        return !replica.IsDamaged
            && (id == Leader || (replica.IsActive && replica.IsReplicating && replica.Match.Value + CaughtUpEntries >= Commit.Value));
    }

    /// <summary>How many sound replicas voters could lose and still be a majority; below zero for too few.</summary>
    internal int SpareOf(IReadOnlyCollection<NodeId> voters) => voters.Count(IsSound) - ((voters.Count / 2) + 1);
}
