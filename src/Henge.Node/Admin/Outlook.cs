using Henge.Cluster.Planning;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Moves;
using MemberState = Henge.Cluster.Planning.MemberState;

namespace Henge.Node.Admin;

/// <summary>What the planner would make of members and settings as they would be. Pure functions.</summary>
internal static class Outlook
{
    /// <summary>The plan, were it made now.</summary>
    /// <param name="state">Members, settings and plan as they are.</param>
    /// <param name="unreachable">Members that do not answer.</param>
    /// <param name="change">What is different about a member then.</param>
    /// <param name="rebalance">Whether replicas may move between members that stay.</param>
    public static PlacementPlan Plan(
        PlacementState state,
        IReadOnlyCollection<NodeId> unreachable,
        Func<PlanMember, PlanMember>? change = null,
        bool rebalance = false) =>
        PlacementPlanner.Plan(new PlanRequest
        {
            Members =
            [
                .. state.Members.Select(member =>
                {
                    // Who does not answer counts as down, and not as lost: that is the catalog's leader to say.
                    PlanMember seen = member.State != MemberState.Left && unreachable.Contains(member.Id)
                        ? member with { DownForMs = 0 }
                        : member;
                    return change?.Invoke(seen) ?? seen;
                }),
            ],
            Present = state.Goal,
            ReplicationFactor = state.ReplicationFactor,
            ReplaceAfterMs = state.ReplaceAfterMs,
            Rebalance = rebalance,
        });

    /// <summary>What a plan comes to, compared with the one before.</summary>
    public static ClusterChangeAnswer Describe(TargetPlacement before, PlacementPlan plan)
    {
        int copies = 0, removals = 0, leaders = 0;
        var counts = new Dictionary<NodeId, int>();
        for (uint s = 0; s < before.ShardCount; s++)
        {
            NodeId[] then = before.ReplicasOf(new ShardId(s)).ToArray(), later = plan.Target.ReplicasOf(new ShardId(s)).ToArray();
            copies += later.Count(id => !then.Contains(id));
            removals += then.Count(id => !later.Contains(id));
            leaders += then[0] != later[0] ? 1 : 0;
            foreach (NodeId id in then)
            {
                counts[id] = counts.GetValueOrDefault(id) + 1;
            }
        }

        return new ClusterChangeAnswer
        {
            Problems = Problems(plan.Problems),
            Loads = [.. plan.Shares.Select(s => new MemberLoad(s.Id, counts.GetValueOrDefault(s.Id), s.After, s.Leads, s.Fair))],
            Copies = copies,
            Removals = removals,
            LeaderChanges = leaders,
        };
    }

    /// <summary>Problems as doors see them.</summary>
    public static IReadOnlyList<PlacementProblem> Problems(IEnumerable<PlanProblem> problems) =>
        [.. problems.Select(static p => new PlacementProblem(p.Kind.ToString(), p.Shards, p.Members, p.Text))];

    /// <summary>
    /// The plan with one member in the place of another, wherever that is no replica of the shard already, as long as it carries no more
    /// than its share, and the shard stands in no fewer zones by it.
    /// </summary>
    public static TargetPlacement Substitute(
        TargetPlacement plan,
        PlanMember going,
        PlanMember coming,
        int most,
        Func<NodeId, string> zoneOf)
    {
        int carried = 0;
        var rows = new NodeId[plan.ShardCount][];
        for (int s = 0; s < rows.Length; s++)
        {
            rows[s] = plan.ReplicasOf(new ShardId((uint)s)).ToArray();
            carried += rows[s].Contains(coming.Id) ? 1 : 0;
        }

        foreach (NodeId[] row in rows)
        {
            int at = Array.IndexOf(row, going.Id);
            if (at < 0 || carried >= most || row.Contains(coming.Id)
                || (going.Zone != coming.Zone && row.Any(id => id != going.Id && zoneOf(id) == coming.Zone)))
            {
                continue;
            }

            row[at] = coming.Id;
            carried++;
        }

        return TargetPlacement.From(plan.Generation + 1, plan.ReplicationFactor, rows);
    }
}
