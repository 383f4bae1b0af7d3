using System.Collections.Concurrent;
using Henge.Core;
using Henge.Node.Access;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Moves;
using Henge.Node.Opening;
using Henge.Node.Reads;
using Henge.Node.Remote;
using Henge.Node.Replication;
using Henge.Node.StateMachine;
using Henge.Node.Workers;
using Henge.Raft;
using Henge.Storage;

namespace Henge.Node;

/// <summary>
/// A node of a cluster; of a cluster of one, too, which is a Raft group with one voter and nothing else. Starts no thread and reads no
/// clock of its own: all of that comes in through <see cref="NodeEnvironment"/>. Open it, <see cref="Start"/> it, call <see cref="Tick"/>
/// every <see cref="NodeOptions.TickMs"/>; to end it, <see cref="BeginStop"/>, wait for its call, and dispose of it. Thread-safe.
/// </summary>
public sealed partial class HengeNode : IHengeNode, IAccessControl, IPeerReceiver, IDisposable
{
    private const int SpaceTicks = 20;
    private const long PreferMs = 10_000;
    private readonly NodeContext _context;
    private readonly NodeParts _parts;
    private readonly OperationRouter _router;
    private readonly NodeStatusReader _status;
    private readonly TopologyReader _topology;
    private readonly PeerInbox _inbox;
    private readonly NodeUpkeep _upkeep;
    private readonly ConcurrentDictionary<NodeId, bool> _connected = [];
    private long _epoch = 1;
    private long _ticks;
    private int _stopping;
    private int _disposed;

    private HengeNode(NodeParts parts)
    {
        _parts = parts;
        _context = parts.Context;
        _router = new OperationRouter(parts);
        _status = new NodeStatusReader(parts);
        _topology = new TopologyReader(parts.Context);
        _inbox = new PeerInbox(
            _context,
            parts.Workers,
            parts.Incarnations,
            parts.Clocks,
            parts.Messages,
            parts.News,
            parts.Subscriptions,
            new PageExchange(parts.Pages, parts.PageServer),
            parts.Reports);
        _upkeep = new NodeUpkeep(parts);
        _context.LeadershipChanged = OnTopologyChanged;
        _context.Directory.Changed += _ => OnTopologyChanged();
        _context.MembersChanged = OnTopologyChanged;
        _context.AccessChanged = OnAccessChanged;
    }

    /// <inheritdoc/>
    public event Action? TopologyChanged;

    /// <inheritdoc/>
    public NodeLimits Limits => _context.Options.Limits;

    /// <inheritdoc/>
    public long MonotonicMs => _context.MonotonicMs;

    /// <inheritdoc/>
    public Core.Version Now => _context.Clock.Now;

    /// <inheritdoc/>
    public Core.Version OldestVersion => _context.History.Floor;

    /// <summary>Its settings.</summary>
    public NodeOptions Options => _context.Options;

    /// <summary>Its number in the cluster.</summary>
    public NodeId Id => _context.Self;

    /// <summary>The cluster's id; empty until a majority of the nodes has made the cluster and this one knows of it.</summary>
    public string ClusterId => _context.Cluster.Id;

    /// <summary>Messages between the doors of nodes, which may be lost.</summary>
    public IPeerMessages Messages => _parts.Messages;

    /// <summary>Its parts, for the simulator.</summary>
    internal NodeParts Parts => _parts;

    /// <summary>
    /// Opens the data directory and restores everything in it. Throws <see cref="HengeException"/>: Misconfigured (the directory belongs to
    /// another node, or to a cluster of other nodes), Locked, Corruption, UnsupportedFormat, InvalidArgument (a bad setting).
    /// </summary>
    public static HengeNode Open(NodeOptions options, NodeEnvironment environment) => new(NodeOpening.Open(options, environment));

    /// <summary>Begins to take part in the cluster. Call it once.</summary>
    public void Start()
    {
        _context.TickBaseMs = _context.MonotonicMs;
        foreach (MemberInfo member in _context.Members.All)
        {
            _context.TellTransport(member);
        }

        _context.Environment.Transport?.Start(this);
        foreach (Worker worker in _parts.Workers)
        {
            worker.Post(new WorkerAction(static w => w.Begin()));
        }
    }

    /// <summary>Says that time may have passed. How much has is read from the clock.</summary>
    public void Tick()
    {
        if (_context.IsDead || _context.IsStopping)
        {
            return;
        }

        foreach (Worker worker in _parts.Workers)
        {
            worker.SignalTick();
        }

        _parts.News.Tick();
        _parts.Subscriptions.Tick();
        _parts.Pages.Tick();
        _upkeep.LookForDamage();
        _upkeep.GoOn();
        if (++_ticks % SpaceTicks == 0)
        {
            _parts.Log.CheckSpace();
            _upkeep.Run();
        }
    }

