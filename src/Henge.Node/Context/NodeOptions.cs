using Henge.Core;
using Henge.Node.Api;
using Henge.Raft;

namespace Henge.Node.Context;

/// <summary>A node as the cluster list names it.</summary>
/// <param name="Name">The node's name, unique in the cluster.</param>
/// <param name="Address">Host and port at which the others and clients reach it.</param>
public readonly record struct ClusterMember(string Name, string Address);

/// <summary>Settings of a node. Times are in milliseconds, sizes in bytes.</summary>
public sealed record NodeOptions
{
    /// <summary>Shards of a new cluster for which no number is given.</summary>
    public const int DefaultShards = 16;

    /// <summary>This node's name; one of <see cref="Cluster"/>.</summary>
    public required string Name { get; init; }

    /// <summary>All nodes, the same list on each. One: a cluster of one. Empty: this node alone, at <see cref="Address"/>.</summary>
    public IReadOnlyList<ClusterMember> Cluster { get; init; } = [];

    /// <summary>The address of this node when <see cref="Cluster"/> is empty.</summary>
    public string Address { get; init; } = "";

    /// <summary>Where this node stands, so that replicas are spread over zones; empty: as the cluster knows it.</summary>
    public string Zone { get; init; } = "";

    /// <summary>
    /// How much of the data this node takes, compared with others, 1 to 10,000; 0: as the cluster knows it, 100 for a new node.
    /// </summary>
    public int Weight { get; init; }

    /// <summary>Tells clusters with the same list apart; the same on each node. May be empty.</summary>
    public string ClusterToken { get; init; } = "";

    /// <summary>The directory that holds everything of this node.</summary>
    public required string DataDirectory { get; init; }

    /// <summary>
    /// Shards of a new cluster, 1 to 4096; 0: as the cluster has, <see cref="DefaultShards"/> for a new one. A cluster keeps the number
    /// that it was created with.
    /// </summary>
    public int Shards { get; init; }

    /// <summary>
    /// Replicas of each shard of a new cluster, once it has as many nodes: until then each node has one. 0: as the cluster has,
    /// <see cref="DefaultReplicationFactor"/> for a new one. Later the catalog says how many there are to be.
    /// </summary>
    public int ReplicationFactor { get; init; }

    /// <summary>Replicas of each shard of a new cluster that nothing else was said for.</summary>
    public const int DefaultReplicationFactor = 3;

    /// <summary>How long every version of a key is kept.</summary>
    public long HistoryMs { get; init; } = 3_600_000;

    /// <summary>
    /// How far this node's wall clock may be from what a majority of the members' clocks say and still be used; and how far beyond its
    /// shard's time another node may ask a leader to go, at least 1.
    /// </summary>
    public long MaxClockSkewMs { get; init; } = 500;

    /// <summary>How reads with <see cref="ReadConsistency.Default"/> are made sure of.</summary>
    public ReadConsistency Reads { get; init; } = ReadConsistency.Linearizable;

    /// <summary>Limits on what may be asked.</summary>
    public NodeLimits Limits { get; init; } = new();

    /// <summary>Workers; 0: the host chooses by the processors there are (the core takes 0 as 1).</summary>
    public int Workers { get; init; }

    /// <summary>Milliseconds between two calls of the node's Tick.</summary>
    public int TickMs { get; init; } = 10;

    /// <summary>Ticks between two heartbeats of a leader.</summary>
    public int HeartbeatTicks { get; init; } = 5;

    /// <summary>
    /// Ticks without a leader before a follower seeks election, at least; the actual number is drawn from here to twice this.
    /// </summary>
    public int ElectionTicks { get; init; } = 15;

    /// <summary>The deadline of operations that name none.</summary>
    public int DefaultDeadlineMs { get; init; } = 5_000;

    /// <summary>
    /// Bytes of commands in one Raft entry; one command is always let in. With <see cref="PeerFrameBytes"/> below what .NET takes for a
    /// large object (85,000 bytes), which only full collections give back.
    /// </summary>
    public int EntryBytes { get; init; } = 32 * 1024;

    /// <summary>Bytes of one segment of the node log.</summary>
    public int LogSegmentBytes { get; init; } = 64 * 1024 * 1024;

    /// <summary>Bytes of the node log above which the engine is asked to flush, so that segments become free.</summary>
    public long LogBudgetBytes { get; init; } = 512L * 1024 * 1024;

    /// <summary>Bytes of recent log entries kept in memory for replication, by the whole node.</summary>
    public long LogCacheBytes { get; init; } = 16L * 1024 * 1024;

    /// <summary>Entries kept behind the durable position, so that a follower that was away shortly needs no snapshot.</summary>
    public int LogKeepEntries { get; init; } = 5_000;

    /// <summary>Bytes of one frame to a peer, about.</summary>
    public int PeerFrameBytes { get; init; } = 48 * 1024;

    /// <summary>Bytes of one chunk of a snapshot, about.</summary>
    public int SnapshotChunkBytes { get; init; } = 60 * 1024;

    /// <summary>Bytes free on the disk below which writes are refused.</summary>
    public long DiskReserveBytes { get; init; } = 64L * 1024 * 1024;

    /// <summary>Milliseconds between two steps of bringing leaders to their preferred nodes; 0: never.</summary>
    public int BalanceIntervalMs { get; init; } = 2_000;

    /// <summary>Elections that the shards of one worker begin at a time, at the most.</summary>
    internal int ElectionsAtOnce { get; init; } = 64;

    /// <summary>
    /// Whether the node plans where replicas are to be when it leads the catalog. Off only where something else moves them, in tests.
    /// </summary>
    internal bool MovesShards { get; init; } = true;

    /// <summary>Deliberate bugs, for the simulator to prove that it would find them.</summary>
    internal RaftBugs RaftBugs { get; init; }

    /// <summary>Deliberate bugs of the node itself, for the same end.</summary>
    internal NodeBugs Bugs { get; init; }

    /// <summary>Bounds of sessions; they belong to the format level, and only the simulator makes others.</summary>
    internal SessionLimits Sessions { get; init; } = SessionLimits.Default;

    /// <summary>Most sessions that a shard remembers.</summary>
    public int SessionLimit { get; init; } = 10_000;

    /// <summary>
    /// The members with their ids, in order: ids count from 1 in the order of names, so that all nodes agree. Throws
    /// <see cref="HengeException"/> (InvalidArgument, Misconfigured) for a list that names a node twice, or not this one.
    /// </summary>
    public IReadOnlyList<NodeEntry> ListMembers() =>
        [.. NodeIdentity.MembersOf(this).Select(static (m, i) => new NodeEntry(new NodeId((ulong)i + 1), m.Name, m.Address))];
}
