using Henge.Core;

namespace Henge.Raft;

// Replication and flow control: Raft paper, section 5.3; pipelining: thesis, section 10.2.
public sealed partial class RaftGroup
{
    // Sorted by id, so that messages come out in the same order every time.
    private readonly List<Progress> _progress = [];
    private LogIndex _termStart;
    private int _heartbeatElapsed;
    private bool _isHeartbeatDue;
    private bool _isReplicationDue;
    private long _uncommittedBytes;

    // Followers that are equally far along get the same array of entries.
    private (LogIndex From, LogIndex Last, Entry[] Entries) _lastSlice;

    /// <summary>
    /// Proposes an entry. Taken only by the leader; replication to the followers and the leader's own write go on side by side.
    /// Accepted does not mean committed: see <see cref="ProposeStatus.Accepted"/>.
    /// </summary>
    /// <param name="data">Not copied: must not change until the entry has been applied or replaced.</param>
    public ProposeResult Propose(ReadOnlyMemory<byte> data) => Propose(new ReadOnlySpan<ReadOnlyMemory<byte>>(in data));

    /// <summary>Proposes entries, one right after the other: all of them or none. The result's index is that of the last.</summary>
    public ProposeResult Propose(ReadOnlySpan<ReadOnlyMemory<byte>> batch)
    {
        if (Role != RaftRole.Leader)
        {
            return new ProposeResult(ProposeStatus.NotLeader, default, Term, Leader);
        }

        if (!_transferTarget.IsNone)
        {
            return new ProposeResult(ProposeStatus.Transferring, default, Term, _transferTarget);
        }

        Invariant.Check(!batch.IsEmpty, "an empty batch");
        long bytes = 0;
        foreach (ReadOnlyMemory<byte> data in batch)
        {
            if (data.Length > _options.EntryLimitBytes)
            {
                return new ProposeResult(ProposeStatus.TooLarge, default, Term, Leader);
            }

            bytes += Entry.OverheadBytes + data.Length;
        }

        // One is always let in, however large: otherwise what is larger than the limit could never be written.
        if (_uncommittedBytes > 0 && _uncommittedBytes + bytes > _options.UncommittedLimitBytes)
        {
            return new ProposeResult(ProposeStatus.Busy, default, Term, Leader);
        }

        foreach (ReadOnlyMemory<byte> data in batch)
        {
            AppendOwn(EntryKind.Normal, data);
        }

        _uncommittedBytes += bytes;
        return new ProposeResult(ProposeStatus.Accepted, _log.LastIndex, Term, Leader);
    }

    /// <summary>Older entries that were <see cref="LogReadStatus.Pending"/> can be read now.</summary>
    public void LogAvailable()
    {
        _applyIsPending = false;
        foreach (Progress progress in _progress)
        {
            _isReplicationDue |= progress.IsWaitingForLog;
            progress.IsWaitingForLog = false;
        }
    }

    /// <summary>How this leader sees the other members, sorted by id; nothing on nodes that do not lead.</summary>
    public void GetPeers(List<PeerStatus> into)
    {
        into.Clear();
        foreach (Progress p in _progress)
        {
            if (p.Id != _self)
            {
                into.Add(new PeerStatus(p.Id, p.State, p.Match, p.Next, p.IsRecentlyActive, Membership.IsLearner(p.Id)));
            }
        }
    }

    private void AppendOwn(EntryKind kind, ReadOnlyMemory<byte> data)
    {
        _log.Append(new Entry(_log.LastIndex.Next, Term, kind, data));
        _isReplicationDue = true;
    }

    private void EnterLeadership()
    {
        _uncommittedBytes = 0;
        _heartbeatElapsed = _options.AlignHeartbeats ? (int)(_ticks % (ulong)_options.HeartbeatTicks) : 0;
        _lastSlice = default;
        _progress.Clear();
        // Optimistic: most members have everything; the first append tells.
        SyncProgressWithMembership(_log.LastIndex.Next, LogIndex.Zero);
        _termStart = _log.LastIndex.Next;
        AppendOwn(EntryKind.Empty, default);
        OwnLogPersisted();
    }

    private void LeaveLeadership()
    {
        _progress.Clear();
        _lastSlice = default;
        _isHeartbeatDue = false;
        _isOwnHeartbeatWanted = false;
        _isReplicationDue = false;
        ForgetProofs();
        _uncommittedBytes = 0;
        EndTransfer();
        _isLeaseVoid = false;
    }

    private void TickLeader(int ticks)
    {
        if (_electionElapsed >= QuorumTicks)
        {
            _electionElapsed = 0;
            EndTransfer();
            CheckQuorum();
            if (Role != RaftRole.Leader)
            {
                return;
            }
        }

        foreach (Progress progress in _progress)
        {
            _isReplicationDue |= progress.IsWaitingForLog;
            progress.IsWaitingForLog = false;
        }

        _heartbeatElapsed += ticks;
        if (_heartbeatElapsed >= _options.HeartbeatTicks)
        {
            _heartbeatElapsed %= _options.HeartbeatTicks;
            _isHeartbeatDue = true;
            AskForProofAgain();
        }
    }

