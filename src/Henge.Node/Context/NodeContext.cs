using System.Diagnostics.CodeAnalysis;
using Henge.Cluster.Planning;
using Henge.Core;
using Henge.Storage;

namespace Henge.Node.Context;

/// <summary>
/// What all parts of a node share: the ground on which they stand. It knows none of them; what a part needs of another one is handed to it
/// when the node is put together (<c>Opening/</c>), or stands here as a seam. Members that change are written by the node alone and safe to
/// read from any thread.
/// </summary>
internal sealed class NodeContext
{
    /// <summary>
    /// By default a member counts as down only after this, so that a pause or an election does not move leaders about.
    /// </summary>
    public const long DefaultDownAfterMs = 15_000;

    private const long FlushIntervalMs = 1_000;
    private readonly long _startTimestamp;
    private IStorageEngine? _engine;
    private long _pendingOperations;
    private long _pendingBytes;
    private long _flushRequestedMs = -FlushIntervalMs;
    private int _dead;

    /// <summary>Creates it; what is made later is set by the node while it opens.</summary>
    public NodeContext(NodeOptions options, NodeEnvironment environment, NodeIdentity identity, IReadOnlyList<MemberInfo> members)
    {
        Options = options;
        Environment = environment;
        Identity = identity;
        Members = new MemberTable(members);
        Self = identity.NumberAmong(members);
        Sender = new PeerSender(identity.Founding.ComputeDigest(), Self, identity.Incarnation);
        Shards = new ShardMap(identity.Shards);
        _startTimestamp = environment.Time.GetTimestamp();
        Leaders = new FollowedLeaders(
            Math.Max(1, options.Workers),
            2UL * (ulong)options.HeartbeatTicks,
            2UL * (ulong)options.ElectionTicks,
            options.Bugs);
        Clock = new ClusterClock(environment.Time, _startTimestamp, WhoTellTime(), Self, options);
        Members.Changed = OnMemberChanged;
    }

    public NodeOptions Options { get; }

    public NodeEnvironment Environment { get; }

    /// <summary>Takes the events that operators should know of; null: they are discarded.</summary>
    public INodeEvents? Events => Environment.Events;

    public NodeIdentity Identity { get; }

    /// <summary>Who belongs to the cluster, as far as this node knows.</summary>
    public MemberTable Members { get; }

    public NodeId Self { get; }

    public PeerSender Sender { get; }

    public ShardMap Shards { get; }

    /// <summary>The time by which versions are given.</summary>
    public ClusterClock Clock { get; }

    /// <summary>Which shards the members lead, as far as heartbeats that shards share speak of it.</summary>
    public FollowedLeaders Leaders { get; }

    /// <summary>How long elections took.</summary>
    public ElectionTimes Elections { get; } = new();

    /// <summary>When the other members were heard of last.</summary>
    public HeardMembers Heard { get; } = new();

    /// <summary>Which replicas are near.</summary>
    public NearReplicas Near => field ??= new NearReplicas(this);

    /// <summary>How fast snapshots of shards that move are sent; as the catalog has it.</summary>
    public MoveRate MoveRate { get; } = new();

    /// <summary>A member that has been silent for as long counts as down; as the catalog has it. Thread-safe.</summary>
    public long DownAfterMs
    {
        get => Volatile.Read(ref field);
        set => Volatile.Write(ref field, value);
    } = DefaultDownAfterMs;

    /// <summary>What the node counts.</summary>
    public NodeCounters Counters { get; } = new();

    [AllowNull]
    public IStorageEngine Engine
    {
        get => _engine!;
        set => _engine = value;
    }

    /// <summary>Milliseconds since the node was made, by the monotonic clock.</summary>
    public long MonotonicMs => (long)Environment.Time.GetElapsedTime(_startTimestamp).TotalMilliseconds;

    /// <summary>The moment on <see cref="MonotonicMs"/> from which ticks are counted.</summary>
    public long TickBaseMs { get; set; }

    /// <summary>Ticks since the groups began to tick, by the clock.</summary>
    public ulong NowTicks => (ulong)Math.Max(0, (MonotonicMs - TickBaseMs) / Options.TickMs);

    /// <summary>True after <see cref="Fatal"/>: nothing is to be done any more.</summary>
    public bool IsDead => Volatile.Read(ref _dead) != 0;

    /// <summary>True once the node was told to stop: operations are refused.</summary>
    public bool IsStopping { get; set; }

    /// <summary>True while writes are refused because the disk is nearly full.</summary>
    public bool IsDiskFull { get; set; }

    /// <summary>Which data directories the members run with.</summary>
    [AllowNull]
    public IIncarnations Incarnations { get => field!; set; }

    /// <summary>What the cluster was made with, as the catalog has it.</summary>
    [AllowNull]
    public IClusterRecord Cluster { get => field!; set; }