    /// <inheritdoc/>
    public void Submit(Operation operation) => _router.Submit(operation);

    /// <inheritdoc/>
    public void Submit(ReadOnlySpan<Operation> operations) => _router.Submit(operations);

    /// <inheritdoc/>
    public bool TryRead(Operation get, out PinnedValue value)
    {
        if (get.Remote is { } remote)
        {
            return remote.TryRead(out value);
        }

        if (!_parts.Hosted.TryGet(get.Shard, out ShardReplica? replica))
        {
            throw new HengeException(ErrorCode.Unavailable, $"This node has no replica of {get.Shard} any more. Try again.");
        }

        return NodeReads.TryRead(get, replica.Machine, _context, out value);
    }

    /// <inheritdoc/>
    public ScanEnd Scan(in ScanQuery query, IScanReceiver receiver) => _parts.Reads.Scan(query, receiver);

    /// <inheritdoc/>
    public ScanEnd History(ReadOnlyMemory<byte> key, Core.Version newest, int limit, IScanReceiver receiver) =>
        _parts.Reads.History(key, newest, limit, receiver);

    /// <inheritdoc/>
    public bool HasAllShardsAt(Core.Version version) => _parts.Hosted.ServesAllAt(version);

    /// <inheritdoc/>
    public ScanEnd ReadPage(PageFetch page, IScanReceiver receiver) => _parts.Reads.Read(page, receiver);

    /// <inheritdoc/>
    public IWatch OpenWatch(WatchQuery query, Action onAvailable) => _parts.Watches.Open(query, onAvailable);

    /// <inheritdoc/>
    public NodeStatus GetStatus() => _status.Read([.. _connected.Keys]);

    /// <inheritdoc/>
    public Topology GetTopology() => _topology.Read((ulong)Interlocked.Read(ref _epoch));

    /// <inheritdoc/>
    public void Join(JoinRequest request, long deadlineMs, Action<JoinAnswer?, HengeException?> answered) =>
        _parts.Members.Join(request, deadlineMs, answered);

    /// <inheritdoc/>
    public void Change(ClusterChange change, long deadlineMs, Action<ClusterChangeAnswer?, HengeException?> answered) =>
        _parts.Admin.Change(change, deadlineMs, answered);

    /// <inheritdoc/>
    public PlacementStatus GetPlacement() =>
        _parts.Admin.Read(
            _parts.Hosted[ShardId.Catalog].Status,
            [.. _parts.Hosted.All.Select(static replica => replica.Move).OfType<ShardMove>()]);

    /// <summary>
    /// Has a member go to another state, if the catalog says that it is in one of those given, and calls back when the catalog has it, or
    /// with why it cannot be. Thread-safe.
    /// </summary>
    internal void SetMemberState(
        NodeId member,
        IReadOnlyList<MemberState> from,
        MemberState to,
        long deadlineMs,
        Action<HengeException?> ended) => _parts.Members.SetState(member, from, to, deadlineMs, ended);

    /// <inheritdoc/>
    public void TransferLeader(ShardId shard, NodeId to)
    {
        ShardReplica? replica = ReplicaOf(shard);
        RequireMember(to);
        if (replica is null || replica.Leader != _context.Self)
        {
            throw new HengeException(
                ErrorCode.NotLeader,
                $"This node does not lead {shard}; "
                    + (_context.AddressOf(replica?.Leader ?? NodeId.None) is { } address
                        ? $"its leader is at {address}."
                        : "its leader is not known yet.")
            );
        }

        if (replica.Status.Peers.Any(peer => peer.Node == to && peer.Damaged))
        {
            throw new HengeException(
                ErrorCode.Unavailable,
                $"A part of the state of {shard} is damaged on {_context.NameOf(to)}, which is being rebuilt from its "
                    + $"leader. Hand over to another member, or when it is whole.");
        }

        // Whether it works shows in the topology: the leader may have changed by the time the worker gets to it.
        replica.Worker.Post(new WorkerAction(_ =>
        {
            if (replica.TransferLeadership(to) is { } problem)
            {
                _context.Events?.LeadershipTransferRefused(shard, _context.NameOf(to) ?? to.ToString(), problem);
            }
            else if (_context.Options.MovesShards && !shard.IsCatalog)
            {
                _parts.Admin.Prefer(shard, to, _context.MonotonicMs + PreferMs);
            }
        }));
    }

