using Henge.Core;

namespace Henge.Cluster.Leaders;

/// <summary>A member that may lead.</summary>
/// <param name="Id">Which member.</param>
/// <param name="Weight">How much it carries in relation to others.</param>
public readonly record struct LeaderMember(NodeId Id, int Weight);
