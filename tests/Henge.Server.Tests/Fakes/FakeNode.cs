using System.Collections.Concurrent;
using Henge.Core;
using Henge.Node;
using Henge.Node.Api;
using Henge.Storage;
using Henge.Testing.Nodes;
using Version = Henge.Core.Version;

namespace Henge.Server.Tests.Fakes;

/// <summary>
/// A real node of a cluster of one, on the memory engine and a simulated disk, with a thin layer over it: operations can be held or ended
/// by the test, reads can meet damage, and what is pinned and open is counted. What it tells of its cluster is made up: two nodes and four
/// shards.
/// </summary>
internal sealed class FakeNode : IHengeNode, IPinOwner, IDisposable
{
    private readonly Lock _lock = new();
    private readonly List<Operation> _held = [];
    private readonly ConcurrentDictionary<nint, PinnedValue> _pinned = [];
    private readonly Lazy<MemoryNode> _node;
    private long _lastPin;
    private int _openWatches;
    private ulong _epoch = 1;

    public FakeNode() => _node = new Lazy<MemoryNode>(() => new MemoryNode(Limits));

    public NodeLimits Limits { get; init; } = new();

    /// <summary>Complete on the thread that submits.</summary>
    public bool Inline { get; set; }

    /// <summary>May end or hold an operation by itself; true when it did.</summary>
    public Func<Operation, bool>? Intercept { get; set; }

    /// <summary>What reading a key throws, as a damaged table or a replica that is being rebuilt does; null: nothing.</summary>
    public Func<ReadOnlyMemory<byte>, Exception?>? ReadProblem { get; set; }

    /// <summary>What it says of where replicas are; null: what is so.</summary>
    public PlacementStatus? Placement { get; set; }

    /// <summary>Answers changes of the cluster, or throws; null: they are made.</summary>
    public Func<ClusterChange, ClusterChangeAnswer>? OnChange { get; set; }

    /// <summary>Values that are pinned now.</summary>
    public int Pins => _pinned.Count;

    /// <summary>Operations that were submitted, and in how many groups.</summary>
    public int Submitted { get; private set; }

    public int Groups { get; private set; }

    public int OpenWatches => Volatile.Read(ref _openWatches);

    /// <summary>Says whether watches stand, or throws; null: they do at once.</summary>
    public Func<bool>? WatchOpens { get; set; }

    /// <summary>The call of the watch that was opened last.</summary>
    public Action? LastWatchCall { get; private set; }

    public int Held
    {
        get
        {
            lock (_lock)
            {
                return _held.Count;
            }
        }
    }

    public long MonotonicMs => Real.MonotonicMs;

    public Version Now => Real.Now;

    /// <summary>History below it is gone, whatever the real node still has.</summary>
    public Version OldestVersion { get; set; }

    /// <summary>So many shards have no leader.</summary>
    public int Leaderless { get; set; }

    /// <summary>The trouble of the first shard.</summary>
    public string? ShardError { get; set; }

    public event Action? TopologyChanged;

    private HengeNode Real => _node.Value.Node;

    public void Submit(Operation operation) => Submit([operation]);

    public void Submit(ReadOnlySpan<Operation> operations)
    {
        List<Operation> rest = [];
        lock (_lock)
        {
            Submitted += operations.Length;
            Groups++;
        }

        foreach (Operation operation in operations)
        {
            if (Intercept?.Invoke(operation) != true)
            {
                rest.Add(operation);
            }
        }

        SubmitReal(rest.ToArray());
    }

    /// <summary>For <see cref="Intercept"/>: keeps an operation until <see cref="ReleaseHeld"/>.</summary>
    public bool Hold(Operation operation)
    {
        lock (_lock)
        {
            _held.Add(operation);
        }

        return true;
    }

    public void ReleaseHeld()
    {
        Operation[] held;
        lock (_lock)
        {
            held = [.. _held];
            _held.Clear();
        }

        SubmitReal(held);
    }

    public unsafe bool TryRead(Operation get, out PinnedValue value)
    {
        value = default;
        if (ReadProblem?.Invoke(get.Key) is { } problem)
        {
            throw problem;
        }

        CheckHistory(get.ReadVersion.IsZero ? Version.Max : get.ReadVersion);
        if (!Real.TryRead(get, out PinnedValue pinned))
        {
            return false;
        }

        nint token = (nint)Interlocked.Increment(ref _lastPin);
        _pinned[token] = pinned;
        fixed (byte* bytes = pinned.Span)
        {
            // The engine's own memory, which does not move.
            value = new PinnedValue(this, token, bytes, pinned.Span.Length, pinned.Version, pinned.ExpiresAtMs, pinned.Type);
        }

        return true;
    }

    public void Unpin(nint token)
    {
        Assert.True(_pinned.TryRemove(token, out PinnedValue pinned), "a value was let go of twice");
        pinned.Dispose();
    }

    public ScanEnd Scan(in ScanQuery query, IScanReceiver receiver)
    {
        if (ReadProblem?.Invoke(query.Lower) is { } problem)
        {
            throw problem;
        }

        CheckHistory(query.Version);
        return Real.Scan(query, receiver);
    }

    public ScanEnd History(ReadOnlyMemory<byte> key, Version newest, int limit, IScanReceiver receiver) =>
        Real.History(key, newest, limit, receiver);

