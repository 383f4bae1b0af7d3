using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.StateMachine;
using Henge.Node.Workers;
using Henge.Raft;
using Henge.Storage;
using EntryKind = Henge.Raft.EntryKind;

namespace Henge.Node.Replication;

/// <summary>
/// The writes of one shard: those that wait to be proposed, those whose entries are on their way, and those that were sent to the leader on
/// another node. All that waits becomes one entry. Belongs to the shard's worker.
/// </summary>
/// <remarks>
/// Writes take effect in the order in which they were given to the node (docs/decisions/0141). What is proposed or sent in one term cannot
/// come behind what is in a later one, since the terms of a log never fall (Raft paper, section 5.3). What comes back undone goes to its
/// place again; so nothing goes out in a new term before what went out in an older one has ended or come back, or, for what another leader
/// has, before some time has passed: then it is not tried again.
/// </remarks>
internal sealed partial class WriteQueue : IApplyObserver, IForwardOwner
{
    private const int MaxEntriesUnderWay = 64;
    private const string OutOfVersions =
        "The clock says a moment after September 2094, which versions cannot have. Nothing was done. Set the clocks of the nodes; if they "
            + "are right, this cluster's data must move to a new one.";

    private readonly ShardReplica _replica;
    private readonly RaftGroup _group;
    private readonly PendingWrites _pending = new();
    private OperationList _waiting;
    private OperationList _returned;
    private OperationList _applied;
    private Term _seenTerm;
    private RaftRole _seenRole;
    private readonly RemoteShard _remote;
    private readonly WriteSends _sends;
    private Core.Version _lastVersion;
    private Core.Version _advanceTo;
    private bool _hold;

    /// <summary>Creates the queue of a shard whose log ends with a version.</summary>
    public WriteQueue(ShardReplica replica, RaftGroup group, RemoteShard remote, Core.Version lastVersion)
    {
        _replica = replica;
        _group = group;
        _remote = remote;
        Order = remote.Order;
        _sends = replica.Node.Options.Bugs.SendsItsOwn ? new WriteSends() : remote.Sends;
        _lastVersion = lastVersion;
    }

    /// <summary>The highest version in the log, committed or not, as far as it is known here.</summary>
    public Core.Version LastLoggedVersion => _lastVersion;

    /// <summary>True when nothing waits and nothing is under way here.</summary>
    public bool IsEmpty => _waiting.IsEmpty && _returned.IsEmpty && _pending.Count == 0;

    /// <inheritdoc/>
    public bool IsHeld => _hold;

    /// <summary>The places of the writes.</summary>
    public WriteOrder Order { get; }

    /// <summary>Takes a write in.</summary>
    public void Add(Operation operation)
    {
        Order.Begin(operation);
        _waiting.Add(operation);
    }

    /// <summary>Takes a write in that has its place already: reads that were held for it are held by that.</summary>
    public void TakeOver(Operation operation) => Return(operation);

    /// <summary>
    /// A write that was sent to a leader has come back: nothing of it was done, or has left. It is tried again, at its place, when
    /// something has changed or time has passed.
    /// </summary>
    public void OnHandedBack(Operation operation, ulong sending)
    {
        _replica.Worker.MarkDirty(_replica);
        if (_sends.End(sending))
        {
            _remote.Return(operation);
        }
        else
        {
            Fail(operation, ErrorCode.Unavailable, WriteSends.Overtaken, _replica.LeaderAddress);
        }
    }

    /// <summary>Takes a write back that was sent to a leader, by whatever this node had of the shard then.</summary>
    public void TakeBack(Operation operation)
    {
        // At once if another leader is known by now; else it would only come back again.
        _hold |= _sends.GoTo(_group.Leader, _group.Term) || _replica.Node.Options.Bugs.RequeuesBehind;
        Return(operation);
    }

    /// <summary>A write that was sent to a leader has ended, in another way than by coming back.</summary>
    public void OnForwardEnded(Operation operation, ulong sending)
    {
        _sends.End(sending);
        Order.End(operation);
        _replica.Worker.MarkDirty(_replica);
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
        if (
            entry.Kind == EntryKind.Normal
            && EntryReader.TryGetLastVersion(entry.Data.Span, out Core.Version version)
            && version > _lastVersion)
        {
            _lastVersion = version;
        }
    }

