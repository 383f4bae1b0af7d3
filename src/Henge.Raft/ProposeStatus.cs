using Henge.Core;

namespace Henge.Raft;

/// <summary>What became of a proposal.</summary>
public enum ProposeStatus : byte
{
    /// <summary>
    /// It stands in the leader's log. Committed it is only when an entry with the same index <em>and term</em> comes out to be applied.
    /// </summary>
    Accepted = 0,

    /// <summary>This node does not lead; nothing was done.</summary>
    NotLeader = 1,

    /// <summary>Too many uncommitted bytes are under way; nothing was done. Try again when some have been committed.</summary>
    Busy = 2,

    /// <summary>Leadership is being handed over; nothing was done. Try again at once, at the new leader.</summary>
    Transferring = 3,

    /// <summary>The data is over <see cref="RaftOptions.EntryLimitBytes"/>; nothing was done.</summary>
    TooLarge = 4,
}
