using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.StateMachine;
using Henge.Node.Workers;
using Henge.Raft;

namespace Henge.Node.Replication;

/// <summary>
/// The reads of one shard: what each has to wait for, and at which version it is served. Unless it is content with what is stale, that is
/// the read barrier (Raft thesis, section 6.4): all reads that wait when a round starts share it; a round proves that the leader led after
/// they came, and gives the index that must be applied before they are served. Then it is the version that the read wants, if it names one.
/// Belongs to the shard's worker.
/// </summary>
internal sealed class ShardReads(ShardReplica replica, RaftGroup group, ShardStateMachine machine, VersionWaiters versions)
{
    private const int MaxRounds = 8;
    private const string NotProven =
        "No leader with a majority could be found for the shard before the deadline, so that it is not sure that a read would be up to "
            + "date. Try again, or read stale.";

    private readonly List<Round> _rounds = [];
    private readonly Stack<Round> _free = new();
    private OperationList _waiting;
    private ulong _lastId;
    private int _unprovenRounds;
    private bool _isHeld;
    private Core.Version _readVersion;
    private Core.Version _judgedBy;

    /// <summary>True when a round could begin.</summary>
    public bool CanStart => !_waiting.IsEmpty && !_isHeld && _unprovenRounds < MaxRounds;

    /// <summary>
    /// By which version reads have judged what has expired while this node was alone; others who serve the shard must have applied it
    /// first.
    /// </summary>
    public Core.Version JudgedBy => IsAlone ? default : _judgedBy;

    /// <summary>True when nothing waits.</summary>
    public bool IsEmpty => _waiting.IsEmpty && _rounds.Count == 0;

    /// <summary>Takes a read in.</summary>
    public void Add(Operation operation)
    {
        if (operation.Consistency == ReadConsistency.Default)
        {
            operation.Consistency = replica.Node.Options.Reads;
        }

        if (operation.Phase == BarrierPhase.Close)
        {
            operation.Version = operation.ReadVersion;
            if (operation.Version <= machine.LastVersion)
            {
                replica.Worker.Complete(operation);
            }
            else
            {
                versions.Add(operation);
            }
        }
        else if (operation.Consistency == ReadConsistency.Stale)
        {
            OnReadable(operation);
        }
        else if (operation.LeaderOnly && replica.Group.Role != RaftRole.Leader && !replica.Group.Leader.IsNone)
        {
            replica.FailNotLeader(operation);
        }
        else
        {
            Prove(operation);
        }
    }

    /// <summary>Begins a round for all that waits.</summary>
    public void Start()
    {
        if (!CanStart)
        {
            return;
        }

        Round round = NewRound();
        round.Id = ++_lastId;
        round.Operations.AddAll(ref _waiting);
        _rounds.Add(round);
        _unprovenRounds++;
        replica.Node.Counters.OnReadRound();
        group.RequestRead(round.Id);
    }

    /// <summary>The group has proven a round.</summary>
    public void OnGranted(in ReadGrant grant)
    {
        for (int i = 0; i < _rounds.Count; i++)
        {
            Round round = _rounds[i];
            if (round.Id == grant.RequestId && !round.IsProven)
            {
                round.IsProven = true;
                round.Index = grant.Index;
                _unprovenRounds--;
                break;
            }
        }
    }

    /// <summary>The group could not prove a round: its reads wait for the next one, which begins when something has changed.</summary>
    public void OnFailed(ulong id)
    {
        for (int i = 0; i < _rounds.Count; i++)
        {
            Round round = _rounds[i];
            if (round.Id == id && !round.IsProven)
            {
                _unprovenRounds--;
                _rounds.RemoveAt(i);
                round.Operations.AddAll(ref _waiting);
                _waiting.AddAll(ref round.Operations);
                Free(round);
                _isHeld = true;
                break;
            }
        }
    }

    /// <summary>Serves what is proven and applied.</summary>
    public void Serve()
    {
        LogIndex applied = group.AppliedIndex;
        for (int i = 0; i < _rounds.Count;)
        {
            Round round = _rounds[i];
            if (!round.IsProven || round.Index > applied)
            {
                i++;
                continue;
            }

            _rounds.RemoveAt(i);
            while (round.Operations.TakeFirst() is { } operation)
            {
                OnReadable(operation);
            }

            Free(round);
        }
    }

    /// <summary>Something has changed, or time has passed: another try may help.</summary>
    public void Release() => _isHeld = false;

    /// <summary>Fails what is past its deadline. True when something was tried again.</summary>
    public void Expire(long nowMs)
    {
        Expire(ref _waiting, nowMs);
        for (int i = 0; i < _rounds.Count; i++)
        {
            Expire(ref _rounds[i].Operations, nowMs);
        }
    }

    /// <summary>Takes all away.</summary>
    public OperationList TakeAll()
    {
        OperationList all = _waiting;
        _waiting = default;
        foreach (Round round in _rounds)
        {
            all.AddAll(ref round.Operations);
        }

        return all;
    }