    /// <summary>Proposes what waits, or sends it to the leader.</summary>
    public void Start()
    {
        _waiting.MergeInOrder(ref _returned);
        if (_seenTerm != _group.Term || _seenRole != _group.Role)
        {
            (_seenTerm, _seenRole) = (_group.Term, _group.Role);
            RefuseStale();
        }

        if (_group.Role == RaftRole.Leader)
        {
            if (_replica.Node.IsDiskFull)
            {
                RefuseForDisk();
            }

            // What is committed has to be applied by all replicas, so a leader whose engine cannot follow takes nothing more in.
            if (_replica.Node.Engine.Pressure == WritePressure.Stop)
            {
                if (_replica.Node.Engine.StopReason is { } reason)
                {
                    RefuseForDamage(reason);
                }

                if (!_hold && !_waiting.IsEmpty)
                {
                    _replica.Node.Counters.OnWriteStall();
                }

                _hold = true;
            }

            // What was committed before cannot be applied here, so what comes now could not be answered. It waits for another leader.
            _hold |= _replica.Machine.IsStopped;

            // Without the clocks of a majority there is no telling what time it is, and a time to live would be counted from the wrong one.
            // They are known a round trip after the first frames.
            if (!MayGiveVersions)
            {
                _hold = true;
            }

            while (!_waiting.IsEmpty && !_hold && _pending.Count < MaxEntriesUnderWay && MaySend(_replica.Node.Self) && ProposeOne())
            {
            }

            if (_advanceTo > _lastVersion && !_hold)
            {
                ProposeAdvance();
            }
        }
        else if (!_waiting.IsEmpty && !_hold && !_group.Leader.IsNone && MaySend(_group.Leader))
        {
            _sends.Forward(ref _waiting, _replica.Worker, _group.Leader, _group.Term, this);
        }
    }

    // What waits goes out to a leader only when nothing can come back any more that went out to another one, or in another term, before.
    private bool MaySend(NodeId leader)
    {
        if (_pending.Count > 0 && (_pending.Oldest.Term != _group.Term || leader != _replica.Node.Self))
        {
            // Known as soon as an entry of this term is applied: see OnApplied.
            return false;
        }

        return _replica.Node.Options.Bugs.RequeuesBehind || _sends.MayGo(leader, _group.Term, _replica.Worker.NowMs);
    }

    // Other nodes sent them to the leader of one term. In another term, or on a follower, they would come behind what their senders have
    // sent elsewhere meanwhile.
    private void RefuseStale()
    {
        OperationList kept = default;
        while (_waiting.TakeFirst() is { } operation)
        {
            if (IsStale(operation))
            {
                Refuse(operation);
            }
            else
            {
                kept.Add(operation);
            }
        }

        _waiting = kept;
    }

    private bool IsStale(Operation operation) =>
        operation is RemoteWrite write
        && (_group.Role != RaftRole.Leader || write.Term != _group.Term)
        && !_replica.Node.Options.Bugs.TakesForwardsOfAnyTerm;

    /// <inheritdoc/>
    public void Refuse(Operation operation)
    {
        Order.End(operation);
        _replica.FailNotLeader(operation);
    }

    private void Return(Operation operation)
    {
        if (IsStale(operation))
        {
            Refuse(operation);
        }
        else if (_replica.Node.Options.Bugs.RequeuesBehind)
        {
            _waiting.Add(operation);
        }
        else
        {
            _returned.AddInOrder(operation);
        }
    }

    void IForwardOwner.Fail(Operation write, ErrorCode error, string message) => Fail(write, error, message);

    private void Fail(Operation operation, ErrorCode error, string message, string? leaderHint = null)
    {
        Order.End(operation);
        _replica.Worker.Fail(operation, error, message, leaderHint);
    }

