using Henge.Core;
using Henge.Node.Api;

namespace Henge.Node.Context;

/// <summary>A member of the cluster.</summary>
/// <param name="Id">Its number.</param>
/// <param name="Name">Its name.</param>
/// <param name="Address">Where it is reached.</param>
internal readonly record struct MemberInfo(NodeId Id, string Name, string Address)
{
    /// <summary>The weight of a member that names none.</summary>
    public const int DefaultWeight = 100;

    /// <summary>Where it stands.</summary>
    public MemberState State { get; init; } = MemberState.Up;

    /// <summary>Where it stands in the building, so that replicas are spread; may be empty.</summary>
    public string Zone { get; init; } = "";

    /// <summary>How much of the data it takes, compared with others.</summary>
    public int Weight { get; init; } = DefaultWeight;

    /// <summary>
    /// Where it is tried as well: what this node's own settings say, when that is something else. Empty: nowhere.
    /// </summary>
    public string OtherAddress { get; init; } = "";

    /// <summary>
    /// True while it is known by its own word only: this node has not applied yet that it joined. It is heard, since it may be the leader
    /// that has what this node lacks, and counts for nothing else.
    /// </summary>
    public bool IsHearsay { get; init; }

    /// <summary>False once it has left.</summary>
    public bool Belongs => State != MemberState.Left;

    /// <summary>True when its clock counts for what the cluster takes for the time (docs/decisions/0133).</summary>
    public bool TellsTime => State is MemberState.Up or MemberState.Draining or MemberState.Leaving;
}
