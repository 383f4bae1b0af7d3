using Henge.Core;

namespace Henge.Raft;

// Commit and apply: Raft paper, sections 5.3 and 5.4.2.
public sealed partial class RaftGroup
{
    // Entries up to here have been handed out to be applied.
    private LogIndex _handedOut;
    private bool _applyIsPending;

    /// <summary>
    /// The state machine has applied everything up to an index. The next entries are handed out when all that were handed out are applied.
    /// </summary>
    public void Applied(LogIndex index)
    {
        if (index <= AppliedIndex)
        {
            return;
        }

        Invariant.Check(index <= _handedOut, "applied what was never handed out");
        AppliedIndex = index;
        TrimRecentEntries();
    }

    /// <summary>
    /// Forgets entries up to and including an applied index, because a snapshot or the state machine's own durable state covers them. The
    /// caller drops them from its persisted log after this call. An index that is already compacted, or 0, does nothing.
    /// </summary>
    public void Compact(LogIndex index)
    {
        if (index <= _log.CompactedIndex)
        {
            return;
        }

        Invariant.Check(index <= AppliedIndex && index <= _persist.PersistedIndex, "only what is applied and persisted can be compacted");
        _log.CompactThrough(index);
        _memberships.CompactThrough(index);
        _lastSlice = default;
    }

    /// <summary>
    /// Up to where the log can be compacted without making any member that still answers wait for a snapshot: at most the applied index.
    /// The caller may go further when the log grows too long.
    /// </summary>
    public LogIndex CompactionHint
    {
        get
        {
            LogIndex hint = AppliedIndex;
            foreach (Progress p in _progress)
            {
                LogIndex needed = p.State == PeerState.Snapshot && p.PendingSnapshot > p.Match ? p.PendingSnapshot : p.Match;
                if (p.Id != _self && (p.IsRecentlyActive || p.State == PeerState.Snapshot) && needed < hint)
                {
                    hint = needed;
                }
            }

            return hint;
        }
    }

    internal bool IsOwnTermCommitted => Role == RaftRole.Leader && _commit >= _termStart;

    private bool CanHandOut => !_applyIsPending && _handedOut == AppliedIndex && _handedOut < ApplyLimit;

    private LogIndex ApplyLimit
    {
        get
        {
            // Not before it is durable here: a state machine must never be ahead of its own log.
            LogIndex committed = MayBeApplied;
            return committed < _persist.PersistedIndex ? committed : _persist.PersistedIndex;
        }
    }

    /// <summary>The leader's own copy counts like any other: when it is durable (thesis, section 10.2.1).</summary>
    private void OwnLogPersisted()
    {
        if (Role == RaftRole.Leader && ProgressOf(_self) is { } own && own.Acknowledge(OwnMatch))
        {
            AdvanceCommit();
        }
    }

    private void AdvanceCommit()
    {
        LogIndex reached = new(
            QuorumMath.Reached(Counted, this, static (group, id) => group.ProgressOf(id)?.Match.Value ?? 0, IgnoresOutgoingMajority));
        if (reached.Value == ulong.MaxValue || reached <= _commit)
        {
            return;
        }

        // An older term's entry on a majority can still be replaced (Raft paper, figure 8): only an entry of one's own term commits, and
        // everything before it along with it.
        if (!MayBeCommittedByCounting(reached))
        {
            return;
        }

        CommitTo(reached);
    }

    private void CommitTo(LogIndex index)
    {
        if (index <= _commit)
        {
            return;
        }

        Invariant.Check(index <= _log.LastIndex, "commits what is not in the log");
        LogIndex before = _commit;
        _commit = index;
        NoteSettledTerm(index);
        if (Role != RaftRole.Leader)
        {
            return;
        }

        for (LogIndex at = before.Next; at <= index && _uncommittedBytes > 0; at = at.Next)
        {
            if (at >= _termStart && _log.IsRecent(at) && _log.Recent(at).Kind == EntryKind.Normal)
            {
                _uncommittedBytes -= _log.Recent(at).SizeBytes;
            }
        }

        Invariant.Check(_uncommittedBytes >= 0, "more was committed than was proposed");
        if (before < _termStart && index >= _termStart)
        {
            StartDeferredReads();
        }

        ContinueMembershipChange();
    }

    private void HandOutCommitted()
    {
        if (!CanHandOut)
        {
            return;
        }

        LogReadStatus status = _log.Read(_handedOut.Next, ApplyLimit, _options.ApplyLimitBytes, _ready.CommittedList);
        if (status == LogReadStatus.Pending)
        {
            _applyIsPending = true;
            return;
        }

        _handedOut = _ready.CommittedList[^1].Index;
        Invariant.Check(_handedOut <= MayBeApplied, "only what is committed is applied");
    }

    private void TrimRecentEntries()
    {
        LogIndex through = AppliedIndex < _persist.PersistedIndex ? AppliedIndex : _persist.PersistedIndex;
        _log.TrimRecent(through, _options.RecentEntriesLimitBytes);
        foreach (Progress p in _progress)
        {
            if (p.Id != _self && p.IsRecentlyActive && p.Match < through)
            {
                through = p.Match;
            }
        }

        _log.TrimRecent(through, _options.SettledEntriesLimitBytes);
    }
}
