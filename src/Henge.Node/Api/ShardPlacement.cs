using Henge.Core;
using Henge.Storage;

namespace Henge.Node.Api;

/// <summary>Where a shard is.</summary>
public readonly record struct ShardPlacement(ShardId Shard, IReadOnlyList<NodeId> Replicas, NodeId Leader, Term Term)
{
    /// <summary>The term of the leader that told of <see cref="Replicas"/>: of two lists, the one of the higher term is newer.</summary>
    public Term MembershipTerm { get; init; }

    /// <summary>Where the list stands in the shard's log: of two lists of one term, the higher is newer. Zero: as it was founded.</summary>
    public ulong MembershipIndex { get; init; }
}
