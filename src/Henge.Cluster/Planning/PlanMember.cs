using Henge.Core;

namespace Henge.Cluster.Planning;

/// <summary>A member of the cluster, as the planner sees it.</summary>
public sealed record PlanMember
{
    /// <summary>The weight of a member of which nothing else is said.</summary>
    public const int DefaultWeight = 100;

    /// <summary>The most that a weight can be.</summary>
    public const int MaxWeight = 10_000;

    /// <summary>Its number, which no other member ever had.</summary>
    public required NodeId Id { get; init; }

    /// <summary>Its name, for what people read.</summary>
    public required string Name { get; init; }

    /// <summary>Where it stands: replicas of a shard are spread over as many zones as there are. All without a zone are in one.</summary>
    public string Zone { get; init; } = "";

    /// <summary>How much it carries, in relation to others: 1 to <see cref="MaxWeight"/>.</summary>
    public int Weight { get; init; } = DefaultWeight;

    /// <summary>Where it stands in its life.</summary>
    public MemberState State { get; init; } = MemberState.Up;

    /// <summary>For how long it has not been heard of, in milliseconds; null while it answers.</summary>
    public long? DownForMs { get; init; }
}
