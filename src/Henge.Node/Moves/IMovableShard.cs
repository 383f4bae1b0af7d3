using Henge.Cluster.Steps;
using Henge.Core;

namespace Henge.Node.Moves;

/// <summary>A shard on this node that may lead, as moves need it. Belongs to the shard's worker.</summary>
internal interface IMovableShard
{
    /// <summary>Which shard.</summary>
    ShardId Shard { get; }

    /// <summary>Where its configuration stands in its log, and the term in which it leads; default while it does not lead.</summary>
    (LogIndex Configuration, Term Term) Standing { get; }

    /// <summary>What it sees as the leader; null when it does not lead.</summary>
    ShardConfiguration? Look();

    /// <summary>Proposes who shall vote and who shall learn; false when that cannot be taken now.</summary>
    bool TryChange(IReadOnlyList<NodeId> voters, IReadOnlyList<NodeId> learners);

    /// <summary>Hands leadership over; false when that cannot be begun now.</summary>
    bool TryTransfer(NodeId to);
}
