using Henge.Core;

namespace Henge.Node.Api;

/// <summary>What a node says of itself that wants to become a member.</summary>
public sealed record JoinRequest
{
    /// <summary>Its name.</summary>
    public required string Name { get; init; }

    /// <summary>Where it is reached, as HOST:PORT.</summary>
    public required string Address { get; init; }

    /// <summary>The number that its data directory was given when it was made; never 0.</summary>
    public required ulong Incarnation { get; init; }

    /// <summary>Its zone; may be empty.</summary>
    public string Zone { get; init; } = "";

    /// <summary>Its weight; 0 for the default.</summary>
    public int Weight { get; init; }

    /// <summary>The newest format level that it knows.</summary>
    public required int FormatLevel { get; init; }

    /// <summary>The cluster's token, as <see cref="Context.NodeJoining.DescribeToken"/> shows it.</summary>
    public required string Token { get; init; }
}

/// <summary>What a cluster tells a node that it has taken in.</summary>
public sealed record JoinAnswer
{
    /// <summary>The number that the node has for ever.</summary>
    public required NodeId Id { get; init; }

    /// <summary>The cluster's id.</summary>
    public required string ClusterId { get; init; }

    /// <summary>What the cluster was made with, as text (docs/formats.md, "Node identity").</summary>
    public required string Founding { get; init; }

    /// <summary>Who belongs to the cluster, the new member as well.</summary>
    public required IReadOnlyList<NodeEntry> Members { get; init; }
}
