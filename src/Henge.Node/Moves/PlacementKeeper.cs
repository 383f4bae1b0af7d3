using Henge.Cluster.Planning;
using Henge.Core;
using Henge.Node.Context;

namespace Henge.Node.Moves;

/// <summary>
/// What the catalog's leader does about placements: plans anew when members, settings, or who is down have changed, and lets shards go
/// where the plan has them, a bounded number at a time. It keeps nothing that another leader needs: the goal and what is followed stand in
/// the catalog, and how far shards are shows in their own configurations. Used by the thread that ticks.
/// </summary>
internal sealed class PlacementKeeper(IPlacementCatalog catalog, IClusterSight sight, NodeBugs bugs = NodeBugs.None)
{
    private const long ListenMs = 5_000;
    private readonly MemberWatch _watch = new();
    private readonly LeaderBalancer _balancer = new(sight);
    private (string Inputs, string Down, TargetPlacement Goal, bool IsFinal)? _planned;

    // Until then it has not been told of loads, and leaves leaders where the one before had them.
    private long? _toldMs;
    private IReadOnlyList<PlanProblem> _problems = [];

    /// <summary>What the last plan could not do. Thread-safe.</summary>
    public IReadOnlyList<PlanProblem> Problems => Volatile.Read(ref _problems);

    /// <summary>Shards whose moves have not begun yet, and why. Thread-safe.</summary>
    public IReadOnlyList<WaitingMove> Waiting
    {
        get => Volatile.Read(ref field);
        private set => Volatile.Write(ref field, value);
    } = [];

    /// <summary>Members that have been down for so long that they are replaced. Used by the thread that ticks.</summary>
    public IReadOnlyCollection<NodeId> Lost { get; private set; } = [];

    /// <summary>Looks whether there is something to do.</summary>
    public void Run(long nowMs)
    {
        if (!sight.Leads)
        {
            _watch.Clear();
            _balancer.Clear();
            _planned = null;
            _toldMs = null;
            Waiting = [];
            Volatile.Write(ref _problems, []);
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
        TargetPlacement goal = Plan(state, members, nowMs);
        bool isWell = !members.Any(m => IsUnwell(m, state));
        TargetPlacement followed = MoveRelease.Next(
            state.Followed,
            goal,
            shard => Arriving(state.Followed, shard),
            id => Array.Find(members, m => m.Id == id) is not { } member || IsDeparting(member, state),
            state.Limits with { OnlyUrgent = !isWell });
        Waiting = FindWaiting(goal, followed, members, state);
        if (isWell && goal.HasSameReplicas(followed))
        {
            (goal, followed) = ShareLoad(goal, followed, members, state, nowMs);
        }

        if (goal != state.Goal || followed != state.Followed || rebalance != state.RebalancePlanned)
        {
            catalog.Write(state, goal, followed, rebalance);
        }
    }

    // Who leads stands in both placements, as the first of a shard's replicas; a plan that is made later leaves it so while loads differ.
    private (TargetPlacement Goal, TargetPlacement Followed) ShareLoad(
        TargetPlacement goal,
        TargetPlacement followed,
        PlanMember[] members,
        PlacementState state,
        long nowMs)
    {
        (ShardId, NodeId)[] leaders = [.. _balancer.Find(followed, members, nowMs).Select(static t => (t.Shard, t.To))];
        if (leaders.Length == 0)
        {
            return (goal, followed);
        }

        goal = goal.WithLeaders(leaders);
        _planned = _planned is { } planned ? planned with { Goal = goal } : null;
        return (goal, followed.WithLeaders(leaders));
    }

    private PlanMember See(PlanMember member, PlacementState state, long nowMs)
    {
        _watch.See(member.Id, member.State == MemberState.Left || sight.IsHeard(member.Id), nowMs);
        return member with { DownForMs = _watch.DownForMs(member.Id, nowMs, state.DownAfterMs) };
    }

    // The same inputs give the same plan, so it is made again only for others.
    private TargetPlacement Plan(PlacementState state, PlanMember[] members, long nowMs)
    {
        if (_planned is not null && bugs.TrustsFirstPlan)
        {
            return state.Goal;
        }

        bool isTold = nowMs >= (_toldMs ??= nowMs + ListenMs);
        string down = string.Join(' ', members.Where(static m => m.DownForMs is not null).Select(m => (m.Id, IsDeparting(m, state))));
        bool rebalance = state.RebalanceAsked != state.RebalancePlanned;
        if (!rebalance && _planned is { } planned && (planned.Inputs, planned.Down) == (state.Inputs, down)
            && (planned.IsFinal || !isTold)
            && planned.Goal.HasSameMembers(state.Goal))
        {
            // Whom an operator would have lead does so until there is another reason to plan.
            return state.Goal;
        }

        PlacementPlan plan = PlacementPlanner.Plan(
            new PlanRequest
            {
                Members = members,
                Present = state.Goal,
                ReplicationFactor = state.ReplicationFactor,
                ReplaceAfterMs = state.ReplaceAfterMs,
                KeepsLeaders = !isTold || _balancer.IsLoaded(state.Followed, members.Length),
                Rebalance = rebalance,
            });
        Volatile.Write(ref _problems, plan.Problems);
        _planned = (state.Inputs, down, plan.Target, isTold);
        return plan.Target;
    }

    private static WaitingMove[] FindWaiting(
        TargetPlacement goal,
        TargetPlacement followed,
        PlanMember[] members,
        PlacementState state)
    {
        if (goal.HasSameReplicas(followed))
        {
            return [];
        }

        NodeId[] away = [.. members.Where(m => IsUnwell(m, state)).Select(static m => m.Id)];
        List<WaitingMove> waiting = [];
        for (uint s = 0; s < goal.ShardCount; s++)
        {
            var shard = new ShardId(s);
            if (goal.ReplicasOf(shard).SequenceEqual(followed.ReplicasOf(shard)))
            {
                continue;
            }

            // What is urgent waits for nobody but other moves.
            bool isUrgent = false;
            foreach (NodeId id in followed.ReplicasOf(shard))
            {
                isUrgent |= Array.Find(members, m => m.Id == id) is not { } member || IsDeparting(member, state);
            }

            waiting.Add(away.Length > 0 && !isUrgent
                ? new WaitingMove(shard, MoveWait.MembersAreDown, away)
                : new WaitingMove(shard, MoveWait.OtherMoves, []));
        }

        return [.. waiting];
    }

    private static bool IsDeparting(PlanMember member, PlacementState state) =>
        member.State is MemberState.Leaving or MemberState.Left || member.DownForMs >= state.ReplaceAfterMs;

    // It is down, and it is hoped to come back: until that is decided, no more is moved than must be.
    private static bool IsUnwell(PlanMember member, PlacementState state) =>
        member.State != MemberState.Joining && member.DownForMs is not null && !IsDeparting(member, state);

    private IReadOnlyCollection<NodeId>? Arriving(TargetPlacement followed, ShardId shard)
    {
        ReadOnlySpan<NodeId> row = followed.ReplicasOf(shard);
        if (sight.VotersOf(shard) is not { } voters)
        {
            return row.ToArray();
        }

        // Of all shards, each time, and most are where they shall be: that must cost nothing.
        bool isThere = voters.Count == row.Length;
        for (int i = 0; isThere && i < row.Length; i++)
        {
            isThere = voters.Contains(row[i]);
        }

        return isThere ? null : [.. row.ToArray().Where(id => !voters.Contains(id))];
    }
}
