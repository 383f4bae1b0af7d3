using Henge.Core;
using Henge.Raft;

namespace Henge.Node.Replication;

/// <summary>Who the replicas of a shard were when the cluster was made.</summary>
/// <param name="Membership">They, as its first membership.</param>
/// <param name="InOrder">The voters; the first should lead, and those behind it stand for election one after the other.</param>
/// <param name="Preferred">Who should lead; nobody in particular for the catalog.</param>
internal sealed record FoundingReplicas(Membership Membership, IReadOnlyList<NodeId> InOrder, NodeId Preferred);
