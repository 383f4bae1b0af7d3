using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Peers;
using Henge.Node.Workers;

namespace Henge.Node.Replication;

/// <summary>
/// The operations of a shard of which this node has no replica (docs/decisions/0193): writes go to its leader under the same promises as
/// those of a replica that follows, reads to its leader or, where they may be stale, to the nearest replica. One hop: what another node has
/// sent here is refused. Costs nothing while nothing waits. Belongs to the shard's worker.
/// </summary>
internal sealed class RemoteShard : IForwardOwner, IReadOwner, IAttentive
{
    private const long AskMs = 100;
    private readonly Worker _worker;
    private readonly NodeContext _node;
    private readonly ShardId _shard;
    private readonly PipelinedReads _pipelined;
    private OperationList _writes;
    private OperationList _writesBack;
    private OperationList _reads;
    private OperationList _readsBack;
    private string? _lastProblem;
    private bool _hold;
    private bool _isAttended;
    private long _askedMs;
    private int _asked;

    /// <summary>Creates it without operations.</summary>
    public RemoteShard(Worker worker, NodeContext node, ShardId shard)
    {
        _worker = worker;
        _node = node;
        _shard = shard;
        _pipelined = new PipelinedReads(worker, node, Order);
    }

    /// <summary>The places of the shard's writes, whether they are served here or elsewhere.</summary>
    public WriteOrder Order { get; } = new();

    /// <summary>Where the shard's writes go, whether this node has a replica of it or not.</summary>
    public WriteSends Sends { get; } = new();

    /// <inheritdoc/>
    public bool IsHeld => _hold;

    /// <summary>True when nothing waits.</summary>
    public bool IsEmpty => _writes.IsEmpty && _writesBack.IsEmpty && _reads.IsEmpty && _readsBack.IsEmpty && _pipelined.IsEmpty;

    // A replica on this node serves the shard now.
    private bool IsHosted => _worker.ReplicaOf(_shard) is ShardReplica { Serves: true };

    private ShardPlace Place => _node.Directory.PlaceOf(_shard);

    /// <summary>The address of the leader, when it is known.</summary>
    public string? LeaderAddress => Place is { Leader: { IsNone: false } leader } && leader != _node.Self ? _node.AddressOf(leader) : null;

    /// <summary>Takes an operation in.</summary>
    public void Add(Operation operation)
    {
        if (operation.Kind != OperationKind.Write && operation.Consistency == ReadConsistency.Default)
        {
            operation.Consistency = _node.Options.Reads;
        }

        if (operation.IsForwarded || (operation.LeaderOnly && !IsStale(operation) && LeaderAddress is not null))
        {
            if (operation.Kind != OperationKind.Write && _node.Options.Bugs.AnswersForForeignShards)
            {
                operation.Version = operation.ReadVersion.IsZero ? _node.Clock.Now : operation.ReadVersion;
                _worker.Complete(operation);
                return;
            }

            FailNotLeader(operation);
            return;
        }

        if (operation.Kind == OperationKind.Write)
        {
            Order.Begin(operation);
            _writes.Add(operation);
        }
        else if (!_pipelined.TryHold(operation))
        {
            AddRead(operation);
        }

        MarkDirty();
    }

    /// <summary>Sends what can be sent; called once after all that came in one run.</summary>
    public void Process()
    {
        _writes.MergeInOrder(ref _writesBack);
        ShardPlace place = Place;
        if (!_writes.IsEmpty && !_hold && IsThere(place.Leader)
            && Sends.MayGo(place.Leader, place.Term, _worker.NowMs))
        {
            Sends.Forward(ref _writes, _worker, place.Leader, place.Term, this);
        }

        OperationList ready = _pipelined.TakeReady();
        while (ready.TakeFirst() is { } read)
        {
            AddRead(read);
        }

        SendReads(place);
    }

    /// <summary>It has become known where the shard is, or who leads it.</summary>
    public void OnPlaceChanged()
    {
        if (IsEmpty)
        {
            return;
        }

        for (Operation? read = _readsBack.First; read is not null; read = read.Next)
        {
            read.Tag = 0;
        }

        Release();
        MarkDirty();
    }

    /// <inheritdoc/>
    public bool Tick()
    {
        Expire();
        if (IsEmpty)
        {
            _isAttended = false;
            _hold = false;
            _lastProblem = null;
            return false;
        }

        // Who leads is not known, or was not right: one of its replicas will know.
        if ((_hold || !IsThere(Place.Leader)) && _worker.NowMs - _askedMs >= AskMs)
        {
            _askedMs = _worker.NowMs;
            NodeId next = Place.AnyReplica(_asked++, _node.Self);
            if (!next.IsNone && _worker.Links.Begin(next, PeerRecordKind.ShardQuestion, _shard) is { } frame)
            {
                frame.EndRecord();
            }
        }

        Release();
        MarkDirty();
        return true;
    }

    /// <summary>Fails everything that waits.</summary>
    public void Stop()
    {
        const string Message = "The node is stopping.";
        _writes.MergeInOrder(ref _writesBack);
        while (_writes.TakeFirst() is { } write)
        {
            Fail(write, ErrorCode.Stopping, Message, null);
        }

        OperationList reads = TakeReads();
        while (reads.TakeFirst() is { } read)
        {
            _worker.Fail(read, ErrorCode.Stopping, Message);
        }
    }

