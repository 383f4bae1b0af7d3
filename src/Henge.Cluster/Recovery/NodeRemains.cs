using Henge.Core;

namespace Henge.Cluster.Recovery;

/// <summary>What a node that is left says of itself and of what it has.</summary>
public sealed record NodeRemains
{
    /// <summary>Its number, name and data directory.</summary>
    public required RecoveryMember Member { get; init; }

    private const string Hint = "made-";

    /// <summary>What stands for a cluster's id for a node that was started anew and has not applied it yet.</summary>
    /// <param name="founding">What the cluster was made with: clusters that differ in it are different ones.</param>
    public static string HintOf(ulong founding) => Hint + founding.ToString("x16", System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>Whether that is not an id.</summary>
    public static bool IsHint(string clusterId) => clusterId.StartsWith(Hint, StringComparison.Ordinal);

    /// <summary>Which cluster it belongs to; a hint at it when the node does not know yet.</summary>
    public required string ClusterId { get; init; }

    /// <summary>How many shards the cluster has, without the catalog.</summary>
    public required int Shards { get; init; }

    /// <summary>All members that it knows, itself as well, but for those that have left.</summary>
    public required IReadOnlyList<RecoveryMember> Members { get; init; }

    /// <summary>What it has.</summary>
    public required IReadOnlyList<Survivor> Replicas { get; init; }

    /// <summary>The terms of shards that it has heard of, or has been in.</summary>
    public required IReadOnlyDictionary<ShardId, Term> Terms { get; init; }

    /// <summary>Shards that it had once and has dropped: they cannot begin there without anything.</summary>
    public IReadOnlyCollection<ShardId> Dropped { get; init; } = [];

    /// <summary>The text of the last plan that it has taken up; empty: none.</summary>
    public string Adopted { get; init; } = "";
}
