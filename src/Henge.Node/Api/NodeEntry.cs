using Henge.Core;

namespace Henge.Node.Api;

/// <summary>A node as the catalog has it.</summary>
/// <param name="Id">Its number.</param>
/// <param name="Name">Its name.</param>
/// <param name="Address">Where it is reached.</param>
public readonly record struct NodeEntry(NodeId Id, string Name, string Address)
{
    /// <summary>Where it stands.</summary>
    public MemberState State { get; init; } = MemberState.Up;

    /// <summary>Its zone; empty when it has none.</summary>
    public string Zone { get; init; } = "";

    /// <summary>How much of the data it takes, compared with others.</summary>
    public int Weight { get; init; } = 100;
}
