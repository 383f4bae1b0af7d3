using Henge.Cluster.Planning;
using Henge.Core;

namespace Henge.Node.Moves;

/// <summary>
/// What the catalog's leader does about placements: plans anew when members, settings, or who is down have changed, and lets shards go
/// where the plan has them, a bounded number at a time. It keeps nothing that another leader needs: the goal and what is followed stand in
/// the catalog, and how far shards are shows in their own configurations. Used by the thread that ticks.
/// </summary>
internal sealed class PlacementKeeper(IPlacementCatalog catalog, IClusterSight sight)
{
    private readonly MemberWatch _watch = new();
    private (string Inputs, string Down, TargetPlacement Goal)? _planned;
    private IReadOnlyList<PlanProblem> _problems = [];

    /// <summary>What the last plan could not do. Thread-safe.</summary>
    public IReadOnlyList<PlanProblem> Problems => Volatile.Read(ref _problems);

    /// <summary>Members that have been down for so long that they are replaced. Used by the thread that ticks.</summary>
    public IReadOnlyCollection<NodeId> Lost { get; private set; } = [];

    /// <summary>Looks whether there is something to do.</summary>
    public void Run(long nowMs)
    {
        if (!sight.Leads)
        {
            _watch.Clear();
            _planned = null;
            Lost = [];
            return;
        }

        if (catalog.Read() is not { } state)
        {
            return;
        }

        PlanMember[] members = [.. state.Members.Select(m => See(m, state, nowMs))];
        Lost = [.. members.Where(m => m.DownForMs >= state.ReplaceAfterMs).Select(static m => m.Id)];
        ulong rebalance = state.RebalanceAsked;
        TargetPlacement goal = Plan(state, members);
        TargetPlacement followed = MoveRelease.Next(
            state.Followed,
            goal,
            shard => Arriving(state.Followed, shard),
            id => Array.Find(members, m => m.Id == id) is not { } member || IsDeparting(member, state),
            state.Limits with { OnlyUrgent = members.Any(m => IsUnwell(m, state)) });
        if (goal != state.Goal || followed != state.Followed || rebalance != state.RebalancePlanned)
        {
            catalog.Write(state, goal, followed, rebalance);
        }
    }

    private PlanMember See(PlanMember member, PlacementState state, long nowMs)
    {
        _watch.See(member.Id, member.State == MemberState.Left || sight.IsHeard(member.Id), nowMs);
        return member with { DownForMs = _watch.DownForMs(member.Id, nowMs, state.DownAfterMs) };
    }

    // The same inputs give the same plan, so it is made again only for others.
    private TargetPlacement Plan(PlacementState state, PlanMember[] members)
    {
        string down = string.Join(' ', members.Where(static m => m.DownForMs is not null).Select(m => (m.Id, IsDeparting(m, state))));
        bool rebalance = state.RebalanceAsked != state.RebalancePlanned;
        if (!rebalance && _planned is { } planned && (planned.Inputs, planned.Down) == (state.Inputs, down)
            && planned.Goal.HasSameReplicas(state.Goal))
        {
            return state.Goal;
        }

        PlacementPlan plan = PlacementPlanner.Plan(
            new PlanRequest
            {
                Members = members,
                Present = state.Goal,
                ReplicationFactor = state.ReplicationFactor,
                ReplaceAfterMs = state.ReplaceAfterMs,
                Rebalance = rebalance,
            });
        Volatile.Write(ref _problems, plan.Problems);
        _planned = (state.Inputs, down, plan.Target);
        return plan.Target;
    }

    private static bool IsDeparting(PlanMember member, PlacementState state) =>
        member.State is MemberState.Leaving or MemberState.Left || member.DownForMs >= state.ReplaceAfterMs;

    // It is down, and it is hoped to come back: until that is decided, no more is moved than must be.
    private static bool IsUnwell(PlanMember member, PlacementState state) =>
        member.State != MemberState.Joining && member.DownForMs is not null && !IsDeparting(member, state);

    private IReadOnlyCollection<NodeId>? Arriving(TargetPlacement followed, ShardId shard)
    {
        NodeId[] row = followed.ReplicasOf(shard).ToArray();
        return sight.VotersOf(shard) is not { } voters ? row
            : voters.ToHashSet().SetEquals(row) ? null
            : [.. row.Where(id => !voters.Contains(id))];
    }
}
