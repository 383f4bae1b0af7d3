using Henge.Core;

namespace Henge.Raft;

// How effects leave the group.
public sealed partial class RaftGroup
{
    /// <summary>True when <see cref="TakeReady"/> has something to say. Cheap: ask after every event, or after a batch of them.</summary>
    public bool HasReady =>
        _outbox.Count > 0
        || _isReplicationDue
        || _isHeartbeatDue
        || _isProofWanted
        || _isTimeoutNowDue
        || _membershipChanged
        || CanHandOut
        || _persist.IsDirty(_log.LastIndex)
        || _ready.PendingReadsGranted.Count > 0
        || _ready.PendingReadsFailed.Count > 0
        || _snapshotsWanted.Count > 0
        || _reported != (Role, Leader, Term)
        || HasCommitNews;

    /// <summary>
    /// Hands out everything that is to be done, once. The result is valid until the next call. It may be taken again before what the last
    /// one asked for is persisted: writes, replication and the next proposals overlap.
    /// </summary>
    public Ready TakeReady()
    {
        Ready ready = _ready;
        ready.Clear();
        ready.WantsProof = TakeWantsProof();
        SendToPeers();
        HandOutCommitted();
        ready.MessageList.AddRange(_outbox);
        _outbox.Clear();
        ready.SnapshotsToSendList.AddRange(_snapshotsWanted);
        _snapshotsWanted.Clear();
        ready.TakePendingReads();
        if (_membershipChanged)
        {
            _membershipChanged = false;
            ready.Membership = Membership;
        }

        if (_reported != (Role, Leader, Term))
        {
            _reported = (Role, Leader, Term);
            ready.RoleChanged = true;
        }

        HandOutToPersist(ready);
        return ready;
    }

    /// <summary>
    /// Everything in the Ready with this ticket, and in all before it, is durable: entries, hard state, snapshot. Releases what waited for
    /// it: acknowledgements, votes, the leader's own copy in the count. One call for the newest of several tickets is enough.
    /// </summary>
    public void Persisted(ulong ticket)
    {
        LogIndex snapshot = _persist.Complete(ticket, Term, _outbox);
        if (snapshot > LogIndex.Zero)
        {
            SnapshotInstalled(snapshot);
        }

        TrimRecentEntries();
        CountSelfVote();
        OwnLogPersisted();
    }

    private void HandOutToPersist(Ready ready)
    {
        LogIndex last = _log.LastIndex;
        if (!_persist.IsDirty(last))
        {
            return;
        }

        ready.Snapshot = _persist.Snapshot;
        ready.TruncateFrom = _persist.TruncateFrom;
        for (LogIndex at = _persist.NextToHandOut; at <= last; at = at.Next)
        {
            ready.EntryList.Add(_log.Recent(at));
        }

        ready.PersistTicket = _persist.Issue(last, out bool withHardState);
        if (withHardState && !ForgetsHardState)
        {
            ready.HardState = new HardState(Term, _votedFor, DurableCommitIndex);
        }
    }

    private bool HasCommitNews
    {
        get
        {
            if (Role == RaftRole.Leader)
            {
                foreach (Progress progress in _progress)
                {
                    if (progress.Id != _self && progress.SentCommit < _commit && progress.SentCommit < progress.Match)
                    {
                        return true;
                    }
                }
            }

            return false;
        }
    }
}
