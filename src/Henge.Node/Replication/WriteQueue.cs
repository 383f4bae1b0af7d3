using System.Buffers;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Node.Workers;
using Henge.Raft;
using Henge.Storage;
using EntryKind = Henge.Raft.EntryKind;

namespace Henge.Node.Replication;

/// <summary>
/// The writes of one shard: those that wait to be proposed, and those whose entries are on their way. All that waits becomes one entry. Belongs to the
/// shard's worker.
/// </summary>
internal sealed class WriteQueue : IApplyObserver
{
    private const int MaxEntriesUnderWay = 64;
    private readonly ShardReplica _replica;
    private readonly RaftGroup _group;
    private readonly PendingWrites _pending = new();
    private readonly EntryBuilder _builder = new();
    private OperationList _waiting;
    private OperationList _applied;
    private Core.Version _lastVersion;
    private Core.Version _advanceTo;
    private bool _hold;

    /// <summary>Creates the queue of a shard whose log ends with a version.</summary>
    public WriteQueue(ShardReplica replica, RaftGroup group, Core.Version lastVersion)
    {
        _replica = replica;
        _group = group;
        _lastVersion = lastVersion;
    }

    /// <summary>The highest version in the log, committed or not, as far as it is known here.</summary>
    public Core.Version LastLoggedVersion => _lastVersion;

    /// <summary>True when nothing waits and nothing is under way.</summary>
    public bool IsEmpty => _waiting.IsEmpty && _pending.Count == 0;

    /// <summary>Takes a write in.</summary>
    public void Add(Operation operation) => _waiting.Add(operation);

    /// <summary>Takes a write in that the leader refused; it is tried again when something has changed or time has passed.</summary>
    public void AddHeld(Operation operation)
    {
        _waiting.Add(operation);
        _hold = true;
    }

    /// <summary>Another try may help.</summary>
    public void Release() => _hold = false;

    /// <summary>Has the leader write an entry without commands, after which no write gets a version up to this one.</summary>
    public void AdvanceTo(Core.Version version)
    {
        if (version > _advanceTo)
        {
            _advanceTo = version;
        }
    }

    /// <summary>Takes note of an entry that came into the log.</summary>
    public void OnLogged(in Entry entry)
    {
        if (entry.Kind == EntryKind.Normal && EntryReader.TryGetLastVersion(entry.Data.Span, out Core.Version version) && version > _lastVersion)
        {
            _lastVersion = version;
        }
    }

    /// <summary>Proposes what waits, or sends it to the leader.</summary>
    public void Start()
    {
        if (_group.Role == RaftRole.Leader)
        {
            if (_replica.Node.IsDiskFull)
            {
                RefuseForDisk();
            }

            // What is committed has to be applied by all replicas, so a leader whose engine cannot follow takes nothing more in.
            if (_replica.Node.Engine.Pressure == WritePressure.Stop)
            {
                if (!_hold && !_waiting.IsEmpty)
                {
                    _replica.Node.Counters.OnWriteStall();
                }

                _hold = true;
            }

            while (!_waiting.IsEmpty && !_hold && _pending.Count < MaxEntriesUnderWay && ProposeOne())
            {
            }

            if (_advanceTo > _lastVersion && !_hold)
            {
                ProposeAdvance();
            }
        }
        else if (!_waiting.IsEmpty && !_hold && !_group.Leader.IsNone)
        {
            Forward();
        }
    }

    /// <summary>An entry has been applied: its operations, if there are any here, have been given their results by <see cref="OnResult"/>.</summary>
    public void OnApplied(LogIndex index, Term term)
    {
        while (_pending.Count > 0 && _pending.Oldest.Index <= index)
        {
            ref PendingEntry oldest = ref _pending.Oldest;
            Invariant.Check(oldest.Index == index, "entries are applied one by one");
            bool happened = oldest.Term == term;
            for (int i = 0; i < oldest.Count; i++)
            {
                if (oldest.Operations[i] is not { } operation)
                {
                    continue;
                }

                if (happened)
                {
                    _applied.Add(operation);
                }
                else
                {
                    // Another entry stands in its place for ever: nothing of this one was done or will be.
                    _replica.Retry(operation);
                }
            }

            _pending.RemoveOldest();
        }
    }