    /// <summary>How far back history goes.</summary>
    [AllowNull]
    public HistoryWindow History { get => field!; set; }

    /// <summary>Where all shards are, as far as the node knows.</summary>
    [AllowNull]
    public ShardDirectory Directory { get => field!; set; }

    /// <summary>Where the catalog has the replicas of shards at the moment; null as long as it says nothing of it. Thread-safe.</summary>
    public TargetPlacement? Followed
    {
        get => Volatile.Read(ref field);
        set => Volatile.Write(ref field, value);
    }

    /// <summary>Operations under way.</summary>
    public long PendingOperations => Interlocked.Read(ref _pendingOperations);

    /// <summary>Raised when a leader changed.</summary>
    public Action? LeadershipChanged { get; set; }

    /// <summary>Raised when a member came, changed or left.</summary>
    public Action? MembersChanged { get; set; }

    /// <summary>Called when users, roles, or whether access is checked has changed.</summary>
    public Action? AccessChanged { get; set; }

    /// <summary>The name of a member, also of one that has left; null when unknown.</summary>
    public string? NameOf(NodeId id) => Members.TryGet(id, out MemberInfo member) ? member.Name : null;

    /// <summary>The address of a member; null when unknown, and when it has left.</summary>
    public string? AddressOf(NodeId id) => Members.TryGet(id, out MemberInfo member) && member.Belongs ? member.Address : null;

    /// <summary>Tells the transport where a member is reached.</summary>
    public void TellTransport(MemberInfo member)
    {
        if (member.Id != Self)
        {
            Environment.Transport?.SetPeer(
                new Api.NodeEntry(member.Id, member.Name, member.Belongs ? member.Address : ""),
                member.Belongs ? member.OtherAddress : "");
        }
    }

    /// <summary>
    /// True once a shard may be led here. With fewer replicas than nodes the voters of a shard need not be a majority of the cluster: as
    /// long as it is not known that a majority has made the cluster with the settings of this node, they could acknowledge what the others
    /// never hear of (docs/decisions/0156-what-is-fixed-when-a-cluster-is-made.md).
    /// </summary>
    public bool MayLeadShards =>
        Identity.Founding.ReplicationFactor >= Identity.Founding.Members.Count || Cluster.IsEstablished || Options.Bugs.LeadsBeforeCluster;

    /// <summary>Counts operations in, or says that there are too many under way.</summary>
    public bool TryAdmit(int operations, long bytes)
    {
        long count = Interlocked.Add(ref _pendingOperations, operations);
        long total = Interlocked.Add(ref _pendingBytes, bytes);
        // One alone is always let in, however large it is.
        if ((count <= Options.Limits.PendingOperations && total <= Options.Limits.PendingBytes) || count == operations)
        {
            return true;
        }

        OnCompleted(operations, bytes);
        return false;
    }

    /// <summary>Counts the node's own operations in, which are never too many.</summary>
    public void Admit(int operations) => Interlocked.Add(ref _pendingOperations, operations);

    /// <summary>Counts operations out.</summary>
    public void OnCompleted(int operations, long bytes)
    {
        Interlocked.Add(ref _pendingOperations, -operations);
        Interlocked.Add(ref _pendingBytes, -bytes);
    }

    /// <summary>Ends the node. Only the first call counts.</summary>
    public void Fatal(string message, Exception? cause)
    {
        if (Interlocked.Exchange(ref _dead, 1) == 0)
        {
            Environment.Fatal.Fatal(message, cause);
        }
    }

    /// <summary>The node is no member any more, and ends.</summary>
    public void EndAsLeft()
    {
        if (Interlocked.Exchange(ref _dead, 1) == 0)
        {
            Environment.Fatal.Left(
                $"This node, {Options.Name}, has left its cluster, in which it was member {Self}. It cannot come back under that number. To "
                    + $"have it as a new member, start it with an empty data directory and --join.");
        }
    }

    /// <summary>Asks the engine to make all it has durable, at most once in a while, so that the node log can shrink.</summary>
    public void RequestFlush()
    {
        long now = MonotonicMs;
        long last = Interlocked.Read(ref _flushRequestedMs);
        if (now - last >= FlushIntervalMs && Interlocked.CompareExchange(ref _flushRequestedMs, now, last) == last)
        {
            Engine.RequestFlush();
        }
    }

    private NodeId[] WhoTellTime() => [.. Members.Current.Where(static m => m.TellsTime).Select(static m => m.Id)];

    private void OnMemberChanged(MemberInfo member)
    {
        Clock.SetMembers(WhoTellTime());
        TellTransport(member);
        MembersChanged?.Invoke();
    }

    /// <summary>Closes the engine, if it is open.</summary>
    public void CloseEngine() => _engine?.Dispose();
}
