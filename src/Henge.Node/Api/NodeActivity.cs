using Henge.Storage;

namespace Henge.Node.Api;

/// <summary>What a node has done since it started, and what it has in hand, for operators' graphs.</summary>
public sealed record NodeActivity
{
    /// <summary>Elections of shards (the catalog's too) that this node won.</summary>
    public long ElectionsWon { get; init; }

    /// <summary>How long the latest of them took, at most 128, oldest first.</summary>
    public IReadOnlyList<ElectionTime> ElectionTimes { get; init; } = [];

    /// <summary>How often a replica here learned of another leader or term.</summary>
    public long LeaderChanges { get; init; }

    /// <summary>Log entries that this node proposed as a leader, for callers.</summary>
    public long EntriesProposed { get; init; }

    /// <summary>Commands in those entries: divided by <see cref="EntriesProposed"/>, the size of a batch.</summary>
    public long CommandsProposed { get; init; }

    /// <summary>Rounds of the read barrier that this node began; all reads of a shard that wait when one begins share it.</summary>
    public long ReadRounds { get; init; }

    /// <summary>How often a leader here held writes back because its engine could take no more.</summary>
    public long WriteStalls { get; init; }

    /// <summary>How often a leader here did not close a shard's history at a version, because it lay too far ahead of its clock.</summary>
    public long AdvancesRefused { get; init; }

    /// <summary>Snapshots of shards that are on their way from this node to others.</summary>
    public long SnapshotsSending { get; init; }

    /// <summary>Bytes of snapshots that were sent to other nodes, without what was sent again.</summary>
    public long SnapshotBytesSent { get; init; }

    /// <summary>Shards led here that are on their way to other members.</summary>
    public int MovesUnderWay { get; init; }

    /// <summary>Those of them that have not got on for half a minute.</summary>
    public int MovesStuck { get; init; }

    /// <summary>On the catalog's leader: shards that are to move and have not begun to.</summary>
    public int MovesWaiting { get; init; }

    /// <summary>On the catalog's leader: what the plan of replicas cannot do, such as replicas for which there is no place.</summary>
    public int PlanProblems { get; init; }

    /// <summary>Watches that ended because they fell behind what history keeps.</summary>
    public long WatchesLost { get; init; }

    /// <summary>Watches that are open.</summary>
    public int Watches { get; init; }

    /// <summary>Watches that read history just now, because they fell behind or began in the past.</summary>
    public int WatchesInHistory { get; init; }

    /// <summary>Reads that found a damaged part of a shard's state.</summary>
    public long DamagedReads { get; init; }

    /// <summary>Operations under way.</summary>
    public long PendingOperations { get; init; }

    /// <summary>How far writes are ahead of flushes and compactions.</summary>
    public WritePressure Pressure { get; init; }

    /// <summary>True while writes are refused because the disk is nearly full.</summary>
    public bool IsDiskFull { get; init; }
}

/// <summary>How long an election took, seen by the node that won it, by its monotonic clock.</summary>
/// <param name="Round">From being a candidate, which has yet to make its own vote durable, to leading.</param>
/// <param name="WithPreVote">The same with the PreVote before it, from when the node first asked the others.</param>
public readonly record struct ElectionTime(TimeSpan Round, TimeSpan WithPreVote);
