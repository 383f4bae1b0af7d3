using Henge.Core;

namespace Henge.Cluster.Recovery;

/// <summary>A member as a plan names it.</summary>
/// <param name="Id">Its number.</param>
/// <param name="Name">Its name.</param>
/// <param name="Incarnation">Which data directory it runs with; 0 for one that is lost.</param>
public readonly record struct RecoveryMember(NodeId Id, string Name, ulong Incarnation = 0);