    /// <summary>
    /// An entry has been applied: its operations, if there are any here, have been given their results by <see cref="OnResult"/>.
    /// </summary>
    public void OnApplied(LogIndex index, Term term)
    {
        while (_pending.Count > 0 && _pending.Oldest.Index <= index)
        {
            ref PendingEntry oldest = ref _pending.Oldest;
            Invariant.Check(oldest.Index == index, "entries are applied one by one");
            if (oldest.Term != term)
            {
                // Another entry stands in its place for ever: nothing of this one was done or will be.
                ReturnOldest();
                continue;
            }

            for (int i = 0; i < oldest.Count; i++)
            {
                if (oldest.Operations[i] is { } operation)
                {
                    _applied.Add(operation);
                }
            }

            _pending.RemoveOldest();
        }

        // Terms never fall in a log: behind a committed entry none of an older term can come any more.
        while (_pending.Count > 0 && _pending.Oldest.Term < term)
        {
            ReturnOldest();
        }
    }

    private void ReturnOldest()
    {
        ref PendingEntry oldest = ref _pending.Oldest;
        for (int i = 0; i < oldest.Count; i++)
        {
            if (oldest.Operations[i] is { } operation)
            {
                Return(operation);
            }
        }

        _pending.RemoveOldest();
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

    /// <summary>
    /// Committed entries cannot be applied here, so what was proposed here ends without a result. What waits goes to another leader at
    /// once, instead of after operations whose callers have given up.
    /// </summary>
    public void OnStopped(List<Entry> committed)
    {
        const string Message =
            "A part of the shard's state is damaged on the node that led it. The write was under way; it may or may not have been done.";
        foreach (Entry entry in committed)
        {
            // What stands in the place of another entry was not done, and is tried again.
            OnApplied(entry.Index, entry.Term);
        }

        while (_applied.TakeFirst() is { } operation)
        {
            Fail(operation, ErrorCode.UnknownOutcome, Message);
        }

        while (_pending.Count > 0)
        {
            FailOldest(Message);
        }
    }

    /// <summary>Answers the operations whose entries are in the engine.</summary>
    public void Answer()
    {
        while (_applied.TakeFirst() is { } operation)
        {
            Order.End(operation);
            _replica.Worker.Complete(operation);
        }
    }

    /// <summary>
    /// A snapshot took the place of everything up to an index and a version: what was under way there may or may not be in it.
    /// </summary>
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
                    Fail(operation, ErrorCode.UnknownOutcome, "The write was not committed before the deadline; it may still be.");
                }
                else
                {
                    earliest = Math.Min(earliest, operation.DeadlineMs);
                }
            }

            entry.EarliestDeadlineMs = earliest;
        }

        // Their callers have given up, so nothing has to wait for their outcome.
        while (_pending.Count > 0 && _pending.Oldest.EarliestDeadlineMs == long.MaxValue)
        {
            _pending.RemoveOldest();
        }
    }

    /// <summary>
    /// Takes away what waits and was not proposed; it keeps its places. What is under way ends as unknown: it may stand in the log of those
    /// that stay.
    /// </summary>
    public OperationList TakeWaiting(string message)
    {
        _waiting.MergeInOrder(ref _returned);
        while (_pending.Count > 0)
        {
            FailOldest(message);
        }

        OperationList waiting = _waiting;
        _waiting = default;
        return waiting;
    }

    /// <summary>Fails everything: what was not proposed with the error, the rest as unknown.</summary>
    public void FailAll(ErrorCode error, string message)
    {
        _waiting.MergeInOrder(ref _returned);
        while (_waiting.TakeFirst() is { } operation)
        {
            Fail(operation, error, message);
        }

        while (_pending.Count > 0)
        {
            FailOldest(message + " The write was under way; it may or may not have been done.");
        }
    }

    private void FailOldest(string message)
    {
        ref PendingEntry oldest = ref _pending.Oldest;
        for (int i = 0; i < oldest.Count; i++)
        {
            if (oldest.Operations[i] is { } operation)
            {
                Fail(operation, ErrorCode.UnknownOutcome, message);
            }
        }

        _pending.RemoveOldest();
    }

    private void ExpireWaiting(long nowMs)
    {
        _waiting.MergeInOrder(ref _returned);
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
                Fail(
                    operation,
                    ErrorCode.Unavailable,
                    $"The shard had no leader that could take the write before the deadline. Nothing was done; try "
                        + $"again.{(_replica.Machine.IsStopped ? " " + _replica.Problem : "")}",
                    _replica.LeaderAddress);
            }
            else
            {
                kept.Add(operation);
            }
        }

        _waiting = kept;
    }
}
