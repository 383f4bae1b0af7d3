using Henge.Core;

namespace Henge.Node.Api;

/// <summary>A node's wall clock beside those of the other members, in milliseconds.</summary>
public sealed record ClockStatus
{
    /// <summary>False until the clocks of a majority are known: shards that the node leads take no writes before that.</summary>
    public bool IsKnown { get; init; } = true;

    /// <summary>
    /// True while clocks that are not known could decide between some that are and contradict each other: shards that have no version yet,
    /// and are led by the node, take no writes.
    /// </summary>
    public bool IsContested { get; init; }

    /// <summary>How far it is ahead of what a majority of the members' clocks say; negative: behind.</summary>
    public long SkewMs { get; init; }

    /// <summary>True when it is further off than the node's bound, so that the majority's time is used in its place.</summary>
    public bool IsOverruled { get; init; }

    /// <summary>How far the versions of a shard here are ahead of that time, in the shard where it is most; 0 when none is.</summary>
    public long VersionLeadMs { get; init; }

    /// <summary>What is known of the others.</summary>
    public IReadOnlyList<PeerClockStatus> Peers { get; init; } = [];
}

/// <summary>A peer's clock as a node sees it.</summary>
/// <param name="Node">The peer.</param>
/// <param name="AheadMs">How far it is ahead of the node's own clock; negative: behind.</param>
/// <param name="UncertaintyMs">By how much that may be wrong.</param>
public readonly record struct PeerClockStatus(NodeId Node, long AheadMs, long UncertaintyMs);
