using Henge.Core;

namespace Henge.Cluster.Recovery;

/// <summary>What is done about one shard: one replica goes on alone with what it has.</summary>
public sealed record RecoveryStep
{
    /// <summary>Which shard.</summary>
    public required ShardId Shard { get; init; }

    /// <summary>Whose replica it is; one that is made without anything when the shard is started empty.</summary>
    public required NodeId Best { get; init; }

    /// <summary>The term in which it goes on: above all that anybody who is left knows.</summary>
    public required Term Term { get; init; }

    /// <summary>Where its log ends.</summary>
    public required LogIndex Last { get; init; }

    /// <summary>The term of the entry there.</summary>
    public required Term LastTerm { get; init; }

    /// <summary>The highest version in its log: later ones are lost.</summary>
    public required Core.Version KeptVersion { get; init; }

    /// <summary>The other replicas that are left.</summary>
    public IReadOnlyList<NodeId> Learners { get; init; } = [];

    /// <summary>Nothing was left of it, and it begins without anything.</summary>
    public bool IsEmpty { get; init; }
}
