using Henge.Core;

namespace Henge.Cluster.Planning;

/// <summary>Something that a plan could not do, and why.</summary>
/// <param name="Kind">What.</param>
/// <param name="Shards">Which shards it is about, in order.</param>
/// <param name="Members">Which members it is about; none where it is about all.</param>
/// <param name="Text">For a person: what is the matter with the first of the shards, and with how many others.</param>
public sealed record PlanProblem(PlanProblemKind Kind, IReadOnlyList<ShardId> Shards, IReadOnlyList<NodeId> Members, string Text);
