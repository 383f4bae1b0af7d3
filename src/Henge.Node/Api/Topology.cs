using Henge.Core;
using Henge.Storage;

namespace Henge.Node.Api;

/// <summary>Where shards are.</summary>
public sealed record Topology
{
    /// <summary>
    /// The cluster's id, which no other cluster has; empty until the node knows it: then the addresses must not be followed.
    /// </summary>
    public required string ClusterId { get; init; }

    /// <summary>Rises with every change that this node learns of.</summary>
    public required ulong Epoch { get; init; }

    /// <summary>The nodes, by id.</summary>
    public required IReadOnlyList<NodeEntry> Nodes { get; init; }

    /// <summary>The shards, in order.</summary>
    public required IReadOnlyList<ShardPlacement> Shards { get; init; }
}
