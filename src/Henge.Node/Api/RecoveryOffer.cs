namespace Henge.Node.Api;

/// <summary>What can be done about lost majorities, and what it costs, before anything is done.</summary>
public sealed record RecoveryOffer
{
    /// <summary>The name of the plan: a hash of all that is in it.</summary>
    public required string PlanId { get; init; }

    /// <summary>The plan, for those who carry it out.</summary>
    public required string Plan { get; init; }

    /// <summary>Those who are left.</summary>
    public required IReadOnlyList<NodeEntry> Survivors { get; init; }

    /// <summary>Those who do not answer, and are taken for lost.</summary>
    public required IReadOnlyList<NodeEntry> Lost { get; init; }

    /// <summary>What becomes of each shard.</summary>
    public IReadOnlyList<RecoveryRow> Shards { get; init; } = [];

    /// <summary>What cannot be done, and why.</summary>
    public IReadOnlyList<string> Problems { get; init; } = [];

    /// <summary>Nothing may be done; the first problem says why.</summary>
    public bool IsRefused { get; init; }

    /// <summary>Every acknowledged write stays.</summary>
    public bool LosesNothing { get; init; }
}
