using Henge.Core;

namespace Henge.Node.Context;

/// <summary>Where a shard is and who leads it, as far as a node knows. Immutable.</summary>
internal sealed record ShardPlace
{
    /// <summary>Which shard.</summary>
    public required ShardId Shard { get; init; }

    /// <summary>The term of <see cref="Leader"/>.</summary>
    public Term Term { get; init; }

    /// <summary>Who leads it in that term; none while that is not known.</summary>
    public NodeId Leader { get; init; }

    /// <summary>The term of whoever told <see cref="Voters"/> and <see cref="Learners"/>.</summary>
    public Term MembershipTerm { get; init; }

    /// <summary>Where their list stands in the shard's log; 0 for the founding one.</summary>
    public LogIndex MembershipIndex { get; init; }

    /// <summary>
    /// Who votes; while membership is joint, those of both sides. The first is where the ring would have the leader, if it is one of them.
    /// </summary>
    public required IReadOnlyList<NodeId> Voters { get; init; }

    /// <summary>Who gets the log and has no vote.</summary>
    public IReadOnlyList<NodeId> Learners { get; init; } = [];

    /// <summary>True when a node has a replica of it.</summary>
    public bool Has(NodeId node) => Contains(Voters, node) || Contains(Learners, node);

    /// <summary>
    /// The node to ask at an attempt, counted from 0: first the leader, if it is known, then the other voters by turns. None when there is
    /// nobody but <paramref name="self"/>.
    /// </summary>
    public NodeId LeaderOrVoter(int attempt, NodeId self)
    {
        if (attempt == 0 && !Leader.IsNone && Leader != self)
        {
            return Leader;
        }

        int leader = -1;
        for (int i = 0; i < Voters.Count && leader < 0; i++)
        {
            leader = Voters[i] == Leader ? i : leader;
        }

        return Turn(Voters, Math.Max(leader, 0) + attempt, self);
    }

    /// <summary>
    /// The node to ask for what any replica can answer, at an attempt counted from 0: another one at each, and not the same one for all
    /// who ask.
    /// </summary>
    public NodeId AnyReplica(int attempt, NodeId self) => Turn(Voters, (int)(self.Value & 0xFFFF) + attempt, self);

    /// <summary>True when another place names the same nodes.</summary>
    public bool HasSameNodes(ShardPlace other) => SameSet(Voters, other.Voters) && SameSet(Learners, other.Learners);

    private static NodeId Turn(IReadOnlyList<NodeId> nodes, int turn, NodeId self)
    {
        for (int i = 0; i < nodes.Count; i++)
        {
            NodeId node = nodes[(turn + i) % nodes.Count];
            if (node != self)
            {
                return node;
            }
        }

        return NodeId.None;
    }

    private static bool SameSet(IReadOnlyList<NodeId> a, IReadOnlyList<NodeId> b)
    {
        if (ReferenceEquals(a, b))
        {
            return true;
        }

        if (a.Count != b.Count)
        {
            return false;
        }

        for (int i = 0; i < a.Count; i++)
        {
            if (!Contains(b, a[i]))
            {
                return false;
            }
        }

        return true;
    }

    private static bool Contains(IReadOnlyList<NodeId> nodes, NodeId node)
    {
        for (int i = 0; i < nodes.Count; i++)
        {
            if (nodes[i] == node)
            {
                return true;
            }
        }

        return false;
    }
}