    private Progress? ProgressOf(NodeId id)
    {
        foreach (Progress progress in _progress)
        {
            if (progress.Id == id)
            {
                return progress;
            }
        }

        return null;
    }

    private void SyncProgressWithMembership(LogIndex next, LogIndex countsFrom)
    {
        for (int i = _progress.Count - 1; i >= 0; i--)
        {
            if (!Membership.IsMember(_progress[i].Id))
            {
                _progress.RemoveAt(i);
            }
        }

        foreach (NodeId id in Membership.All)
        {
            if (ProgressOf(id) is null)
            {
                // A newcomer counts as heard from until the next check, or it could bring the leader down before it had a chance to answer.
                _progress.Add(
                    new Progress(id, next, _options.InflightLimitMessages, _options.InflightLimitBytes, countsFrom)
                    {
                        IsRecentlyActive = true,
                    });
            }
        }

        _progress.Sort(static (a, b) => a.Id.CompareTo(b.Id));
        _isReplicationDue = true;
    }

    /// <summary>
    /// Puts appends, heartbeats and news of commits into the outbox: once for each Ready, so that everything that came since the last goes
    /// together.
    /// </summary>
    private void SendToPeers()
    {
        if (Role != RaftRole.Leader)
        {
            return;
        }

        if (_isReplicationDue)
        {
            _isReplicationDue = false;
            foreach (Progress progress in _progress)
            {
                if (progress.Id != _self)
                {
                    Replicate(progress);
                }
            }
        }

        foreach (Progress progress in _progress)
        {
            if (progress.Id == _self)
            {
                continue;
            }

            LogIndex commit = progress.Match < _commit ? progress.Match : _commit;
            if (CommitsBeyondMatch)
            {
                commit = _commit;
            }

            bool isDue = _isHeartbeatDue && !IsCoveredBySharedHeartbeat(progress);
            if (isDue || progress.SentCommit < commit)
            {
                progress.SentCommit = commit;
                if (isDue)
                {
                    progress.OnCommitSent(commit, Now);
                }

                _outbox.Add(new Heartbeat
                {
                    From = _self,
                    To = progress.Id,
                    Term = Term,
                    Commit = commit,
                    WantsResponse = isDue,
                    ReadSequence = isDue && _reads.IsWaiting ? _reads.LastSequence : 0,
                    SentTick = isDue ? Now + 1 : 0,
                });
            }
        }

        _isHeartbeatDue = false;
        _isOwnHeartbeatWanted = false;
        SendTimeoutNow();
    }

    private void Replicate(Progress progress)
    {
        while (progress.State != PeerState.Snapshot && !(progress.State == PeerState.Probe && progress.IsProbePaused))
        {
            LogIndex prev = new(progress.Next.Value - 1);
            if (_log.TermAt(prev) is not { } prevTerm)
            {
                AskForSnapshot(progress);
                return;
            }

            Entry[] entries = [];
            bool isWindowFull = progress.State == PeerState.Replicate && progress.Inflights.IsFull;
            if (!isWindowFull && progress.Next <= _log.LastIndex && !TryGetEntries(progress, out entries))
            {
                return;
            }

            // With a full window, an empty append still goes out when asked for: it finds out whether what is in flight was lost.
            if (entries.Length == 0 && !progress.WantsEmptyAppend)
            {
                return;
            }

            progress.WantsEmptyAppend = false;
            LogIndex last = new(prev.Value + (ulong)entries.Length);
            _outbox.Add(
                new AppendEntries
                {
                    From = _self,
                    To = progress.Id,
                    Term = Term,
                    PrevIndex = prev,
                    PrevTerm = prevTerm,
                    Commit = _commit,
                    Entries = entries,
                });
            LogIndex usable = last < _commit ? last : _commit;
            if (usable > progress.SentCommit)
            {
                progress.SentCommit = usable;
            }

            if (entries.Length == 0)
            {
                progress.IsProbePaused = true;
                return;
            }

            long bytes = 0;
            foreach (Entry entry in entries)
            {
                bytes += entry.SizeBytes;
            }

            progress.Sent(last, bytes);
        }
    }

    private bool TryGetEntries(Progress progress, out Entry[] entries)
    {
        if (_lastSlice.From == progress.Next && _lastSlice.Last == _log.LastIndex && _lastSlice.Entries is not null)
        {
            entries = _lastSlice.Entries;
            return true;
        }

        if (
            _log.Slice(progress.Next, _log.LastIndex, _options.AppendLimitBytes, RaftMessageCodec.MaxEntries, out entries)
            == LogReadStatus.Pending)
        {
            progress.IsWaitingForLog = true;
            return false;
        }

        _lastSlice = (progress.Next, _log.LastIndex, entries);
        return true;
    }

