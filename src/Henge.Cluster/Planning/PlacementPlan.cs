namespace Henge.Cluster.Planning;

/// <summary>What <see cref="PlacementPlanner.Plan"/> gives.</summary>
public sealed record PlacementPlan
{
    /// <summary>Where replicas are to be. The present target itself when nothing changes, else one with the next generation.</summary>
    public required TargetPlacement Target { get; init; }

    /// <summary>What could not be done.</summary>
    public required IReadOnlyList<PlanProblem> Problems { get; init; }

    /// <summary>What each member carries, by number. Those that have left and carry nothing are not among them.</summary>
    public required IReadOnlyList<MemberShare> Shares { get; init; }

    /// <summary>How many replicas are to be made where there are none now: what the plan costs.</summary>
    public required int Copies { get; init; }

    /// <summary>How many replicas are given up.</summary>
    public required int Removals { get; init; }

    /// <summary>How many shards get another preferred leader.</summary>
    public required int LeaderChanges { get; init; }

    /// <summary>True when the target is another one than before.</summary>
    public required bool IsChange { get; init; }
}
