using Henge.Core;
using Henge.Node.Access;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Log;
using Henge.Node.Peers;

namespace Henge.Node.Workers;

/// <summary>
/// Drives the shards that belong to it: takes what waits (messages, log completions, operations, ticks), lets each shard that has something
/// to do do it once for all of it, and sends off what came of it: one batch to the node log, one frame to each peer. Only
/// <see cref="Post"/>, <see cref="Submit(Operation)"/> and <see cref="SignalTick"/> may be called from other threads.
/// </summary>
internal sealed class Worker : IWorkItem
{
    private const int MaxTicksAtOnce = 4;

    // Enough for every timeout of a group to pass.
    private const int MaxTicksLate = 100;

    // After so many ticks without work a worker looks at the clock only at every second one: waking up is most of what an idle node costs.
    private const int IdleAfterTicks = 20;

    private readonly NodeContext _node;
    private readonly OperationQueue _operations = new();
    private readonly WorkerMessageQueue _messages = new();
    private readonly Dictionary<ShardId, IReplica> _replicas = [];
    private readonly List<IHostedReplica> _hosted = [];
    private readonly List<ITicked> _ticked = [];
    private readonly List<IReplica> _dirty = [];
    private readonly Stack<WorkerLogBatch> _freeBatches = new();
    private WorkerLogBatch _batch;
    private bool _closed;
    private int _scheduled;
    private int _tickSignalled;
    private long _lastTick;
    private bool _isTicking;
    private int _idleTicks;
    private bool _isIdle;
    private int _signals;
    private long _logBatches;
    private long _logBatchesDone;
    private int _completed;
    private long _completedBytes;

    /// <summary>Creates a worker without shards.</summary>
    public Worker(NodeContext node, NodeLog log, int index)
    {
        _node = node;
        Index = index;
        _batch = new WorkerLogBatch(this);
        Log = log;
        Links = new PeerLinks(node);
        Forwards = new ForwardTable(this, node);
        Heartbeats = new SharedHeartbeats(this, node);
        Elections = new ElectionBudget(node.Options.ElectionsAtOnce, node.Options.ElectionTicks)
        {
            KeepsEnded = node.Options.Bugs.KeepsEndedElections,
        };
        Reads = new RemoteReads(this, node);
        Links.Flushed = (to, sent) =>
        {
            Forwards.OnFlushed(to, sent);
            Reads.OnFlushed(to, sent);
        };
    }

    /// <summary>Says who may do what, as far as this node knows; set when the node is put together.</summary>
    public Func<AccessView> Access { get; set; } = static () => AccessView.None;

    /// <summary>Its number, and the lane on which it runs.</summary>
    public int Index { get; }

    /// <summary>The monotonic clock as of the beginning of this run.</summary>
    public long NowMs { get; private set; }

    /// <summary>Ticks of the monotonic clock, read after the messages of this run had been taken: not before any of them came.</summary>
    public ulong ClockTicks { get; private set; }

    /// <summary>What this worker has to send to each peer.</summary>
    public PeerLinks Links { get; }

    /// <summary>What this worker has forwarded to leaders on other nodes.</summary>
    public ForwardTable Forwards { get; }

    /// <summary>What this worker has asked other nodes to read, and they have asked it.</summary>
    public RemoteReads Reads { get; }

    /// <summary>How many elections its shards may hold at a time.</summary>
    public ElectionBudget Elections { get; }

    /// <summary>What this worker's leaders have to say together.</summary>
    public SharedHeartbeats Heartbeats { get; }

    /// <summary>The batch that the current run fills.</summary>
    public NodeLogBatch Batch => _batch.Batch;

    /// <summary>The node log.</summary>
    public NodeLog Log { get; }

    /// <summary>Batches that came back from the node log and are in the indexes. Thread-safe.</summary>
    public long LogBatchesDone => Volatile.Read(ref _logBatchesDone);

    /// <summary>Those of its shards that are hosted here, in order.</summary>
    public IReadOnlyList<IHostedReplica> Hosted => _hosted;

    /// <summary>
    /// Puts a shard into the table, in place of what was there for it. Before the worker first runs, or on the worker while it takes
    /// messages: never in a tick.
    /// </summary>
    public void Put(IReplica replica)
    {
        Invariant.Check(!_isTicking, "shards come and go between ticks");
        if (_replicas.TryGetValue(replica.Shard, out IReplica? old))
        {
            if (old is IHostedReplica hosted)
            {
                _hosted.Remove(hosted);
            }

            if (old is ITicked ticked)
            {
                _ticked.Remove(ticked);
            }
        }

        _replicas[replica.Shard] = replica;
        if (replica is IHostedReplica now)
        {
            // In order of shards, so that equal nodes do things in the same order.
            int at = _hosted.FindIndex(r => r.Shard.Value > now.Shard.Value);
            _hosted.Insert(at < 0 ? _hosted.Count : at, now);
        }

        if (replica is ITicked { } more)
        {
            _ticked.Add(more);
        }
    }

