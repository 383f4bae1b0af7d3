using Henge.Core;
using Henge.Storage;

namespace Henge.Node.Api;

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

    /// <summary>Peers that this node has a connection with.</summary>
    public IReadOnlyCollection<NodeId> ConnectedPeers { get; init; } = [];

    /// <summary>
    /// Peers that this node exchanges nothing with, with the reason for each: what they were made with differs. Empty when all is well.
    /// </summary>
    public IReadOnlyList<string> RefusedPeers { get; init; } = [];
    /// <summary>Its clock beside the others'.</summary>
    public ClockStatus Clock { get; init; } = new();

    /// <summary>What it has done and has in hand.</summary>
    public NodeActivity Activity { get; init; } = new();
}
