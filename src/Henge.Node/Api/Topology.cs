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

    /// <summary>
    /// How new <see cref="Nodes"/> is: the version of the latest change of a member that this node has applied from the catalog; zero while
    /// it knows the founding members only. Two nodes that say the same have applied the same.
    /// </summary>
    public Core.Version MembersVersion { get; init; }

    /// <summary>The nodes, by id.</summary>
    public required IReadOnlyList<NodeEntry> Nodes { get; init; }

    /// <summary>The shards, in order.</summary>
    public required IReadOnlyList<ShardPlacement> Shards { get; init; }
}