    /// <summary>The replica of a shard; null when it is not this worker's.</summary>
    public IReplica? ReplicaOf(ShardId shard) => _replicas.GetValueOrDefault(shard);

    /// <summary>Hands the worker an operation that is routed to one of its shards. Thread-safe.</summary>
    public void Submit(Operation operation)
    {
        _operations.Push(operation);
        Wake();
    }

    /// <summary>Hands the worker a chain of operations, linked from the newest to the oldest. Thread-safe.</summary>
    public void Submit(Operation newest, Operation oldest)
    {
        _operations.PushChain(newest, oldest);
        Wake();
    }

    /// <summary>Hands the worker a message. Thread-safe.</summary>
    public void Post(WorkerMessage message)
    {
        _messages.Push(message);
        Wake();
    }

    /// <summary>Says that time may have passed. Any one thread. The clock says how many ticks are due.</summary>
    public void SignalTick()
    {
        if ((++_signals & 1) != 0 && Volatile.Read(ref _isIdle))
        {
            return;
        }

        Volatile.Write(ref _tickSignalled, 1);
        Wake();
    }

    /// <summary>Has a replica looked after before this run ends.</summary>
    public void MarkDirty(IReplica replica)
    {
        if (!replica.IsDirty)
        {
            replica.IsDirty = true;
            _dirty.Add(replica);
        }
    }

    /// <summary>Completes an operation that went well.</summary>
    public void Complete(Operation operation)
    {
        Count(operation);
        operation.Complete();
    }

    /// <summary>Completes an operation with an error.</summary>
    public void Fail(Operation operation, ErrorCode error, string message, string? leaderHint = null)
    {
        Count(operation);
        if (leaderHint is not null)
        {
            NameLeader(operation, leaderHint);
        }

        operation.Fail(error, message, leaderHint);
    }

    /// <summary>
    /// Says in an operation's outcome who leads its shard, and in which term, where what is known of the shard agrees.
    /// </summary>
    public void NameLeader(Operation operation, string? address)
    {
        operation.LeaderHint = address;
        if (address is not null && !operation.Shard.IsCatalog)
        {
            // Both from one place: the term of another leader would make this one look newer than it is.
            ShardPlace place = _node.Directory.PlaceOf(operation.Shard);
            operation.LeaderTerm = _node.AddressOf(place.Leader) == address || _node.Options.Bugs.NamesLeadersOfOtherTerms
                ? place.Term
                : default;
        }
    }

    /// <summary>Tells a node that has asked the wrong one where a shard is, in the frame that refuses it.</summary>
    public void TellPlace(NodeId to, ShardId shard)
    {
        if (!shard.IsCatalog && Links.Begin(to, PeerRecordKind.ShardNews, ShardId.Catalog) is { } frame)
        {
            ShardNews.Append(frame, _node.Directory.PlaceOf(shard));
            frame.EndRecord();
        }
    }

    /// <summary>Takes a batch back that was written.</summary>
    public void Recycle(WorkerLogBatch batch)
    {
        Volatile.Write(ref _logBatchesDone, batch.Batch.Number);
        batch.Batch.Clear();
        _freeBatches.Push(batch);
    }

    /// <summary>
    /// Begins to take part: where this node should lead, it runs for election at once, so that leaders are where they belong.
    /// </summary>
    public void Begin()
    {
        foreach (IHostedReplica replica in _hosted)
        {
            replica.Begin();
        }
    }

    /// <summary>Fails everything that waits, and does nothing more from then on: engine and log may be closed under it.</summary>
    public void Stop()
    {
        _closed = true;
        foreach (IReplica replica in _replicas.Values)
        {
            replica.Stop();
        }

        Forwards.Stop();
        Reads.Stop();
    }

    /// <inheritdoc/>
    public void Run()
    {
        if (!_node.IsDead)
        {
            try
            {
                RunOnce();
            }
            catch (Exception e)
            {
                _node.Fatal($"Worker {Index} failed: {e.Message}", e);
            }
        }

        Interlocked.Exchange(ref _scheduled, 0);
        if (!_node.IsDead && (!_messages.IsEmpty || !_operations.IsEmpty || Volatile.Read(ref _tickSignalled) != 0))
        {
            Wake();
        }
    }

