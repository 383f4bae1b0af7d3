using Henge.Core;

namespace Henge.Node.Api;

/// <summary>How a read is made sure of.</summary>
public enum ReadConsistency : byte
{
    /// <summary>As the node is set.</summary>
    Default,
    /// <summary>By ReadIndex (Raft thesis, section 6.4).</summary>
    Linearizable,
    /// <summary>By the leader's lease.</summary>
    Lease,
    /// <summary>Whatever this node has applied.</summary>
    Stale,
}
