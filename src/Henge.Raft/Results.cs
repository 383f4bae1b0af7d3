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

/// <summary>What became of a proposal, and where it stands.</summary>
/// <param name="Status">Whether it was taken.</param>
/// <param name="Index">Of the (last) entry when accepted.</param>
/// <param name="Term">The term that it was accepted in.</param>
/// <param name="LeaderHint">Who leads, as far as this node knows, when it was not accepted.</param>
public readonly record struct ProposeResult(ProposeStatus Status, LogIndex Index, Term Term, NodeId LeaderHint)
{
    /// <summary>True for <see cref="ProposeStatus.Accepted"/>.</summary>
    public bool IsAccepted => Status == ProposeStatus.Accepted;
}

/// <summary>What became of a change of membership.</summary>
public enum MembershipStatus : byte
{
    /// <summary>
    /// It stands in the leader's log, and is in force there. It is done when <see cref="RaftGroup.Membership"/> is no longer joint and
    /// committed.
    /// </summary>
    Accepted = 0,

    /// <summary>This node does not lead.</summary>
    NotLeader = 1,

    /// <summary>The change before this one is not finished.</summary>
    ChangePending = 2,

    /// <summary>The leader has not yet committed an entry of its own term, so it cannot know which change is the last.</summary>
    LeaderNotReady = 3,

    /// <summary>Leadership is being handed over.</summary>
    Transferring = 4,

    /// <summary>Nothing would change.</summary>
    Unchanged = 5,

    /// <summary>
    /// No voter would remain, an id is 0 or named twice, or there are more members than <see cref="Membership.MaxMembers"/>.
    /// </summary>
    Invalid = 6,

    /// <summary>A new voter must have been a learner first.</summary>
    NotALearner = 7,

    /// <summary>A learner is too far behind to become a voter (<see cref="RaftOptions.PromotionLagEntries"/>).</summary>
    NotCaughtUp = 8,

    /// <summary>The id has belonged to a member that left, and ids are never used again.</summary>
    IdRetired = 9,
}

/// <summary>What became of a change of membership, and where it stands.</summary>
/// <param name="Status">Whether it was taken.</param>
/// <param name="Index">Of the entry, when accepted.</param>
/// <param name="Term">The term that it was accepted in.</param>
/// <param name="LeaderHint">Who leads, as far as this node knows.</param>
public readonly record struct MembershipResult(MembershipStatus Status, LogIndex Index, Term Term, NodeId LeaderHint)
{
    /// <summary>True for <see cref="MembershipStatus.Accepted"/>.</summary>
    public bool IsAccepted => Status == MembershipStatus.Accepted;
}

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

/// <summary>A read that may be served as soon as everything up to an index is applied.</summary>
/// <param name="RequestId">As given to <see cref="RaftGroup.RequestRead"/>.</param>
/// <param name="Index">Wait until this index is applied, then read.</param>
public readonly record struct ReadGrant(ulong RequestId, LogIndex Index);

/// <summary>How replication to a peer stands.</summary>
public enum PeerState : byte
{
    /// <summary>The leader looks for the point where the logs agree: one append at a time.</summary>
    Probe = 0,

    /// <summary>Appends are sent optimistically, as many as the window holds.</summary>
    Replicate = 1,

    /// <summary>A snapshot is on its way; nothing else is sent.</summary>
    Snapshot = 2,
}

/// <summary>How a leader sees a peer, for status pages and tests.</summary>
/// <param name="Id">The peer.</param>
/// <param name="State">How replication stands.</param>
/// <param name="Match">The last index known to be durable there and equal to the leader's.</param>
/// <param name="Next">The next index to be sent.</param>
/// <param name="IsRecentlyActive">Heard from since the leader last checked its quorum.</param>
/// <param name="IsLearner">Does not vote.</param>
public readonly record struct PeerStatus(NodeId Id, PeerState State, LogIndex Match, LogIndex Next, bool IsRecentlyActive, bool IsLearner);
