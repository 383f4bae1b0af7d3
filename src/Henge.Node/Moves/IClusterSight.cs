using Henge.Core;

namespace Henge.Node.Moves;

/// <summary>What the catalog's leader sees of the cluster.</summary>
internal interface IClusterSight
{
    /// <summary>Whether this node leads the catalog.</summary>
    bool Leads { get; }

    /// <summary>Whether a member has been heard of lately.</summary>
    bool IsHeard(NodeId member);

    /// <summary>Who votes in a shard, by the latest news of it; null while nothing is known.</summary>
    IReadOnlyList<NodeId>? VotersOf(ShardId shard);

    /// <summary>Operations that a shard's leader takes in for a second, as it said last; 0 when it has said nothing.</summary>
    long LoadOf(ShardId shard);
}