    /// <summary>
    /// Has the leader of a shard, if it is this node, change who votes and who only gets the log, by joint consensus (Raft paper, section
    /// 6). Members of the cluster that are in neither list leave the shard, and drop what they have of it once nobody counts on that; they
    /// can come back as learners, as can nodes that never had a replica. A new voter has to be a learner first, and to have caught up, by a
    /// snapshot if need be.
    /// </summary>
    /// <param name="shard">Not the catalog.</param>
    /// <param name="voters">At least one; only members of the cluster.</param>
    /// <param name="learners">None of them a voter.</param>
    /// <param name="answered">
    /// Called once, on a worker: whether the change stands in the leader's log, or why not. It is in force everywhere when
    /// <see cref="ShardStatus.Voters"/> and <see cref="ShardStatus.Learners"/> say so and <see cref="ShardStatus.IsJoint"/> does not. Not
    /// called when the node stops first.
    /// </param>
    /// <exception cref="HengeException"><see cref="ErrorCode.InvalidArgument"/>: no such shard or node.</exception>
    public void ChangeMembership(
        ShardId shard,
        IReadOnlyList<NodeId> voters,
        IReadOnlyList<NodeId> learners,
        Action<MembershipStatus> answered)
    {
        CheckShard(shard);
        foreach (NodeId id in voters.Concat(learners))
        {
            RequireMember(id);
        }

        // Looked for on the worker: it may come or go meanwhile.
        _parts.WorkerOf(shard).Post(new WorkerAction(_ => answered(
            ReplicaOf(shard)?.ChangeMembership(voters, learners) ?? MembershipStatus.NotLeader)));
    }

    /// <summary>
    /// Refuses new operations, fails those that wait, and calls <paramref name="stopped"/> once nothing runs any more; then dispose of the
    /// node. What was acknowledged is durable whether or not this is called.
    /// </summary>
    public void BeginStop(Action stopped)
    {
        if (Interlocked.Exchange(ref _stopping, 1) != 0)
        {
            return;
        }

        _context.IsStopping = true;
        _parts.Members.Changes.Stop();
        int missing = _parts.Workers.Length + 1;
        void OnStopped()
        {
            if (Interlocked.Decrement(ref missing) == 0)
            {
                _parts.Lanes.Stop(() => _parts.Log.Stop(stopped));
            }
        }

        _parts.Pages.Stop();
        _parts.Subscriptions.Stop(OnStopped);
        foreach (Worker worker in _parts.Workers)
        {
            worker.Post(new WorkerAction(w =>
            {
                w.Stop();
                OnStopped();
            }));
        }
    }

    /// <summary>Closes the files. Nothing of the node may be running: see <see cref="BeginStop"/>.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            _parts.Dispose();
        }
    }

    /// <inheritdoc/>
    byte[] IPeerReceiver.HelloTo(NodeId peer) => _parts.Hellos.HelloTo(peer);

    /// <inheritdoc/>
    bool IPeerReceiver.OnHello(ReadOnlySpan<byte> frame, out NodeId peer)
    {
        bool isAccepted = _parts.Hellos.OnHello(frame, out peer);
        if (isAccepted)
        {
            _connected[peer] = true;
        }

        return isAccepted;
    }

    /// <inheritdoc/>
    void IPeerReceiver.OnFrame(ReadOnlySpan<byte> frame)
    {
        if (!_context.IsDead && !_context.IsStopping)
        {
            _inbox.OnFrame(frame);
        }
    }

    /// <inheritdoc/>
    void IPeerReceiver.OnDisconnected(NodeId peer)
    {
        _connected.TryRemove(peer, out _);
        _context.Directory.OnDisconnected(peer);
        _parts.Pages.OnDisconnected(peer);
        foreach (Worker worker in _parts.Workers)
        {
            worker.Post(new WorkerAction(w =>
            {
                w.Forwards.OnDisconnected(peer);
                w.Reads.OnDisconnected(peer);
            }));
        }

        if (!_context.IsDead && !_context.IsStopping)
        {
            _parts.Subscriptions.OnDisconnected(peer);
        }
    }

    private ShardReplica? ReplicaOf(ShardId shard)
    {
        CheckShard(shard);
        return _parts.Hosted.TryGet(shard, out ShardReplica? replica) ? replica : null;
    }

    private void CheckShard(ShardId shard)
    {
        if (shard.Value >= (uint)_context.Shards.Count)
        {
            throw new HengeException(
                ErrorCode.InvalidArgument,
                $"There is no shard {shard.Value}; the cluster has {_context.Shards.Count}, counted from 0.");
        }
    }

    private void RequireMember(NodeId id)
    {
        if (_context.AddressOf(id) is null)
        {
            throw new HengeException(ErrorCode.InvalidArgument, $"There is no node {id} in the cluster.");
        }
    }

    private void OnTopologyChanged()
    {
        Interlocked.Increment(ref _epoch);
        TopologyChanged?.Invoke();
    }
}
