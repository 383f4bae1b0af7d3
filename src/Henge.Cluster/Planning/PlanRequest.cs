namespace Henge.Cluster.Planning;

/// <summary>What a plan is made from.</summary>
public sealed record PlanRequest
{
    /// <summary>The default of <see cref="ReplaceAfterMs"/>: ten minutes.</summary>
    public const long DefaultReplaceAfterMs = 600_000;

    /// <summary>The members, in any order; those that have left may be among them.</summary>
    public required IReadOnlyList<PlanMember> Members { get; init; }

    /// <summary>Where replicas are to be now. It also says how many shards there are.</summary>
    public required TargetPlacement Present { get; init; }

    /// <summary>How many replicas each shard shall have: 1 to <see cref="TargetPlacement.MaxReplicas"/>.</summary>
    public required int ReplicationFactor { get; init; }

    /// <summary>A member that is down for as long as this is replaced, in milliseconds.</summary>
    public long ReplaceAfterMs { get; init; } = DefaultReplaceAfterMs;

    /// <summary>
    /// Whether leaders stay where they can, however many shards each member leads: they are balanced by load then (<c>LeaderBalance</c>).
    /// </summary>
    public bool KeepsLeaders { get; init; }

    /// <summary>Whether replicas may move between members that stay, so that all carry their fair share.</summary>
    public bool Rebalance { get; init; }
}
