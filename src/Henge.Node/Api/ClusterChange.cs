using Henge.Core;

namespace Henge.Node.Api;

/// <summary>What an operator wants of a cluster that runs.</summary>
public sealed record ClusterChange
{
    /// <summary>What.</summary>
    public required ClusterChangeKind Kind { get; init; }

    /// <summary>The name of the member that it is about; empty when it is about none.</summary>
    public string Node { get; init; } = "";

    /// <summary>For a removal: the name of the member that takes over what the other one has; empty: all do.</summary>
    public string Successor { get; init; } = "";

    /// <summary>The name of a setting.</summary>
    public string Setting { get; init; } = "";

    /// <summary>Its value; empty: the default again.</summary>
    public string Value { get; init; } = "";

    /// <summary>Only say what it would come to.</summary>
    public bool IsDryRun { get; init; }

    /// <summary>Do it although something is lost by it, or cannot be finished.</summary>
    public bool IsForced { get; init; }

    /// <summary>Members that do not answer whoever was asked.</summary>
    public IReadOnlyCollection<NodeId> Unreachable { get; init; } = [];
}
