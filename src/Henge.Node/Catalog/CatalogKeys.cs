namespace Henge.Node.Catalog;

/// <summary>The keys of the catalog's entries (docs/formats.md, "Catalog").</summary>
internal static class CatalogKeys
{
    /// <summary>Before a member's number.</summary>
    public const string Member = "member/";

    /// <summary>Before a setting's name.</summary>
    public const string Setting = "setting/";

    /// <summary>The name of the setting that says how many replicas each shard is to have, when there are as many nodes.</summary>
    public const string ReplicationFactor = "replication-factor";

    /// <summary>The number that the next member to join is given. Every change of a member but its first entry writes it anew.</summary>
    public const string NextMember = "next-member";

    /// <summary>What shards follow: where their replicas are to be at the moment.</summary>
    public const string Placement = "placement";

    /// <summary>Where the plan has replicas; <see cref="Placement"/> comes to it step by step.</summary>
    public const string Plan = "plan";

    /// <summary>Which request for a rebalance the plan was made for last.</summary>
    public const string Rebalanced = "rebalanced";

    /// <summary>Before the name of a member that the cluster was made of: which data directory it runs with.</summary>
    public const string Founder = "node/";
}
