using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Workers;
using Henge.Raft;

namespace Henge.Node.Replication;

/// <summary>
/// The read barrier of one shard (Raft thesis, section 6.4). All reads that wait when a round starts share it; a round proves that the leader led
/// after they came, and gives the index that must be applied before they are served. Belongs to the shard's worker.
/// </summary>
internal sealed class ReadQueue(ShardReplica replica, RaftGroup group)
{
    private const int MaxRounds = 8;
    private const string NotProven = "No leader with a majority could be found for the shard before the deadline, so that it is not sure that a read would be up to date. Try again, or read stale.";

    private readonly List<Round> _rounds = [];
    private readonly Stack<Round> _free = new();
    private OperationList _waiting;
    private ulong _lastId;
    private int _unproven;
    private bool _hold;

    /// <summary>True when a round could begin.</summary>
    public bool CanStart => !_waiting.IsEmpty && !_hold && _unproven < MaxRounds;

    /// <summary>True when nothing waits.</summary>
    public bool IsEmpty => _waiting.IsEmpty && _rounds.Count == 0;

    /// <summary>Takes a read in.</summary>
    public void Add(Operation operation)
    {
        // Only the read of one key, which is looked at again when it is answered (HengeNode.TryRead): what a barrier lets through is read later, and by others (decision 0168).
        if (operation is { Consistency: ReadConsistency.Lease, Kind: OperationKind.Get } && group.TryLeaseRead(replica.NowTicks, out LogIndex index, out ulong endsAtTick))
        {
            operation.LeaseEndsAtTick = endsAtTick;
            if (index <= group.AppliedIndex)
            {
                replica.OnReadable(operation);
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
        _unproven++;
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
                _unproven--;
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
                _unproven--;
                _rounds.RemoveAt(i);
                round.Operations.AddAll(ref _waiting);
                _waiting.AddAll(ref round.Operations);
                Free(round);
                _hold = true;
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
                replica.OnReadable(operation);
            }

            Free(round);
        }
    }

    /// <summary>Something has changed, or time has passed: another try may help.</summary>
    public void Release() => _hold = false;

    /// <summary>Fails what is past its deadline. True when something was tried again.</summary>
    public void Expire(long nowMs)
    {
        Expire(ref _waiting, nowMs);
        for (int i = 0; i < _rounds.Count; i++)
        {
            Expire(ref _rounds[i].Operations, nowMs);
        }
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
