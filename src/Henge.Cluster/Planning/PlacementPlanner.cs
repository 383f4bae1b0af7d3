using Henge.Core;

namespace Henge.Cluster.Planning;

/// <summary>
/// Where replicas are to be when members, their states or the replication factor have changed. A pure function: the same inputs give the
/// same plan, in whatever order the members come.
/// </summary>
/// <remarks>
/// <list type="bullet">
/// <item>Replicas of a shard stand on different members, in as many zones as there are, spread as evenly as the zones have members.</item>
/// <item>Each member carries its fair share by weight, rounded up or down; a zone with few members makes those carry more.</item>
/// <item>Nothing moves between two members that stay, unless a rebalance is asked for. A member that carries nothing yet takes its share
/// from those that carry most, and no more than its weight's part of all replicas and one: where its zone should carry more, a rebalance
/// gives it the rest.</item>
/// <item>Members that leave, or are down for long, are replaced; where there is no other place, they keep their replicas. Members that are
/// down, draining or joining take none.</item>
/// </list>
/// Work and memory grow with the number of replicas, and hardly with that of members (docs/decisions/0196).
/// </remarks>
public static class PlacementPlanner
{
    /// <summary>
    /// Makes a plan. Members without a name, twice the same number, or a weight or replication factor out of bounds are an
    /// <see cref="ErrorCode.InvalidArgument"/>.
    /// </summary>
    public static PlacementPlan Plan(PlanRequest request)
    {
        PlanMembers members = new(request);
        return new PlanRun(request, members).Make();
    }
}
