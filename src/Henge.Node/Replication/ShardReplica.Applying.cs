using Henge.Core;
using Henge.Node.Log;
using Henge.Raft;
using Henge.Storage;
using EntryKind = Henge.Raft.EntryKind;

namespace Henge.Node.Replication;

// What the group hands out: messages go, entries are logged and applied.
internal sealed partial class ShardReplica
{
    /// <summary>True while committed entries wait for the engine.</summary>
    public bool IsApplyHeld => _toApply.Count > 0;

    /// <summary>A record that it gave to the node log is durable.</summary>
    public void OnLogged(in NodeLogRecord record, in EntryLocation location)
    {
        switch (record.Kind)
        {
            case NodeLogRecordKind.Entry:
                Invariant.Check(_log.Add(record.Entry.Index, location), "entries are written without a gap");
                break;
            case NodeLogRecordKind.Moved:
                _log.Move(record.Entry.Index, location);
                _compactor.OnLogged();
                break;
            case NodeLogRecordKind.Truncate:
                _log.Truncate(record.Index);
                break;
            case NodeLogRecordKind.Base or NodeLogRecordKind.LateBase when record.Reset:
                _log.Reset(record.Index, record.Term, record.Membership!);
                break;
            case NodeLogRecordKind.Base or NodeLogRecordKind.LateBase:
                _log.Compact(record.Index, record.Term, record.Membership!);
                _compactor.OnLogged();
                break;
        }
    }

    /// <summary>Everything up to a ticket is durable.</summary>
    public void OnPersisted(ulong ticket)
    {
        if (IsClosed)
        {
            return;
        }

        _group.Persisted(ticket);
        Worker.MarkDirty(this);
    }

    /// <summary>Does what there is to do.</summary>
    public void Process()
    {
        ProcessAll();
        Rest();
    }

    private void ProcessAll()
    {
        if (!_remains.Remote.IsEmpty)
        {
            _remains.Remote.Process();
        }

        if (IsClosed)
        {
            return;
        }

        if (_heldRebuild is { } rebuild && (!_mayRetryHeld || !Rebuild(rebuild)))
        {
            return;
        }

        if (_held is { } held)
        {
            if (!_mayRetryHeld || !Finish(held))
            {
                return;
            }
        }

        for (int i = 0; i < MaxRoundsAtOnce; i++)
        {
            _writes.Start();
            StartPipelinedReads();
            _reads.Start();
            ApplyWaiting();
            if (!_group.HasReady)
            {
                return;
            }

            if (!Handle(_group.TakeReady()))
            {
                return;
            }
        }

        Worker.MarkDirty(this);
    }

    /// <summary>The state came from another node: nothing that waited to be applied is to be applied any more.</summary>
    public void OnInstalled()
    {
        _toApply.Clear();
        PublishApplied();
    }

    private bool Handle(Ready ready)
    {
        // Before a message leaves that says anything of it.
        _following.Publish(ready.Membership is not null);
        if (ready.Membership is not null)
        {
            PublishPlace();
        }

        if (ready.WantsHeartbeat)
        {
            Worker.Heartbeats.WantHeartbeat();
        }

        if (ready.WantsProof)
        {
            Worker.Heartbeats.WantProof(this);
        }

        foreach (RaftMessage message in ready.Messages)
        {
            Worker.Links.Send(Shard, message);
        }

        return Finish(ready);
    }

    // False when the disk has no room for the snapshot in it: then the rest waits as well.
    private bool Finish(Ready ready)
    {
        _mayRetryHeld = false;
        if (ready.PersistTicket != 0 && !_persist.TryPersist(ready))
        {
            _held = ready;
            _status.MarkChanged();
            return false;
        }

        _held = null;

        if (ready.RoleChanged)
        {
            OnRoleChanged();
        }

        foreach (NodeId peer in ready.SnapshotsToSend)
        {
            _sender.Begin(peer);
        }

        foreach (ReadGrant grant in ready.ReadsGranted)
        {
            _reads.OnGranted(grant);
        }

        foreach (ulong failed in ready.ReadsFailed)
        {
            _reads.OnFailed(failed);
        }

        if (!ready.Committed.IsEmpty)
        {
            _toApply.AddRange(ready.Committed);
            ApplyWaiting();
        }

        _reads.Serve();
        if (ready.PersistTicket != 0 || ready.RoleChanged || ready.Membership is not null || !ready.Committed.IsEmpty
            || !ready.Messages.IsEmpty)
        {
            // A heartbeat that is due is no news, and most shards have no other.
            _status.MarkChanged();
        }

        return true;
    }

    // An engine that is too far behind would block the worker, and with it other shards: what is committed waits here instead, and Raft
    // hands out no more until it is applied.
    private void ApplyWaiting()
    {
        if (_toApply.Count == 0 || Node.Engine.Pressure == WritePressure.Stop || AwaitsState || _machine.IsStopped)
        {
            return;
        }

        foreach (Entry entry in _toApply)
        {
            ApplyingTerm = entry.Term;
            if (entry.Kind == EntryKind.Normal)
            {
                if (!_machine.ApplyEntry(entry.Index, entry.Data.Span, _writes))
                {
                    OnStopped();
                    return;
                }
            }
            else
            {
                _machine.ApplyEmpty(entry.Index);
            }

            _writes.OnApplied(entry.Index, entry.Term);
        }

        LogIndex last = _toApply[^1].Index;
        _toApply.Clear();
        _machine.CommitBatch();
        PublishApplied();
        _group.Applied(last);

        // Also when it had waited for the engine, and nothing else of the group is news.
        _status.MarkChanged();
        _writes.Answer();
        StartPipelinedReads();
        _versions.Serve(_machine.LastVersion);
        _reads.Serve();
    }

    private void PublishApplied()
    {
        Volatile.Write(ref _appliedVersion, _machine.LastVersion.Value);
        if (_machine.IsWithheld && IsRecentEnough)
        {
            _machine.Withhold(false);
            PublishPlace();
        }
    }
}
