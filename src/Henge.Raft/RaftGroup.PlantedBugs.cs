using Henge.Core;

namespace Henge.Raft;

// Bugs on purpose, each with a name that the rules can say. False outside of the simulator and of tests (PlantedBugs.AreAllowed).
public sealed partial class RaftGroup
{
    /// <summary>Grants every vote, even two in one term.</summary>
    private bool VotesTwice => HasBug(RaftBugs.VoteTwiceInTerm);

    /// <summary>Counts replicas of an older term's entry to commit it (Raft paper, figure 8).</summary>
    private bool CommitsOlderTerms => HasBug(RaftBugs.CommitOlderTermByCounting);

    /// <summary>Append acknowledgements and votes leave before the sync that they speak of.</summary>
    private bool AcknowledgesBeforeSync => HasBug(RaftBugs.AckBeforeSync);

    /// <summary>Reads are granted without a proof of leadership.</summary>
    private bool SkipsReadBarrier => HasBug(RaftBugs.SkipReadBarrier);

    /// <summary>Changes of term and vote are not handed out to be persisted.</summary>
    private bool ForgetsHardState => HasBug(RaftBugs.ForgetHardState);

    /// <summary>Votes for candidates whose log is behind.</summary>
    private bool VotesForStaleLogs => HasBug(RaftBugs.VoteForStaleLog);

    /// <summary>A follower takes the leader's commit index without looking at what it has.</summary>
    private bool CommitsBeyondMatch => HasBug(RaftBugs.CommitBeyondMatch);

    /// <summary>A new leader serves reads before its own entry is committed.</summary>
    private bool ReadsBeforeOwnEntry => HasBug(RaftBugs.ReadBeforeOwnEntry);

    /// <summary>A majority of the new members alone decides while membership is joint.</summary>
    private bool IgnoresOutgoingMajority => HasBug(RaftBugs.IgnoreOutgoingMajority);

    /// <summary>A leader keeps its lease after it has begun to hand leadership over.</summary>
    private bool KeepsLeaseInTransfer => HasBug(RaftBugs.KeepLeaseInTransfer);

    /// <summary>A follower that finds a conflict keeps its own entry.</summary>
    private bool KeepsConflicts => HasBug(RaftBugs.KeepConflictingEntry);

    /// <summary>Entries are applied before they are committed.</summary>
    private bool AppliesBeforeCommit => HasBug(RaftBugs.ApplyBeforeCommit);

    /// <summary>The promise to a leader is counted in ticks, which may come late and then all at once.</summary>
    private bool PromisesByTicks => HasBug(RaftBugs.PromiseByTicks);

    /// <summary>Only a node that uses leases itself keeps, after a restart, the promise of before it.</summary>
    private bool PromisesOnlyWithLeases => HasBug(RaftBugs.PromiseOnlyWithLeases);

    /// <summary>A replica that has dropped its log votes as if it had never had one.</summary>
    private bool ForgetsDropped => HasBug(RaftBugs.ForgetDroppedLog);

    /// <summary>What a member acknowledged before it left and came back counts.</summary>
    private bool CountsEarlierLives => HasBug(RaftBugs.CountEarlierLives);

    /// <summary>A learner becomes a voter whatever it has.</summary>
    private bool PromotesAnyLearner => HasBug(RaftBugs.PromoteBeforeCaughtUp);

    /// <summary>A voter that is silent is replaced at once, without the majority that it belongs to.</summary>
    private bool ReplacesSilentAtOnce => HasBug(RaftBugs.ReplaceSilentAtOnce);

    /// <summary>A change of the membership begins while another one is under way.</summary>
    private bool ChangesWhileJoint => HasBug(RaftBugs.ChangeWhileJoint);

    /// <summary>Learners count in the majority that commits.</summary>
    private bool CountsLearners => HasBug(RaftBugs.CountLearners);

    /// <summary>Learners, and members of before the last change, are asked for their votes, and these count.</summary>
    private bool LetsRemovedVote => HasBug(RaftBugs.LetRemovedVote);

    /// <summary>Who counts when something is committed.</summary>
    private Membership Counted =>
        CountsLearners && !Membership.IsJoint ? new Membership([.. Membership.Voters, .. Membership.Learners], []) : Membership;

    /// <summary>Who is asked for votes.</summary>
    private IEnumerable<NodeId> Electors => LetsRemovedVote
        ? Membership.All.Concat(_memberships.Previous?.All ?? []).Distinct()
        : Membership.All.Where(Membership.IsVoter);

    // Whoever the votes are of.
    private bool IsElectedByAnybody => LetsRemovedVote && _votes.Count(static v => v.IsGranted) > Membership.Voters.Count / 2;

    private bool HasBug(RaftBugs bug) => PlantedBugs.AreAllowed && (_options.Bugs & bug) != 0;
}
