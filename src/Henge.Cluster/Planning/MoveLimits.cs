namespace Henge.Cluster.Planning;

/// <summary>How many moves may be under way.</summary>
public sealed record MoveLimits
{
    /// <summary>Shards of the whole cluster that get new replicas at a time. Default 16.</summary>
    public int Cluster { get; init; } = 16;

    /// <summary>New replicas that one member takes in at a time, and shards of those that it leads that send them. Default 2.</summary>
    public int Member { get; init; } = 2;

    /// <summary>Only what replaces replicas that are leaving or lost begins: the cluster is not well.</summary>
    public bool OnlyUrgent { get; init; }
}
