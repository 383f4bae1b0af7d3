namespace Henge.Cluster.Recovery;

/// <summary>What an operator is shown before anything is done.</summary>
public sealed record RecoveryOutline
{
    /// <summary>What would be done.</summary>
    public required RecoveryPlan Plan { get; init; }

    /// <summary>What has become of each shard, the catalog first.</summary>
    public required IReadOnlyList<ShardLoss> Shards { get; init; }

    /// <summary>What cannot be done, and why.</summary>
    public IReadOnlyList<string> Problems { get; init; } = [];

    /// <summary>True when nothing may be done: the first problem says why.</summary>
    public bool IsRefused { get; init; }

    /// <summary>True when every acknowledged write stays.</summary>
    public bool LosesNothing => Shards.All(static s => s.Kind is LossKind.Serving or LossKind.Complete && s.CertainlyLost == 0);
}