    /// <summary>Fails everything.</summary>
    public void FailAll(ErrorCode error, string message)
    {
        while (_waiting.TakeFirst() is { } operation)
        {
            replica.Worker.Fail(operation, error, message);
        }

        foreach (Round round in _rounds)
        {
            while (round.Operations.TakeFirst() is { } operation)
            {
                replica.Worker.Fail(operation, error, message);
            }
        }
    }

    private void Prove(Operation operation)
    {
        // Only the read of one key, which is looked at again when it is answered (HengeNode.TryRead): what a barrier lets through is read
        // later, and by others (decision 0168).
        if (
            operation is { Consistency: ReadConsistency.Lease, Kind: OperationKind.Get }
            && group.TryLeaseRead(replica.NowTicks, out LogIndex index, out ulong endsAtTick))
        {
            operation.LeaseEndsAtTick = endsAtTick;
            if (index <= group.AppliedIndex)
            {
                OnReadable(operation);
                return;
            }

            Round round = NewRound();
            round.Index = index;
            round.IsProven = true;
            round.Operations.Add(operation);
            _rounds.Add(round);
            return;
        }

        _waiting.Add(operation);
    }

    /// <summary>A read may be served now: everything acknowledged before it came is applied.</summary>
    public void OnReadable(Operation operation)
    {
        Core.Version applied = machine.LastVersion;
        if (operation.Phase == BarrierPhase.Collect)
        {
            operation.Version = applied;
            replica.Worker.Complete(operation);
            return;
        }

        Core.Version wanted = operation.ReadVersion;
        if (wanted.IsZero && operation.Kind == OperationKind.Get)
        {
            operation.Version = operation.Consistency == ReadConsistency.Stale ? Latest(applied) : Judge(applied);
            replica.Worker.Complete(operation);
            return;
        }

        Core.Version now = replica.Node.Clock.Now;
        if (wanted.IsZero)
        {
            operation.Version = now > applied ? now : applied;
        }
        else
        {
            if (wanted < machine.HistoryFloor)
            {
                replica.Worker.Fail(
                    operation,
                    ErrorCode.HistoryGone,
                    $"Version {wanted} is below the history that is kept, which begins at {machine.HistoryFloor} "
                        + $"({machine.HistoryFloor.ToTime():O}). Read at that version or a later one, or keep a longer history.");
                return;
            }

            // While the time is not known it is the leader who judges.
            if (replica.Node.Clock.IsKnown && wanted > now && wanted > applied)
            {
                replica.Worker.Fail(
                    operation,
                    ErrorCode.InvalidArgument,
                    $"Version {wanted} ({wanted.ToTime():O}) lies in the future; it is {now} now. Read at a version that has been.");
                return;
            }

            operation.Version = wanted;
        }

        if (operation.Version <= applied || operation.Consistency == ReadConsistency.Stale)
        {
            replica.Worker.Complete(operation);
        }
        else
        {
            versions.Add(operation);
        }
    }

    private bool IsAlone => replica.Node.Members.Count == 1 || replica.Node.Options.Bugs.ExpiresByOwnClock;

    // What has expired is judged by the shard's versions, which the leader moves past each expiry, and not by this node's clock: two reads
    // one after the other, by nodes whose clocks differ, must not see a key gone and then there (docs/decisions/0135). A node that is alone
    // has one clock; what it has judged by once, it does not go back behind, nor when others have come.
    private Core.Version Judge(Core.Version applied)
    {
        if (IsAlone)
        {
            _judgedBy = Latest(applied);
        }

        return Max(applied, _judgedBy);
    }

    private Core.Version Latest(Core.Version applied)
    {
        Core.Version now = replica.Node.Clock.Now;
        _readVersion = now > _readVersion ? now : _readVersion;
        return Max(_readVersion, applied);
    }

    private static Core.Version Max(Core.Version a, Core.Version b) => a > b ? a : b;

    private void Expire(ref OperationList list, long nowMs)
    {
        // Deadlines rarely pass, so the list is rebuilt only when one of them has.
        bool any = false;
        for (Operation? o = list.First; o is not null && !any; o = o.Next)
        {
            any = o.DeadlineMs <= nowMs;
        }

        if (!any)
        {
            return;
        }

        OperationList kept = default;
        while (list.TakeFirst() is { } operation)
        {
            if (operation.DeadlineMs <= nowMs)
            {
                replica.Worker.Fail(operation, ErrorCode.Unavailable, NotProven, replica.LeaderAddress);
            }
            else
            {
                kept.Add(operation);
            }
        }

        list = kept;
    }

    private Round NewRound() => _free.Count > 0 ? _free.Pop() : new Round();

    private void Free(Round round)
    {
        round.Id = 0;
        round.IsProven = false;
        round.Index = default;
        round.Operations = default;
        _free.Push(round);
    }

    private sealed class Round
    {
        public ulong Id { get; set; }

        public bool IsProven { get; set; }

        public LogIndex Index { get; set; }

        public OperationList Operations;
    }
}
