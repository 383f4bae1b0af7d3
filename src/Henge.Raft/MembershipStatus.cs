using Henge.Core;

namespace Henge.Raft;

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

    /// <summary>
    /// A learner is too far behind to become a voter (<see cref="RaftOptions.PromotionLagEntries"/>), or has not even the membership in
    /// force.
    /// </summary>
    NotCaughtUp = 8,

    /// <summary>The id has belonged to a member that left, and ids are never used again.</summary>
    IdRetired = 9,
}