    /// <summary>This node has a replica of the shard from now on: what waits goes to it. What is under way comes back, or ends.</summary>
    public void HandOver(ShardReplica replica)
    {
        _writes.MergeInOrder(ref _writesBack);
        OperationList writes = _writes, reads = TakeReads();
        _writes = default;
        while (writes.TakeFirst() is { } write)
        {
            replica.TakeOver(write);
        }

        while (reads.TakeFirst() is { } read)
        {
            replica.Add(read);
        }
    }

    /// <summary>Takes a write over from a replica of this node that goes. It has its place already.</summary>
    public void TakeOver(Operation write)
    {
        if (write.IsForwarded || (write.LeaderOnly && LeaderAddress is not null))
        {
            Refuse(write);
            return;
        }

        _writes.AddInOrder(write);
        MarkDirty();
    }

    /// <inheritdoc/>
    public void OnHandedBack(Operation write, ulong sending)
    {
        if (!Sends.End(sending))
        {
            Fail(write, ErrorCode.Unavailable, WriteSends.Overtaken, LeaderAddress);
        }
        else
        {
            Return(write);
        }
    }

    /// <summary>
    /// A write that was sent to a leader, by whatever this node had of the shard then, has come back in time: it goes to where the shard's
    /// writes wait by now. It has its place.
    /// </summary>
    public void Return(Operation write)
    {
        if (_worker.ReplicaOf(_shard) is ShardReplica { TakesWrites: true } replica)
        {
            replica.TakeBack(write);
            return;
        }

        // At once if another leader is known by now; else it would only come back again.
        _hold |= Sends.GoTo(Place.Leader, Place.Term);
        _writesBack.AddInOrder(write);
        MarkDirty();
    }

    /// <inheritdoc/>
    public void OnForwardEnded(Operation write, ulong sending)
    {
        Sends.End(sending);
        Order.End(write);
        MarkDirty();
    }

    /// <inheritdoc/>
    public void Refuse(Operation write)
    {
        Order.End(write);
        FailNotLeader(write);
    }

    void IForwardOwner.Fail(Operation write, ErrorCode error, string message) => Fail(write, error, message, LeaderAddress);

    /// <inheritdoc/>
    public void OnReadReturned(Operation read, NodeId from, ErrorCode error, string message)
    {
        if (IsHosted)
        {
            _worker.ReplicaOf(_shard)!.Add(read);
            return;
        }

        _lastProblem = message;
        if (error == ErrorCode.NotLeader && Place.Leader != from && !Place.Leader.IsNone && !IsStale(read))
        {
            // Who refused knew of another leader.
            read.Tag = 0;
            _reads.Add(read);
        }
        else
        {
            read.Tag++;
            _readsBack.Add(read);
        }

        MarkDirty();
    }

    private static bool IsStale(Operation read) => read.Consistency == ReadConsistency.Stale;

    // A write that is sent to a leader which is silent could only end as unknown; one that is kept is known to have done nothing.
    private bool IsThere(NodeId leader) => !leader.IsNone && leader != _node.Self && !_node.Near.IsSilent(leader);

    private void AddRead(Operation read)
    {
        read.Tag = 0;
        _reads.Add(read);
    }

    private void SendReads(ShardPlace place)
    {
        OperationList kept = default;
        while (_reads.TakeFirst() is { } read)
        {
            if (read.LeaderOnly && LeaderAddress is not null)
            {
                FailNotLeader(read);
                continue;
            }

            int attempt = (int)(read.Tag & 0xFFFF);
            NodeId to = IsStale(read) ? _node.Near.Of(place, attempt) : place.LeaderOrVoter(attempt, _node.Self);
            if (to.IsNone || !_worker.Reads.TrySend(read, to, this))
            {
                read.Tag++;
                kept.Add(read);
            }
        }

        _readsBack.AddAll(ref kept);
    }

    // Another try may help.
    private void Release()
    {
        _hold = false;
        _reads.AddAll(ref _readsBack);
    }

    private void Expire()
    {
        long now = _worker.NowMs;
        _writes.MergeInOrder(ref _writesBack);
        OperationList writes = _writes.TakeExpired(now);
        while (writes.TakeFirst() is { } write)
        {
            Fail(
                write,
                ErrorCode.Unavailable,
                "The shard had no leader that could take the write before the deadline. Nothing was done; try again.",
                LeaderAddress);
        }

        _pipelined.Expire(now, LeaderAddress);
        _reads.AddAll(ref _readsBack);
        OperationList reads = _reads.TakeExpired(now);
        while (reads.TakeFirst() is { } read)
        {
            _worker.Fail(
                read,
                ErrorCode.Unavailable,
                $"None of the nodes that have the shard could answer before the deadline. Try again.{(_lastProblem is null ? "" : " ")}"
                    + _lastProblem,
                LeaderAddress);
        }
    }

    private OperationList TakeReads()
    {
        OperationList all = _pipelined.TakeAll();
        all.AddAll(ref _reads);
        all.AddAll(ref _readsBack);
        return all;
    }

    private void Fail(Operation write, ErrorCode error, string message, string? leaderHint)
    {
        Order.End(write);
        _worker.Fail(write, error, message, leaderHint);
    }

    private void FailNotLeader(Operation operation) =>
        _worker.Fail(
            operation,
            ErrorCode.NotLeader,
            $"This node does not lead {_shard}; its leader is {(LeaderAddress is { } address ? "at " + address : "not known yet")}.",
            LeaderAddress);

    private void MarkDirty()
    {
        if (!_isAttended)
        {
            _isAttended = true;
            _worker.Reads.Attend(this);
        }

        if (_worker.ReplicaOf(_shard) is { } current)
        {
            _worker.MarkDirty(current);
        }
    }
}
