using Henge.Core;

namespace Henge.Node.Api;

/// <summary>Where replicas are to be, as a node has applied it of the catalog, and how shards that it leads get there.</summary>
public sealed record PlacementStatus
{
    /// <summary>False while the node has read nothing of the catalog; then there is nothing else.</summary>
    public bool IsKnown { get; init; }

    /// <summary>Rises with each plan.</summary>
    public ulong Generation { get; init; }

    /// <summary>How many replicas each shard shall have.</summary>
    public int ReplicationFactor { get; init; }

    /// <summary>All that are or were members, by number.</summary>
    public IReadOnlyList<NodeEntry> Members { get; init; } = [];

    /// <summary>Who votes in the catalog.</summary>
    public IReadOnlyList<NodeId> CatalogVoters { get; init; } = [];

    /// <summary>Who leads the catalog, and so plans.</summary>
    public NodeId Planner { get; init; }

    /// <summary>The shards, in order.</summary>
    public IReadOnlyList<ShardTarget> Shards { get; init; } = [];

    /// <summary>The cluster's settings.</summary>
    public IReadOnlyList<ClusterSetting> Settings { get; init; } = [];

    /// <summary>Shards that this node leads and that are on their way.</summary>
    public IReadOnlyList<MoveStatus> Moves { get; init; } = [];

    /// <summary>What the last plan could not place, if this node made it.</summary>
    public IReadOnlyList<PlacementProblem> Problems { get; init; } = [];
}

/// <summary>Where a shard is and is to be.</summary>
/// <param name="Shard">Which shard.</param>
/// <param name="Leader">Who leads it.</param>
/// <param name="Voters">Its replicas that vote.</param>
/// <param name="Learners">Those that are being made.</param>
/// <param name="Followed">Where it goes at the moment, the one that shall lead first.</param>
/// <param name="Planned">Where the plan has it.</param>
public sealed record ShardTarget(
    ShardId Shard,
    NodeId Leader,
    IReadOnlyList<NodeId> Voters,
    IReadOnlyList<NodeId> Learners,
    IReadOnlyList<NodeId> Followed,
    IReadOnlyList<NodeId> Planned);

/// <summary>How a shard gets on to where it shall be, as its leader knows it.</summary>
/// <param name="Shard">Which shard.</param>
/// <param name="Step">What is done next, as a word for programs.</param>
/// <param name="Wait">What that waits for, as a word for programs; empty for nothing.</param>
/// <param name="WaitsFor">Which members it waits for.</param>
/// <param name="EntriesLeft">Entries of the log that new replicas lack.</param>
/// <param name="BytesLeft">Bytes of snapshots that are still to be sent; 0 also when that is not known.</param>
/// <param name="BytesSent">Bytes of snapshots under way that have been taken in.</param>
/// <param name="StalledMs">For how long nothing has come nearer.</param>
/// <param name="IsStuck">That is so long that somebody should look.</param>
public sealed record MoveStatus(
    ShardId Shard,
    string Step,
    string Wait,
    IReadOnlyList<NodeId> WaitsFor,
    ulong EntriesLeft,
    long BytesLeft,
    long BytesSent,
    long StalledMs,
    bool IsStuck);

/// <summary>A setting of the cluster.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Value">Its value.</param>
/// <param name="Default">What it is when nobody has set it.</param>
/// <param name="IsSet">Somebody has set it.</param>
/// <param name="Unit">In what it is counted: <c>ms</c>, or empty.</param>
/// <param name="Least">The least value.</param>
/// <param name="Most">The highest value.</param>
/// <param name="Text">What it does.</param>
public sealed record ClusterSetting(
    string Name,
    long Value,
    long Default,
    bool IsSet,
    string Unit,
    long Least,
    long Most,
    string Text);
