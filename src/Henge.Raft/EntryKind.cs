using Henge.Core;

namespace Henge.Raft;

/// <summary>What an entry of the log is for. The numbers are on the wire and on disk: never change one.</summary>
public enum EntryKind : byte
{
    /// <summary>The caller's own data, for its state machine.</summary>
    Normal = 0,

    /// <summary>
    /// Appended by a leader when it is elected, so that it has an entry of its own term to commit (Raft paper, section 8).
    /// </summary>
    Empty = 1,

    /// <summary>
    /// A <see cref="Raft.Membership"/>, in force on a node from the moment it stands in that node's log (Raft paper, section 6).
    /// </summary>
    Membership = 2,
}