    public IWatch OpenWatch(WatchQuery query, Action onAvailable)
    {
        if (!query.Start.IsZero)
        {
            CheckHistory(query.Start);
        }

        LastWatchCall = onAvailable;
        IWatch watch = Real.OpenWatch(query, onAvailable);
        Interlocked.Increment(ref _openWatches);
        return new CountedWatch(this, watch);
    }

    /// <summary>What it says of clocks.</summary>
    public ClockStatus Clock { get; set; } = new();

    /// <summary>What it says that it did.</summary>
    public NodeActivity Activity { get; set; } = new();

    public NodeStatus GetStatus() => new()
    {
        Clock = Clock,
        Activity = Activity,
        ClusterId = "fake",
        Name = "node1",
        Id = new NodeId(1),
        Address = "127.0.0.1:1",
        UptimeMs = 5,
        EngineName = "fake",
        Shards =
        [
            .. Enumerable.Range(0, 4).Select(i => new ShardStatus
            {
                Shard = new ShardId((uint)i),
                Role = ReplicaRole.Leader,
                Term = new Term(3),
                Leader = new NodeId(1),
                Committed = new LogIndex(7),
                Applied = new LogIndex(7),
                LastVersion = new Version(7),
                Error = i == 0 ? ShardError : null,
            }),
        ],
    };

    /// <summary>What is told in place of the made-up topology.</summary>
    public Topology? Told { get; set; }

    /// <summary>How often the topology was asked for.</summary>
    public int TopologiesRead { get; private set; }

    public Topology GetTopology()
    {
        TopologiesRead++;
        return Told ?? MadeUpTopology();
    }

    private Topology MadeUpTopology() => new()
    {
        ClusterId = "fake",
        Epoch = Volatile.Read(ref _epoch),
        Nodes = [new NodeEntry(new NodeId(1), "node1", "127.0.0.1:1"), new NodeEntry(new NodeId(2), "node2", "127.0.0.1:9")],
        Shards =
        [
            .. Enumerable.Range(0, 4).Select(i => new ShardPlacement(
                new ShardId((uint)i), [new NodeId(1), new NodeId(2)], i < Leaderless ? NodeId.None : new NodeId(1), new Term(3))),
        ],
    };

    /// <summary>Tells another leader of a shard.</summary>
    public void ChangeLeader(int shard, ulong leader, ulong term)
    {
        Topology now = GetTopology();
        ShardPlacement[] shards = [.. now.Shards];
        shards[shard] = shards[shard] with { Leader = new NodeId(leader), Term = new Term(term) };
        Told = now with { Shards = shards };
        ChangeTopology();
    }

    public void ChangeTopology()
    {
        Interlocked.Increment(ref _epoch);
        TopologyChanged?.Invoke();
    }

    public void Join(JoinRequest request, long deadlineMs, Action<JoinAnswer?, HengeException?> answered) =>
        Real.Join(request, deadlineMs, answered);

    public void Change(ClusterChange change, long deadlineMs, Action<ClusterChangeAnswer?, HengeException?> answered)
    {
        if (OnChange is null)
        {
            Real.Change(change, deadlineMs, answered);
            return;
        }

        try
        {
            answered(OnChange(change), null);
        }
        catch (HengeException e)
        {
            answered(null, e);
        }
    }

    public IClusterRecovery Recovery => Real.Recovery;

    public PlacementStatus GetPlacement() => Placement ?? Real.GetPlacement();

    public void TransferLeader(ShardId shard, NodeId to)
    {
        if (shard.Value == 3)
        {
            throw new HengeException(ErrorCode.Unavailable, "The other node is too far behind.");
        }
    }

    /// <summary>Stops the node. A test that forgets leaves it to the end of the process.</summary>
    public void Dispose()
    {
        if (_node.IsValueCreated)
        {
            _node.Value.Dispose();
        }
    }

    private void SubmitReal(Operation[] operations)
    {
        if (operations.Length == 0)
        {
            return;
        }

        HengeNode node = Real;
        if (!Inline)
        {
            node.Submit(operations);
            return;
        }

        // What this thread schedules, it runs itself, until all is done; elections at the start need the ticker's help.
        using (_node.Value.Scheduler.RunHere())
        {
            node.Submit(operations);
            _node.Value.Scheduler.Pump();
        }
    }

    private void CheckHistory(Version version)
    {
        if (version < OldestVersion)
        {
            throw new HengeException(ErrorCode.HistoryGone, $"History below version {OldestVersion} is gone.");
        }
    }

    private sealed class CountedWatch(FakeNode node, IWatch watch) : IWatch
    {
        private int _isClosed;

        public byte[] ResumeToken => watch.ResumeToken;

        public bool TryOpen() => node.WatchOpens?.Invoke() ?? watch.TryOpen();

        public bool TryRead(IWatchReceiver receiver, int limitItems, int limitBytes)
        {
            if (node.OldestVersion == Version.Max)
            {
                throw new HengeException(
                    ErrorCode.HistoryGone,
                    $"The watch fell behind: history below version {node.OldestVersion} is gone.");
            }

            return watch.TryRead(receiver, limitItems, limitBytes);
        }

        public void Dispose()
        {
            watch.Dispose();
            if (Interlocked.Exchange(ref _isClosed, 1) == 0)
            {
                Interlocked.Decrement(ref node._openWatches);
            }
        }
    }
}
