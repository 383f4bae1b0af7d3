using Henge.Core;

namespace Henge.Cluster.Recovery;

/// <summary>What a node that is left has of a shard.</summary>
public sealed record Survivor
{
    /// <summary>Which node.</summary>
    public required NodeId Node { get; init; }

    /// <summary>Which shard.</summary>
    public required ShardId Shard { get; init; }

    /// <summary>The term of the last entry in its log.</summary>
    public required Term LastTerm { get; init; }

    /// <summary>The index of the last entry in its log.</summary>
    public required LogIndex Last { get; init; }

    /// <summary>The highest index that it knows to be committed.</summary>
    public required LogIndex Commit { get; init; }

    /// <summary>The term that it is in.</summary>
    public Term Term { get; init; }

    /// <summary>The term of the entry at <see cref="Commit"/>.</summary>
    public Term CommitTerm { get; init; }

    /// <summary>
    /// The terms of its log's entries: the first index of each term and the term, oldest first. What lies before the first one is
    /// committed. Empty: not known, and taken for what the others have.
    /// </summary>
    public IReadOnlyList<(LogIndex First, Term Term)> Terms { get; init; } = [];

    /// <summary>The highest version in its log.</summary>
    public required Core.Version LastVersion { get; init; }

    /// <summary>
    /// The version of the last entry that it has applied, and so knows to be committed. A node that was started anew knows little of that
    /// before it hears a leader.
    /// </summary>
    public Core.Version AppliedVersion { get; init; }

    /// <summary>Where in its log the configuration stands that it goes by.</summary>
    public required LogIndex ConfigurationIndex { get; init; }

    /// <summary>Who votes by that configuration.</summary>
    public required IReadOnlyList<NodeId> Voters { get; init; }

    /// <summary>While that configuration is joint, the voters before it.</summary>
    public IReadOnlyList<NodeId> OutgoingVoters { get; init; } = [];

    /// <summary>Its state is damaged, so that nothing can be recovered from it.</summary>
    public bool IsDamaged { get; init; }
}
