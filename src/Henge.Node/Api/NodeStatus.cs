using Henge.Core;
using Henge.Storage;

namespace Henge.Node.Api;

/// <summary>What a replica is in its group just now.</summary>
public enum ReplicaRole : byte
{
    /// <summary>Follows a leader, or waits for one.</summary>
    Follower,
    /// <summary>Seeks election.</summary>
    Candidate,
    /// <summary>Leads.</summary>
    Leader,
    /// <summary>Follows without a vote.</summary>
    Learner,
}

/// <summary>The state of a node.</summary>
public sealed record NodeStatus
{
    /// <summary>The id of the cluster that it belongs to; empty until the node knows it.</summary>
    public required string ClusterId { get; init; }

    /// <summary>Its name.</summary>
    public required string Name { get; init; }

    /// <summary>Its number.</summary>
    public required NodeId Id { get; init; }

    /// <summary>The address at which others reach it.</summary>
    public required string Address { get; init; }

    /// <summary>Milliseconds since it started.</summary>
    public long UptimeMs { get; init; }

    /// <summary>Its shards, in order.</summary>
    public IReadOnlyList<ShardStatus> Shards { get; init; } = [];

    /// <summary>Its engine's name.</summary>
    public string EngineName { get; init; } = "";

    /// <summary>Its engine.</summary>
    public EngineStatistics Engine { get; init; } = new();

    /// <summary>Bytes of its log's segments.</summary>
    public long LogBytes { get; init; }

    /// <summary>Segments of its log.</summary>
    public int LogSegments { get; init; }

    /// <summary>Syncs of its log since it started.</summary>
    public long LogSyncs { get; init; }

    /// <summary>
    /// Peers that this node exchanges nothing with, with the reason for each: what they were made with differs. Empty when all is well.
    /// </summary>
    public IReadOnlyList<string> RefusedPeers { get; init; } = [];
    /// <summary>Its clock beside the others'.</summary>
    public ClockStatus Clock { get; init; } = new();

    /// <summary>What it has done and has in hand.</summary>
    public NodeActivity Activity { get; init; } = new();
}

/// <summary>The state of one replica of a shard.</summary>
public sealed record ShardStatus
{
    /// <summary>Which shard.</summary>
    public required ShardId Shard { get; init; }

    /// <summary>What the replica is.</summary>
    public ReplicaRole Role { get; init; }

    /// <summary>Its term.</summary>
    public Term Term { get; init; }

    /// <summary>The leader that it knows of.</summary>
    public NodeId Leader { get; init; }

    /// <summary>First index in its log.</summary>
    public LogIndex First { get; init; }

    /// <summary>Last index in its log.</summary>
    public LogIndex Last { get; init; }

    /// <summary>Commit index.</summary>
    public LogIndex Committed { get; init; }

    /// <summary>Applied index.</summary>
    public LogIndex Applied { get; init; }

    /// <summary>The version last applied.</summary>
    public Core.Version LastVersion { get; init; }

    /// <summary>On the leader: how far the others are.</summary>
    public IReadOnlyList<PeerProgress> Peers { get; init; } = [];

    /// <summary>Who votes, as far as this replica's log says.</summary>
    public IReadOnlyList<NodeId> Voters { get; init; } = [];

    /// <summary>Who gets the log without a vote.</summary>
    public IReadOnlyList<NodeId> Learners { get; init; } = [];

    /// <summary>True while a change of voters is under way, and two majorities are needed.</summary>
    public bool IsJoint { get; init; }

    /// <summary>Why the replica does not serve; null when it does.</summary>
    public string? Error { get; init; }

    /// <summary>
    /// On the leader: a part of its state is damaged, and all other voters say so of theirs, so that none can be rebuilt from another.
    /// </summary>
    public bool IsDamagedEverywhere { get; init; }
}

/// <summary>How far a follower is, as its leader knows it.</summary>
public readonly record struct PeerProgress(NodeId Node, LogIndex Match, string State, bool Learner, bool Active, bool Damaged = false);

/// <summary>Where shards are.</summary>
public sealed record Topology
{
    /// <summary>
    /// The cluster's id, which no other cluster has; empty until the node knows it: then the addresses must not be followed.
    /// </summary>
    public required string ClusterId { get; init; }

    /// <summary>Rises with every change that this node learns of.</summary>
    public required ulong Epoch { get; init; }

    /// <summary>The nodes, by id.</summary>
    public required IReadOnlyList<NodeEntry> Nodes { get; init; }

    /// <summary>The shards, in order.</summary>
    public required IReadOnlyList<ShardPlacement> Shards { get; init; }
}

/// <summary>A node as the catalog has it.</summary>
public readonly record struct NodeEntry(NodeId Id, string Name, string Address);

/// <summary>Where a shard is.</summary>
public readonly record struct ShardPlacement(ShardId Shard, IReadOnlyList<NodeId> Replicas, NodeId Leader, Term Term);
