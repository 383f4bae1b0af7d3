using Henge.Node.Context;
using Henge.Raft;
using Henge.Storage.Lsm;
using Henge.Storage.Lsm.Settings;

namespace Henge.Simulation;

/// <summary>Deliberate bugs. A campaign that does not find each of them proves nothing.</summary>
public enum Canary
{
    None,
    VoteTwiceInTerm,
    CommitOlderTermByCounting,
    AckBeforeSync,
    SkipReadBarrier,
    ForgetHardState,
    VoteForStaleLog,
    CommitBeyondMatch,
    ReadBeforeOwnEntry,
    KeepConflictingEntry,
    IgnoreOutgoingMajority,
    ApplyBeforeCommit,
    DropSessionsFromSnapshot,
    ForgetSessions,
    LoseWatchEventAtSeam,
    ReuseVersion,
    SkipScanBarrier,
    AgreeWithAnyLeader,
    RequeueBehind,
    TakeForwardsOfAnyTerm,
    TakeForwardsInAnyOrder,
    ReadBesideOwnWrites,
    HelloNotCompared,
    WriteUncheckedEdits,
    OutputsForgetLaterDrops,
    TrustOwnClock,
    ExpireByOwnClock,
    RepeatAfterSessionEnd,
    RepeatForgottenFirst,
    VouchForHungWorkers,
    WatchBeforeJoining,
    LeadBeforeCluster,
    PromiseByTicks,
    PromiseOnlyWithLeases,
    ForgetStartOfHeartbeats,
    ClockStopsInSuspend,
    AnswerForHungWorkers,
    RepeatHashIncrements,
    KeepEmptiedHash,
    LoseHashDeltaInBatch,
    DropTypesFromSnapshot,
    ApplyPastDamage,
    AnswerFromDamaged,
    ForgetVoidedNumbers,
    OverlookDeletionsInExec,
    ReopenWatchTooLate,
    TakePositionsBehindGap,
    TakeEventsTwice,
    DropBeforeCommitted,
    ForgetVotesOfDropped,
    ForgetDroppedLog,
    PromoteBeforeCaughtUp,
    AnswerForwardsUnproven,
    PageBeforeClosed,
    AnswerForForeignShards,
    NameLeaderOfAnotherTerm,
    GiveNumbersTwice,
    HearMembersThatLeft,
    UpBeforeCaughtUp,
    LeaveLearnersBehind,
    TrustFirstPlan,
    ReplaceSilentAtOnce,
    LeaveWhileCountedOn,
    JudgeChangesAlone,
    LoseAccessChanges,
    KeepEndedElections,
    ChangeWhileJoint,
    CountLearners,
    LetRemovedVote,
    ForgetSessionsInMove,
    ResumeOnOtherSnapshot,
    TrustOldChecks,
    HearTheLost,
    RecoverBeforeSync,
}

/// <summary>Which switch a canary is.</summary>
internal static class Canaries
{
    public static bool IsRaft(this Canary canary) => Enum.TryParse<RaftBugs>(canary.ToString(), out _);

    public static RaftBugs RaftBug(this Canary canary) => Enum.Parse<RaftBugs>(canary.ToString());

    public static NodeBugs NodeBug(this Canary canary) => Enum.TryParse(canary.ToString(), out NodeBugs bug) ? bug : NodeBugs.None;

    public static StorageBugs StorageBug(this Canary canary) =>
        Enum.TryParse(canary.ToString(), out StorageBugs bug) ? bug : StorageBugs.None;

    /// <summary>Whether it has to do with shards that are elsewhere, or move: looked for where they do.</summary>
    public static bool IsOfMoves(this Canary canary) => canary is Canary.DropBeforeCommitted or Canary.ForgetVotesOfDropped
        or Canary.ForgetDroppedLog or Canary.PromoteBeforeCaughtUp or Canary.AnswerForwardsUnproven or Canary.PageBeforeClosed
        or Canary.AnswerForForeignShards or Canary.NameLeaderOfAnotherTerm or Canary.ReplaceSilentAtOnce
        or Canary.ChangeWhileJoint or Canary.CountLearners or Canary.LetRemovedVote or Canary.ForgetSessionsInMove
        or Canary.ResumeOnOtherSnapshot;

    /// <summary>Whether it has to do with plans: looked for where a cluster plans for itself.</summary>
    public static bool IsOfPlans(this Canary canary) => canary is Canary.LeaveLearnersBehind or Canary.TrustFirstPlan
        or Canary.LeaveWhileCountedOn or Canary.JudgeChangesAlone
        or Canary.LoseAccessChanges or Canary.TrustOldChecks;

    /// <summary>Whether it has to do with nodes that join a cluster that plans for itself.</summary>
    public static bool IsOfJoins(this Canary canary) => false;

    /// <summary>Whether it has to do with recoveries: looked for where there is one.</summary>
    public static bool IsOfRecovery(this Canary canary) => canary is Canary.HearTheLost or Canary.RecoverBeforeSync;

    /// <summary>Within how many seeds it must be found.</summary>
    public static int Budget(this Canary canary) => canary switch
    {
        Canary.CommitOlderTermByCounting or Canary.IgnoreOutgoingMajority or Canary.SkipReadBarrier
            or Canary.ResumeOnOtherSnapshot => 600,
        Canary.RepeatAfterSessionEnd or Canary.ReadBeforeOwnEntry or Canary.AgreeWithAnyLeader or Canary.ReplaceSilentAtOnce
            or Canary.AnswerForHungWorkers or Canary.AnswerFromDamaged => 300,
        Canary.LeadBeforeCluster => 500,
        _ => 100,
    };
}
