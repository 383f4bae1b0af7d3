using Henge.Core;

namespace Henge.Raft;

/// <summary>
/// What a node knows about its group when it starts, read back from its disk; beside it goes the log (<see cref="IRaftLog"/>).
/// </summary>
public sealed class RestoredState
{
    /// <summary>Term and vote as last persisted; the default for a node that has never run.</summary>
    public HardState HardState { get; init; }

    /// <summary>
    /// The membership as of <see cref="MembershipIndex"/>: from the state machine or its snapshot, or the agreed first one, the same on
    /// every node, for a new group. Later ones are found in the log.
    /// </summary>
    public required Membership Membership { get; init; }

    /// <summary>
    /// The index that <see cref="Membership"/> is of: any that is at most <see cref="Applied"/>; 0 for the first membership.
    /// </summary>
    public LogIndex MembershipIndex { get; init; }

    /// <summary>What an earlier life of this replica had and dropped; none for most.</summary>
    public ForgottenLog Forgotten { get; init; }

    /// <summary>What the clock of <see cref="RaftGroup.SetClock"/> shows when the group is made; 0 when the node starts with it.</summary>
    public ulong Clock { get; init; }

    /// <summary>The last entry that the state machine has applied durably. Must lie between the log's compacted and last index.</summary>
    public LogIndex Applied { get; init; }
}
