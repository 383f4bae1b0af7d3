namespace Henge.Raft;

/// <summary>
/// Bugs on purpose. Each is one predicate (<c>RaftGroup.PlantedBugs.cs</c>); the simulator switches one on and must find it.
/// </summary>
[Flags]
internal enum RaftBugs
{
    /// <summary>No planted bug.</summary>
    None = 0,
    /// <summary>Grants every vote, even two in one term.</summary>
    VoteTwiceInTerm = 1 << 0,
    /// <summary>Counts replicas of an older term's entry to commit it (Raft paper, figure 8).</summary>
    CommitOlderTermByCounting = 1 << 1,
    /// <summary>Append acknowledgements and votes leave before the sync that they speak of.</summary>
    AckBeforeSync = 1 << 2,
    /// <summary>Reads are granted without a proof of leadership.</summary>
    SkipReadBarrier = 1 << 3,
    /// <summary>Changes of term and vote are not handed out to be persisted.</summary>
    ForgetHardState = 1 << 4,
    /// <summary>Votes for candidates whose log is behind.</summary>
    VoteForStaleLog = 1 << 5,
    /// <summary>A follower takes the leader's commit index without looking at what it has.</summary>
    CommitBeyondMatch = 1 << 6,
    /// <summary>A new leader serves reads before its own entry is committed.</summary>
    ReadBeforeOwnEntry = 1 << 7,
    /// <summary>A majority of the new members alone decides while membership is joint.</summary>
    IgnoreOutgoingMajority = 1 << 8,
    /// <summary>A leader keeps its lease after it has begun to hand leadership over.</summary>
    KeepLeaseInTransfer = 1 << 9,
    /// <summary>A follower that finds a conflict keeps its own entry.</summary>
    KeepConflictingEntry = 1 << 10,
    /// <summary>Entries are applied before they are committed.</summary>
    ApplyBeforeCommit = 1 << 11,
    /// <summary>The promise to a leader is counted in ticks, which may come late and then all at once.</summary>
    PromiseByTicks = 1 << 12,
    /// <summary>Only a node that uses leases itself keeps, after a restart, the promise of before it.</summary>
    PromiseOnlyWithLeases = 1 << 13,
    /// <summary>A replica that has dropped its log votes as if it had never had one.</summary>
    ForgetDroppedLog = 1 << 14,
    /// <summary>What a member acknowledged before it left and came back counts.</summary>
    CountEarlierLives = 1 << 15,
    /// <summary>A learner becomes a voter whatever it has.</summary>
    PromoteBeforeCaughtUp = 1 << 16,
    /// <summary>
    /// A voter that is silent is replaced at once, without the majority that it belongs to: it may be slow only, and still acknowledge.
    /// </summary>
    ReplaceSilentAtOnce = 1 << 17,
    /// <summary>A change of the membership begins while another one is under way.</summary>
    ChangeWhileJoint = 1 << 18,
    /// <summary>Learners count in the majority that commits.</summary>
    CountLearners = 1 << 19,
    /// <summary>Learners, and members of before the last change, are asked for their votes, and these count.</summary>
    LetRemovedVote = 1 << 20,
}
