using Henge.Core;

namespace Henge.Cluster.Planning;

/// <summary>How much a member carries.</summary>
/// <param name="Id">Which member.</param>
/// <param name="Before">Replicas before the plan.</param>
/// <param name="After">Replicas by the plan.</param>
/// <param name="Leads">Shards that it is to lead by the plan.</param>
/// <param name="Fair">Its fair share of replicas by weights and zones.</param>
public readonly record struct MemberShare(NodeId Id, int Before, int After, int Leads, double Fair);
