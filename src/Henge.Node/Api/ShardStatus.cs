using Henge.Core;
using Henge.Storage;

namespace Henge.Node.Api;

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
