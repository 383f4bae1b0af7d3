namespace Henge.Simulation.Scale;

/// <summary>A cluster without faults, and the load on it.</summary>
/// <param name="Nodes">How many nodes.</param>
/// <param name="Shards">How many shards.</param>
/// <param name="ClientsForNode">Clients for each node, with one operation under way each.</param>
internal sealed record ScaleSetting(int Nodes, int Shards, int ClientsForNode)
{
    /// <summary>The shards that a new cluster has by default (docs/configuration.md), whatever its size.</summary>
    public const int DefaultShards = 16;

    /// <summary>How many operations of a thousand are writes; the others are reads.</summary>
    public int WritesPerMille { get; init; } = 500;

    /// <summary>What the run draws its random numbers from.</summary>
    public ulong Seed { get; init; } = 1;

    /// <summary>Shards that grow with the cluster.</summary>
    public static ScaleSetting ForNode(int nodes, int shardsForNode = 4, int clientsForNode = 4) =>
        new(nodes, nodes * shardsForNode, clientsForNode);
}
