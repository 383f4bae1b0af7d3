using Henge.Core;

namespace Henge.Node.Context;

/// <summary>A member of the cluster.</summary>
/// <param name="Id">Its number.</param>
/// <param name="Name">Its name.</param>
/// <param name="Address">Where it is reached.</param>
internal readonly record struct MemberInfo(NodeId Id, string Name, string Address);
