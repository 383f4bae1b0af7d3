using Henge.Core;

namespace Henge.Node.Api;

/// <summary>What a <see cref="ClusterChange"/> comes to.</summary>
public sealed record ClusterChangeAnswer
{
    /// <summary>The catalog has it; false for a dry run.</summary>
    public bool IsDone { get; init; }

    /// <summary>Of a dry run: why it would be refused; empty when it would not.</summary>
    public string Refusal { get; init; } = "";

    /// <summary>What is lost by it, or may be.</summary>
    public IReadOnlyList<string> Losses { get; init; } = [];

    /// <summary>Where the member that it is about stands then; null when it is about none.</summary>
    public MemberState? State { get; init; }

    /// <summary>What has no place, and why.</summary>
    public IReadOnlyList<PlacementProblem> Problems { get; init; } = [];

    /// <summary>What each member carries, before and after.</summary>
    public IReadOnlyList<MemberLoad> Loads { get; init; } = [];

    /// <summary>How many replicas are to be made where there are none.</summary>
    public int Copies { get; init; }

    /// <summary>How many replicas are to be given up.</summary>
    public int Removals { get; init; }

    /// <summary>How many shards are to be led by another member.</summary>
    public int LeaderChanges { get; init; }
}

/// <summary>How much a member carries.</summary>
/// <param name="Id">Which member.</param>
/// <param name="Before">Replicas that it is to have before.</param>
/// <param name="After">Replicas that it is to have after.</param>
/// <param name="Leads">Shards that it is to lead after.</param>
/// <param name="Fair">Its fair share of replicas.</param>
public readonly record struct MemberLoad(NodeId Id, int Before, int After, int Leads, double Fair);

/// <summary>Replicas that cannot be where they should, and why.</summary>
/// <param name="Kind">Which kind of problem, for programs.</param>
/// <param name="Shards">Which shards it is about.</param>
/// <param name="Members">Which members it is about; none where it is about all.</param>
/// <param name="Text">For a person.</param>
public sealed record PlacementProblem(string Kind, IReadOnlyList<ShardId> Shards, IReadOnlyList<NodeId> Members, string Text);
