using Henge.Cluster.Planning;
using Henge.Node.Context;

namespace Henge.Node.Moves;

/// <summary>What placements are made from, and what they are. Immutable.</summary>
internal sealed record PlacementState
{
    /// <summary>Another text for other members or settings.</summary>
    public required string Inputs { get; init; }

    /// <summary>The members; for how long they have been down is not in the catalog.</summary>
    public required IReadOnlyList<PlanMember> Members { get; init; }

    /// <summary>How many replicas each shard shall have.</summary>
    public required int ReplicationFactor { get; init; }

    /// <summary>A member that is down for as long is replaced.</summary>
    public long ReplaceAfterMs { get; init; } = PlanRequest.DefaultReplaceAfterMs;

    /// <summary>A member that has not been heard of for as long counts as down.</summary>
    public long DownAfterMs { get; init; } = NodeContext.DefaultDownAfterMs;

    /// <summary>How many bytes of snapshots for moves a node sends in a second.</summary>
    public long MoveBytesPerSecond { get; init; } = MoveRate.DefaultBytesPerSecond;

    /// <summary>How many moves may be under way.</summary>
    public MoveLimits Limits { get; init; } = new();

    /// <summary>Rises when somebody asks for a rebalance.</summary>
    public ulong RebalanceAsked { get; init; }

    /// <summary>Which of those requests the goal has been planned for.</summary>
    public ulong RebalancePlanned { get; init; }

    /// <summary>Where replicas are to be; the founding placement as long as nothing else was written.</summary>
    public required TargetPlacement Goal { get; init; }

    /// <summary>What shards follow at the moment.</summary>
    public required TargetPlacement Followed { get; init; }
}
