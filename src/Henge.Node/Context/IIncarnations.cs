using Henge.Core;

namespace Henge.Node.Context;

/// <summary>Which data directory each member runs with. Thread-safe.</summary>
internal interface IIncarnations
{
    /// <summary>The incarnation of a member; 0 while it is not known.</summary>
    ulong Of(NodeId id);
}