    /// <inheritdoc/>
    public void OnResult(LogIndex index, int command, in CommandResult result, ReadOnlySpan<byte> payload)
    {
        if (_pending.Count == 0 || _pending.Oldest.Index != index || _pending.Oldest.Term != _replica.ApplyingTerm
            || command >= _pending.Oldest.Count || _pending.Oldest.Operations[command] is not { } operation)
        {
            return;
        }

        operation.Version = result.Version;
        if (result.Status == CommandStatus.Failed)
        {
            operation.Error = result.Error;
            operation.ErrorMessage = result.ErrorMessage;
        }

        operation.Result = result.IsPlain && payload.IsEmpty ? default : result.ToMemory(payload);
    }

    /// <summary>Answers the operations whose entries are in the engine.</summary>
    public void Answer()
    {
        while (_applied.TakeFirst() is { } operation)
        {
            _replica.Worker.Complete(operation);
        }
    }

    /// <summary>A snapshot took the place of everything up to an index and a version: what was under way there may or may not be in it.</summary>
    public void OnSnapshot(LogIndex index, Core.Version lastVersion)
    {
        _lastVersion = lastVersion > _lastVersion ? lastVersion : _lastVersion;
        while (_pending.Count > 0 && _pending.Oldest.Index <= index)
        {
            FailOldest("The shard's state came from another node while the write was under way; it may or may not have been done.");
        }
    }

    /// <summary>Fails what is past its deadline.</summary>
    public void Expire(long nowMs)
    {
        ExpireWaiting(nowMs);
        for (int e = 0; e < _pending.Count; e++)
        {
            ref PendingEntry entry = ref _pending[e];
            if (entry.EarliestDeadlineMs > nowMs)
            {
                continue;
            }

            long earliest = long.MaxValue;
            for (int i = 0; i < entry.Count; i++)
            {
                if (entry.Operations[i] is not { } operation)
                {
                    continue;
                }

                if (operation.DeadlineMs <= nowMs)
                {
                    entry.Operations[i] = null;
                    _replica.Worker.Fail(operation, ErrorCode.UnknownOutcome, "The write was not committed before the deadline; it may still be.");
                }
                else
                {
                    earliest = Math.Min(earliest, operation.DeadlineMs);
                }
            }

            entry.EarliestDeadlineMs = earliest;
        }
    }

    /// <summary>Fails everything: what was not proposed with the error, the rest as unknown.</summary>
    public void FailAll(ErrorCode error, string message)
    {
        while (_waiting.TakeFirst() is { } operation)
        {
            _replica.Worker.Fail(operation, error, message);
        }

        while (_pending.Count > 0)
        {
            FailOldest(message + " The write was under way; it may or may not have been done.");
        }
    }

    private void FailOldest(string message)
    {
        Fail(ref _pending.Oldest, message);
        _pending.RemoveOldest();
    }

    private void Fail(ref PendingEntry entry, string message)
    {
        for (int i = 0; i < entry.Count; i++)
        {
            if (entry.Operations[i] is { } operation)
            {
                _replica.Worker.Fail(operation, ErrorCode.UnknownOutcome, message);
            }
        }
    }

    private void Forward()
    {
        while (_waiting.TakeFirst() is { } operation)
        {
            if (operation.LeaderOnly)
            {
                _replica.FailNotLeader(operation);
            }
            else
            {
                _replica.Worker.Forwards.Forward(operation, _group.Leader, _group.Term);
            }
        }
    }

    /// <summary>Proposes commands of the node's own, which nobody waits for.</summary>
    public bool TryPropose(EntryBuilder entry)
    {
        Core.Version version = NextVersion();
        if (_hold || !_group.Propose(entry.ToArray(version)).IsAccepted)
        {
            return false;
        }

        _lastVersion = new Core.Version(version.Value + (ulong)(entry.Count - 1));
        _replica.Worker.MarkDirty(_replica);
        return true;
    }

