using Henge.Core;

namespace Henge.Raft;

// The conditions that safety rests on, as the paper and the thesis state them, and what each is with its bug on purpose.
public sealed partial class RaftGroup
{
    /// <summary>Up to where entries may be applied: what is committed (Raft paper, section 5.3).</summary>
    private LogIndex MayBeApplied => AppliesBeforeCommit ? _log.LastIndex : _commit;

    /// <summary>What this node counts itself for in a majority: what it has synced (Raft thesis, section 10.2.1).</summary>
    private LogIndex OwnMatch => AcknowledgesBeforeSync ? _log.LastIndex : _persist.PersistedIndex;

    /// <summary>A leader may serve reads once an entry of its own term is committed (Raft thesis, section 6.4).</summary>
    private bool MayServeReads => IsOwnTermCommitted || ReadsBeforeOwnEntry;

    /// <summary>A leader commits by counting replicas only what is of its own term (Raft paper, section 5.4.2).</summary>
    private bool MayBeCommittedByCounting(LogIndex index) => _log.TermAt(index) == Term || CommitsOlderTerms;

    /// <summary>A vote goes only to whose log is at least as up to date (Raft paper, section 5.4.1).</summary>
    private bool IsUpToDate(LogIndex lastIndex, Term lastTerm) =>
        (_log.IsUpToDate(lastIndex, lastTerm) && (!Forgotten.IsAheadOf(lastIndex, lastTerm) || ForgetsDropped)) || VotesForStaleLogs;

    /// <summary>
    /// The log here is not yet what it was before this replica dropped it. Memberships in it may be long gone, and count this node among
    /// their voters.
    /// </summary>
    private bool LacksForgotten => Forgotten.IsAheadOf(_log.LastIndex, _log.LastTerm) && !ForgetsDropped;

    /// <summary>There is one vote in a term (Raft paper, section 5.2): never again.</summary>
    private bool MayVoteAgain(RequestVote request) => VotesTwice && request.Term == Term && Role != RaftRole.Leader;

    /// <summary>What speaks of state leaves after the sync of it.</summary>
    private bool IsSynced(ulong ticket) => _persist.Done >= ticket || AcknowledgesBeforeSync;
}