    private void RunOnce()
    {
        // The clock after the messages: promises to leaders that are made for them are counted from it (decision 0137).
        WorkerMessage? message = _messages.TakeAll();
        NowMs = _node.MonotonicMs;
        ClockTicks = _node.NowTicks;
        while (message is not null)
        {
            WorkerMessage? next = message.Next;
            message.Next = null;
            if (!_closed)
            {
                message.Process(this);
            }

            message = next;
        }

        if (_closed)
        {
            RefuseRest();
            return;
        }

        Operation? first = _operations.TakeAll();
        if (first is not null)
        {
            OnWork();
        }

        for (Operation? operation = first; operation is not null;)
        {
            Operation? next = operation.Next;
            operation.Next = null;
            Route(operation);
            operation = next;
        }

        if (Volatile.Read(ref _tickSignalled) != 0)
        {
            Volatile.Write(ref _tickSignalled, 0);
            Tick();
        }

        // Looking after one replica may make another one dirty, so the list can grow meanwhile.
        for (int i = 0; i < _dirty.Count; i++)
        {
            _dirty[i].IsDirty = false;
            _dirty[i].Process();
        }

        _dirty.Clear();
        if (!Batch.IsEmpty)
        {
            NodeLogBatch full = Batch;
            _batch = _freeBatches.Count > 0 ? _freeBatches.Pop() : new WorkerLogBatch(this);
            full.Number = ++_logBatches;
            OnWork();
            Log.Submit(full);
        }

        Heartbeats.Send();
        Links.Flush();
        _node.Leaders.Ran(Index, ClockTicks);
        if (_completed > 0)
        {
            _node.OnCompleted(_completed, _completedBytes);
            _completed = 0;
            _completedBytes = 0;
        }
    }

    private void RefuseRest()
    {
        Volatile.Write(ref _tickSignalled, 0);
        for (Operation? operation = _operations.TakeAll(); operation is not null;)
        {
            Operation? next = operation.Next;
            operation.Next = null;
            Fail(operation, ErrorCode.Stopping, "The node is stopping. Ask another one.");
            operation = next;
        }
    }

    private void Route(Operation operation)
    {
        if (_node.IsStopping)
        {
            Fail(operation, ErrorCode.Stopping, "The node is stopping. Ask another one.");
        }
        else if (_replicas.TryGetValue(operation.Shard, out IReplica? replica))
        {
            replica.Add(operation);
        }
        else
        {
            Fail(
                operation,
                ErrorCode.Unavailable,
                $"This node has no replica of {operation.Shard}, and cannot hand the operation on. Ask another node.");
        }
    }

    private void Tick()
    {
        ClockTicks = _node.NowTicks;
        long due = (long)ClockTicks - _lastTick;
        if (due <= 0)
        {
            return;
        }

        // After a pause ticks come in small groups, so that the messages that waited meanwhile are heard before anybody runs for election.
        // Of a long pause or a suspended machine the last ticks are enough: promises and leases go by the clock, not by them.
        int ticks = (int)Math.Min(due, MaxTicksAtOnce);
        long left = Math.Min(due - ticks, MaxTicksLate);
        _lastTick = (long)ClockTicks - left;
        _idleTicks += ticks;
        if (_idleTicks >= IdleAfterTicks && !_isIdle)
        {
            Volatile.Write(ref _isIdle, true);
        }

        Heartbeats.TellFollowers();
        _isTicking = true;
        for (int i = 0; i < ticks; i++)
        {
            foreach (ITicked replica in _ticked)
            {
                replica.Tick(_lastTick - ticks + i + 1);
            }
        }

        _isTicking = false;
        Forwards.Tick();
        Reads.Tick();
        if (left > 0)
        {
            Volatile.Write(ref _tickSignalled, 1);
        }
    }

    // Operations, elections, entries of leaders: whatever of it comes, ticks come as they should again.
    private void OnWork()
    {
        _idleTicks = 0;
        if (_isIdle)
        {
            Volatile.Write(ref _isIdle, false);
        }
    }

    private void Count(Operation operation)
    {
        _completed++;
        _completedBytes += operation.Command.Length;
    }

    private void Wake()
    {
        if (Interlocked.Exchange(ref _scheduled, 1) == 0)
        {
            _node.Environment.Workers.Schedule(Index, this);
        }
    }
}