    private Core.Version NextVersion() => (_replica.Node.Options.Bugs & Hosting.NodeBugs.ReuseVersion) == 0
        ? _replica.Node.Clock.NextAfter(_lastVersion)
        : _replica.Node.Clock.Now;

    private bool ProposeOne()
    {
        _builder.Clear();
        int limit = Math.Min(_replica.Node.Options.EntryBytes, _replica.Node.Log.MaxEntryBytes);
        int count = 0;
        for (Operation? o = _waiting.First; o is not null && _builder.HasRoom && (count == 0 || _builder.ByteCount + o.Command.Length + Varint.MaxBytes <= limit); o = o.Next)
        {
            _builder.Add(o.Command.Span);
            count++;
        }

        Core.Version version = NextVersion();
        ProposeResult result = _group.Propose(_builder.ToArray(version));
        if (!result.IsAccepted)
        {
            if (result.Status == ProposeStatus.TooLarge)
            {
                _replica.Worker.Fail(_waiting.TakeFirst()!, ErrorCode.TooLarge, "The command is larger than an entry of the log may be. Split it.");
                return true;
            }

            _hold = true;
            return false;
        }

        _replica.Node.Counters.OnProposed(count);
        _lastVersion = new Core.Version(version.Value + (ulong)(count - 1));
        var entry = new PendingEntry
        {
            Index = result.Index,
            Term = result.Term,
            Operations = ArrayPool<Operation?>.Shared.Rent(count),
            Count = count,
            EarliestDeadlineMs = long.MaxValue,
        };
        for (int i = 0; i < count; i++)
        {
            Operation operation = _waiting.TakeFirst()!;
            entry.Operations[i] = operation;
            entry.EarliestDeadlineMs = Math.Min(entry.EarliestDeadlineMs, operation.DeadlineMs);
        }

        FailReplaced(entry.Index);
        _pending.Add(entry);
        return true;
    }

    // Entries of an earlier leadership of this node that were cut off its log since. Another node may still have them, and lead with them one day.
    private void FailReplaced(LogIndex from)
    {
        while (_pending.Count > 0 && _pending[_pending.Count - 1].Index >= from)
        {
            Fail(ref _pending[_pending.Count - 1], "The shard's leader changed while the write was under way; it may or may not have been done.");
            _pending.RemoveNewest();
        }
    }

    private void ProposeAdvance()
    {
        ProposeResult result = _group.Propose(EntryBuilder.Advance(_advanceTo));
        if (result.IsAccepted)
        {
            _lastVersion = _advanceTo;
        }
        else
        {
            _hold = true;
        }
    }

    // Deletions make room, so they are taken as long as the reserve lasts.
    private void RefuseForDisk()
    {
        OperationList kept = default;
        while (_waiting.TakeFirst() is { } operation)
        {
            if (!operation.Command.IsEmpty && (CommandKind)operation.Command.Span[0] is CommandKind.Delete or CommandKind.MultiDelete or CommandKind.DeleteExpired)
            {
                kept.Add(operation);
            }
            else
            {
                _replica.Worker.Fail(operation, ErrorCode.DiskFull, "The disk of the shard's leader is full: writes are refused until there is room. Delete keys, shorten the history, or make the disk larger.");
            }
        }

        _waiting = kept;
    }

    private void ExpireWaiting(long nowMs)
    {
        bool any = false;
        for (Operation? o = _waiting.First; o is not null && !any; o = o.Next)
        {
            any = o.DeadlineMs <= nowMs;
        }

        if (!any)
        {
            return;
        }

        OperationList kept = default;
        while (_waiting.TakeFirst() is { } operation)
        {
            if (operation.DeadlineMs <= nowMs)
            {
                _replica.Worker.Fail(operation, ErrorCode.Unavailable, "The shard had no leader that could take the write before the deadline. Nothing was done; try again.", _replica.LeaderAddress);
            }
            else
            {
                kept.Add(operation);
            }
        }

        _waiting = kept;
    }
}
