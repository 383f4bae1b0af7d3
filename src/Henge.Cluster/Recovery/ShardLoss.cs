using Henge.Core;

namespace Henge.Cluster.Recovery;

/// <summary>What can be had of a shard, and what may be lost.</summary>
public sealed record ShardLoss
{
    /// <summary>Which shard.</summary>
    public required ShardId Shard { get; init; }

    /// <summary>What has become of it.</summary>
    public required LossKind Kind { get; init; }

    /// <summary>From whom it can be recovered; none when it is gone.</summary>
    public NodeId Best { get; init; }

    /// <summary>The highest version that is kept.</summary>
    public Core.Version KeptVersion { get; init; }

    /// <summary>The last entry of the log that is kept.</summary>
    public LogIndex Kept { get; init; }

    /// <summary>
    /// Whatever was acknowledged up to this version is kept for certain. What was acknowledged between this and <see cref="KeptVersion"/>
    /// is kept as well, unless whoever wrote the last entries there had been overtaken by another leader, of whom nothing is left.
    /// </summary>
    public Core.Version CertainVersion { get; init; }

    /// <summary>
    /// Entries that are certainly lost: known to be committed, and on no node that is left and whole. Those of which nobody left knows come
    /// on top.
    /// </summary>
    public ulong CertainlyLost { get; init; }

    /// <summary>
    /// Replicas, all of them damaged, that know of committed entries which <see cref="Best"/> has not: they cannot follow it, and must be
    /// made whole or given up first.
    /// </summary>
    public IReadOnlyList<NodeId> Ahead { get; init; } = [];

    /// <summary>Voters that are lost.</summary>
    public IReadOnlyList<NodeId> Lost { get; init; } = [];

    /// <summary>What it is, for a person.</summary>
    public required string Text { get; init; }
}