    private void OnAppendEntries(AppendEntries m)
    {
        // What is committed agrees with every later leader's log, so there is nothing to compare.
        if (m.PrevIndex < _commit)
        {
            Acknowledge(m.From, _commit);
            return;
        }

        if (_log.TermAt(m.PrevIndex) != m.PrevTerm)
        {
            // The hint skips whole terms: the last index here whose term is not beyond the leader's. Nothing above it can agree.
            LogIndex hint = _log.LastAtOrBelow(m.PrevIndex, m.PrevTerm);
            _outbox.Add(new AppendEntriesResponse
            {
                From = _self,
                To = m.From,
                Term = Term,
                IsRejected = true,
                Index = m.PrevIndex,
                HintIndex = hint,
                HintTerm = _log.TermAt(hint) ?? Term.Zero,
            });
            return;
        }

        foreach (Entry entry in m.Entries.Span)
        {
            if (entry.Index <= _log.LastIndex)
            {
                if (_log.TermAt(entry.Index) == entry.Term || KeepsConflicts)
                {
                    continue;
                }

                TruncateFrom(entry.Index);
            }

            _log.Append(entry);
            if (entry.Kind == EntryKind.Membership)
            {
                _memberships.Append(entry.Index, DecodeMembership(entry));
                _membershipChanged = true;
            }
        }

        LogIndex last = new(m.PrevIndex.Value + (ulong)m.Entries.Length);
        LogIndex shared = CommitsBeyondMatch ? _log.LastIndex : last;
        CommitTo(m.Commit < shared ? m.Commit : shared);
        Acknowledge(m.From, last);
    }

    private void TruncateFrom(LogIndex index)
    {
        Invariant.Check(index > _commit, "a committed entry is never replaced (Raft paper, figure 3: state machine safety)");
        _log.TruncateFrom(index);
        _persist.Truncated(index);
        _membershipChanged |= _memberships.TruncateFrom(index);
    }

    /// <summary>Tells the leader that everything up to an index is here and durable; leaves when it is.</summary>
    private void Acknowledge(NodeId leader, LogIndex index)
    {
        AppendEntriesResponse answer = new() { From = _self, To = leader, Term = Term, Index = index };
        if (AcknowledgesBeforeSync)
        {
            _outbox.Add(answer);
        }
        else
        {
            _persist.Hold(answer, _log.LastIndex, _outbox);
        }
    }

    private void OnAppendEntriesResponse(AppendEntriesResponse m)
    {
        // Only an answer to this leader, of this term, counts; older ones never come here.
        if (Role != RaftRole.Leader || ProgressOf(m.From) is not { } progress)
        {
            return;
        }

        progress.IsRecentlyActive = true;
        if (m.IsRejected)
        {
            // And the other way round: the last index here whose term is not beyond the follower's at the hint.
            LogIndex hint = m.HintTerm > Term.Zero ? _log.LastAtOrBelow(m.HintIndex, m.HintTerm) : m.HintIndex;
            if (progress.Refused(m.Index, hint))
            {
                _isReplicationDue = true;
            }

            return;
        }

        Invariant.Check(m.Index <= _log.LastIndex, "a follower has acknowledged what its leader never had");
        bool isNewMatch = progress.Acknowledge(m.Index);
        if (progress.State == PeerState.Probe)
        {
            progress.BecomeReplicate();
        }
        else if (progress.State == PeerState.Snapshot && progress.Acknowledged >= _log.CompactedIndex)
        {
            // Here again, by the snapshot or otherwise.
            progress.BecomeProbe();
            progress.BecomeReplicate();
        }
        else if (progress.State == PeerState.Replicate)
        {
            progress.Inflights.FreeThrough(m.Index);
        }

        _isReplicationDue = true;
        if (isNewMatch)
        {
            AdvanceCommit();
            ContinueTransfer(progress);
        }
    }

    private void OnHeartbeat(Heartbeat m)
    {
        if (!CommitsBeyondMatch && m.Commit > _log.LastIndex && m.Commit > Forgotten.Index)
        {
            // Looked at twice, so that the message is made only when it is needed.
            Invariant.Check(
                m.Commit <= _log.LastIndex,
                $"the leader knows that this node had entry {m.Commit}, but its log ends at {_log.LastIndex}: synced data is lost. Start "
                    + $"the node with its old data directory if this is a new or an emptied one; else it must be replaced");
        }

        CommitTo(m.Commit < _log.LastIndex ? m.Commit : _log.LastIndex);
        if (m.WantsResponse)
        {
            _outbox.Add(
                new HeartbeatResponse
                {
                    From = _self,
                    To = m.From,
                    Term = Term,
                    ReadSequence = m.ReadSequence,
                    SentTick = m.SentTick,
                });
        }
    }

    private void OnHeartbeatResponse(HeartbeatResponse m)
    {
        if (Role != RaftRole.Leader || ProgressOf(m.From) is not { } progress)
        {
            return;
        }

        progress.IsRecentlyActive = true;
        progress.IsProbePaused = false;
        progress.AckedTick = Math.Max(progress.AckedTick, m.SentTick);
        progress.OnCommitAnswered(m.SentTick);
        if (progress.Match < _log.LastIndex || progress.State == PeerState.Probe)
        {
            progress.WantsEmptyAppend = true;
            _isReplicationDue = true;
        }

        if (m.ReadSequence > progress.AckedRead)
        {
            progress.AckedRead = m.ReadSequence;
            GrantProvenReads();
        }
    }
}
