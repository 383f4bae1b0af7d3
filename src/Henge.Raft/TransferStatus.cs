using Henge.Core;

namespace Henge.Raft;

/// <summary>What became of a wish to hand leadership over.</summary>
public enum TransferStatus : byte
{
    /// <summary>Under way: it ends with a new leader, or after an election timeout with the old one.</summary>
    Started = 0,

    /// <summary>This node does not lead.</summary>
    NotLeader = 1,

    /// <summary>The target is this node: nothing to do.</summary>
    AlreadyLeader = 2,

    /// <summary>The target is not a voter.</summary>
    NotAVoter = 3,

    /// <summary>Another transfer is under way.</summary>
    AlreadyTransferring = 4,
}
