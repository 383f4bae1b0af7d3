using System.Globalization;
using Henge.Cluster.Planning;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Catalog;
using Henge.Node.Context;
using Henge.Node.Moves;
using Henge.Node.StateMachine;
using MemberState = Henge.Node.Api.MemberState;

namespace Henge.Node.Admin;

/// <summary>
/// A change that an operator wants, as steps (<see cref="CatalogStep"/>): what it comes to is looked at with what is applied, and it is
/// written on the condition that all of that still holds, so two changes never take effect that were judged without each other. Used by the
/// thread that ticks, but for <see cref="Answer"/> after the end.
/// </summary>
/// <param name="change">What is wanted.</param>
/// <param name="placesOf">Where shards are.</param>
/// <param name="absent">Founders that have no entry in the catalog, since they have never been up.</param>
/// <param name="bugs">Deliberate bugs, for the simulator.</param>
internal sealed class OperatorChange(
    ClusterChange change,
    Func<IReadOnlyList<ShardPlace>> placesOf,
    Func<CatalogView, IEnumerable<MemberRecord>>? absent = null,
    NodeBugs bugs = NodeBugs.None)
{
    private ulong? _rebalance;
    private ulong? _written;

    /// <summary>What it comes to.</summary>
    public ClusterChangeAnswer Answer { get; private set; } = new();

    /// <summary>The next step.</summary>
    public CatalogStep Next(CatalogView view, PlacementState state) => change.Kind switch
    {
        ClusterChangeKind.Remove => Remove(view, state),
        ClusterChangeKind.Cancel => Cancel(view, state),
        ClusterChangeKind.Drain => Drain(view, state),
        ClusterChangeKind.Undrain => Undrain(view, state),
        ClusterChangeKind.Rebalance => Rebalance(view, state),
        ClusterChangeKind.CancelMoves => CancelMoves(view, state),
        ClusterChangeKind.Set => Set(view, state),
        _ => CatalogStep.Refuse(
            ErrorCode.InvalidArgument,
            "There is no such change of a cluster. Is the command line newer than the node?"),
    };

    private CatalogStep Remove(CatalogView view, PlacementState state)
    {
        if (Find(view, change.Node, out MemberRecord? member, mayBeAbsent: true) is { } unknown)
        {
            return unknown;
        }

        // A member that is up gives away what it has, however much one is in a hurry.
        bool isLost = change.Unreachable.Contains(member!.Id);
        MemberState to = change.IsForced && isLost ? MemberState.Left : MemberState.Leaving;
        if (member.State == MemberState.Left || member.State == to)
        {
            return IsSo(state, member.State);
        }

        TargetPlacement? goal = null;
        if (change.Successor.Length > 0 && Hand(view, state, member, out goal) is { } refused)
        {
            return refused;
        }

        PlacementPlan plan = Outlook.Plan(goal is null ? state : state with { Goal = goal }, change.Unreachable, m => Gone(m, member.Id));
        Answer = Outlook.Describe(state.Goal, plan) with { State = to };
        if (view.Members.All(m => m.Id == member.Id || m.State is not (MemberState.Up or MemberState.Draining)))
        {
            return Refuse($"{member.Name} is the last member that is up. Have another node join first.");
        }

        if (isLost)
        {
            Answer = Answer with { Losses = RemovalLoss.Of(placesOf(), member.Id, member.Name, change.Unreachable) };
            if (Answer.Losses.Count > 0 && !change.IsForced)
            {
                return Refuse(
                    string.Join(' ', Answer.Losses)
                        + $" Bring it back, or the others; or say --force if {member.Name} will never come back.");
            }
        }

        return Kept(state, plan, member) is { } kept && !change.IsForced
            ? Refuse(kept)
            : Write(goal is null && !member.IsAbsent
                ? MemberChanges.SetState(view, member.Id, [member.State], to, bugs)
                : MemberChanges.SetState(
                    view,
                    member,
                    to,
                    goal is null ? null : txn => PlacementCatalog.PutPlan(txn, view, goal)));
    }

    // Why a removal could not be finished, or another one not any more: the member may carry nothing, and be the only place there is.
    private string? Kept(PlacementState state, PlacementPlan plan, MemberRecord member)
    {
        PlanProblem[] kept = [.. plan.Problems.Where(static p => p.Kind == PlanProblemKind.NoPlaceElsewhere)];
        if (Array.Find(kept, p => p.Members.Contains(member.Id)) is { } own)
        {
            return own.Text + " With --force it stays a member that is leaving until there is room.";
        }

        // What has no place already does not lose it by this removal.
        HashSet<NodeId> before =
        [
            .. (kept.Length > 0 ? Outlook.Plan(state, change.Unreachable).Problems : [])
                .Where(static p => p.Kind == PlanProblemKind.NoPlaceElsewhere)
                .SelectMany(static p => p.Members),
        ];
        return Array.Find(kept, p => !p.Members.All(before.Contains)) is { } other
            ? $"{member.Name} is to take over from a node that is leaving. Without it: {other.Text} With --force both stay members until "
                + "there is room."
            : null;
    }

    // The plan in which the other member takes over, as far as it can.
    private CatalogStep? Hand(CatalogView view, PlacementState state, MemberRecord member, out TargetPlacement? goal)
    {
        goal = null;
        if (Find(view, change.Successor, out MemberRecord? successor) is { } unknown)
        {
            return unknown;
        }

        if (successor!.Id == member.Id || successor.State != MemberState.Up || change.Unreachable.Contains(successor.Id))
        {
            return Refuse(
                $"{successor.Name} cannot take over: it "
                    + (successor.Id == member.Id ? "is the node to be replaced."
                        : successor.State != MemberState.Up ? $"is {MemberRecord.TextOf(successor.State)}, and must be up."
                        : "does not answer."));
        }

        PlanMember Of(NodeId id) => state.Members.First(m => m.Id == id);
        double fair = Outlook.Plan(state, change.Unreachable, m => Gone(m, member.Id)).Shares
            .FirstOrDefault(s => s.Id == successor.Id).Fair;
        goal = Outlook.Substitute(
            state.Goal,
            Of(member.Id),
            Of(successor.Id),
            (int)Math.Ceiling(fair - 1e-6),
            id => state.Members.FirstOrDefault(m => m.Id == id)?.Zone ?? "");
        return null;
    }

    private CatalogStep Cancel(CatalogView view, PlacementState state)
    {
        if (Find(view, change.Node, out MemberRecord? member) is { } unknown)
        {
            return unknown;
        }

        if (member!.State == MemberState.Left)
        {
            return Refuse($"{member.Name} has left, and does not come back. It can join again as a new member, with an empty directory.");
        }

        if (member.State != MemberState.Leaving)
        {
            return IsSo(state, member.State);
        }

        MemberState to = member.LeftWhileJoining ? MemberState.Joining : MemberState.Up;

        // What has not begun to go stays where it is.
        TargetPlacement goal = Restore(state, row => row.Contains(member.Id));
        PlacementPlan plan = Outlook.Plan(state with { Goal = goal }, change.Unreachable, m =>
            m.Id == member.Id ? m with
            {
                State = member.LeftWhileJoining
                    ? Henge.Cluster.Planning.MemberState.Joining
                    : Henge.Cluster.Planning.MemberState.Up,
            }
            : m);
        Answer = Outlook.Describe(state.Goal, plan) with { State = to };
        return Write(MemberChanges.SetState(view, member, to, txn =>
        {
            if (goal != state.Goal)
            {
                PlacementCatalog.PutPlan(txn, view, goal);
            }
        }));
    }

    private CatalogStep Drain(CatalogView view, PlacementState state)
    {
        if (Find(view, change.Node, out MemberRecord? member) is { } unknown)
        {
            return unknown;
        }

        if (member!.State == MemberState.Draining)
        {
            return IsSo(state, member.State);
        }

        if (member.State != MemberState.Up)
        {
            return Refuse($"{member.Name} is {MemberRecord.TextOf(member.State)}, and only a member that is up can be drained.");
        }

        PlacementPlan plan = Outlook.Plan(state, change.Unreachable, m =>
            m.Id == member.Id ? m with { State = Henge.Cluster.Planning.MemberState.Draining } : m);
        Answer = Outlook.Describe(state.Goal, plan) with
        {
            State = MemberState.Draining,
            Losses = RemovalLoss.Of(placesOf(), member.Id, member.Name, change.Unreachable),
        };
        PlanProblem? leaderless = plan.Problems.FirstOrDefault(static p => p.Kind == PlanProblemKind.NobodyToLead);
        return (leaderless is not null || Answer.Losses.Count > 0) && !change.IsForced
            ? Refuse(
                string.Join(' ', Answer.Losses.Append(leaderless?.Text ?? "").Where(static t => t.Length > 0))
                    + $" With --force, {member.Name} is drained all the same.")
            : Write(MemberChanges.SetState(view, member.Id, [MemberState.Up], MemberState.Draining));
    }

    private CatalogStep Undrain(CatalogView view, PlacementState state)
    {
        if (Find(view, change.Node, out MemberRecord? member) is { } unknown)
        {
            return unknown;
        }

        if (member!.State == MemberState.Up)
        {
            return IsSo(state, member.State);
        }

        if (member.State != MemberState.Draining)
        {
            return Refuse($"{member.Name} is {MemberRecord.TextOf(member.State)}, and is not being drained.");
        }

        PlacementPlan plan = Outlook.Plan(state, change.Unreachable, m =>
            m.Id == member.Id ? m with { State = Henge.Cluster.Planning.MemberState.Up } : m);
        Answer = Outlook.Describe(state.Goal, plan) with { State = MemberState.Up };
        return Write(MemberChanges.SetState(view, member.Id, [MemberState.Draining], MemberState.Up));
    }

    private CatalogStep Rebalance(CatalogView view, PlacementState state)
    {
        if (_rebalance <= state.RebalanceAsked)
        {
            return Done();
        }

        PlacementPlan plan = Outlook.Plan(state, change.Unreachable, rebalance: true);
        Answer = Outlook.Describe(state.Goal, plan);
        if (!plan.IsChange)
        {
            return Done();
        }

        _rebalance = Math.Max(state.RebalanceAsked, state.RebalancePlanned) + 1;
        return Write(MemberChanges.Set(view, ClusterSettings.Rebalance, _rebalance.Value.ToString(CultureInfo.InvariantCulture)));
    }

    private CatalogStep CancelMoves(CatalogView view, PlacementState state)
    {
        // The catalog's leader may have planned anew on top of it already, for a member that is leaving.
        if (_written <= state.Goal.Generation)
        {
            return Done();
        }

        TargetPlacement goal = Restore(state, static _ => true);
        Answer = Outlook.Describe(state.Goal, Outlook.Plan(state with { Goal = goal }, change.Unreachable));
        if (goal == state.Goal)
        {
            return Done();
        }

        _written = goal.Generation;
        return Write(MemberChanges.Write(view, txn => PlacementCatalog.PutPlan(txn, view, goal)));
    }

    private CatalogStep Set(CatalogView view, PlacementState state)
    {
        SettingRule rule;
        try
        {
            rule = ClusterSettings.Find(change.Setting);
        }
        catch (HengeException e)
        {
            return CatalogStep.Refuse(e.Code, e.Message);
        }

        long value = rule.Default;
        if (change.Value.Length > 0 && !rule.TryRead(change.Value, out value, out string problem))
        {
            return CatalogStep.Refuse(ErrorCode.InvalidArgument, problem);
        }

        // Without a value for the replication factor it would be the founding one, which is less where few nodes founded the cluster.
        bool isFactor = rule.Name == ClusterSettings.ReplicationFactor;
        string? text = isFactor || change.Value.Length > 0 ? value.ToString(CultureInfo.InvariantCulture) : null;
        CatalogStep step = MemberChanges.Set(view, rule.Key, text);
        if (step.Transaction is null)
        {
            return Answer.Loads.Count > 0 ? Done() : IsSo(state, null);
        }

        PlacementState then = isFactor
            ? state with { ReplicationFactor = (int)value }
            : state;
        Answer = Outlook.Describe(state.Goal, Outlook.Plan(then, change.Unreachable));
        return Write(step);
    }

    // The plan with the rows that have not been let go yet as they are followed; the same one when there are none.
    private static TargetPlacement Restore(PlacementState state, Func<NodeId[], bool> which)
    {
        var rows = new NodeId[state.Goal.ShardCount][];
        bool isChange = false;
        for (int s = 0; s < rows.Length; s++)
        {
            NodeId[] planned = state.Goal.ReplicasOf(new ShardId((uint)s)).ToArray();
            NodeId[] followed = state.Followed.ReplicasOf(new ShardId((uint)s)).ToArray();
            bool restores = which(followed) && !planned.AsSpan().SequenceEqual(followed);
            rows[s] = restores ? followed : planned;
            isChange |= restores;
        }

        return isChange ? TargetPlacement.From(state.Goal.Generation + 1, state.Goal.ReplicationFactor, rows) : state.Goal;
    }

    private static PlanMember Gone(PlanMember member, NodeId id) =>
        member.Id == id ? member with { State = Henge.Cluster.Planning.MemberState.Leaving } : member;

    // The member of a name; of those that had it, the one that has not left.
    private CatalogStep? Find(CatalogView view, string name, out MemberRecord? member, bool mayBeAbsent = false)
    {
        MemberRecord[] others = [.. absent?.Invoke(view) ?? []];
        member = view.Members.LastOrDefault(m => m.Name == name && m.State != MemberState.Left)
            ?? Array.Find(others, m => m.Name == name)
            ?? view.Members.LastOrDefault(m => m.Name == name);
        if (member is not null)
        {
            return member.IsAbsent && !mayBeAbsent
                ? Refuse($"{name} has never been up. It can be removed or replaced, and nothing else.")
                : null;
        }

        IEnumerable<string> present = view.Members.Concat(others).Where(static m => m.State != MemberState.Left).Select(static m => m.Name);
        return CatalogStep.Refuse(
            ErrorCode.InvalidArgument,
            $"There is no member '{name}'. There are: {string.Join(", ", present)}.");
    }

    // Somebody has done it already, or this change has.
    private CatalogStep IsSo(PlacementState state, MemberState? member)
    {
        if (Answer.Loads.Count == 0)
        {
            Answer = Outlook.Describe(state.Goal, Outlook.Plan(state, change.Unreachable));
        }

        Answer = Answer with { State = member };
        return Done();
    }

    private CatalogStep Done()
    {
        Answer = Answer with { IsDone = !change.IsDryRun };
        return CatalogStep.Done;
    }

    private CatalogStep Refuse(string why)
    {
        if (!change.IsDryRun)
        {
            return CatalogStep.Refuse(ErrorCode.InvalidArgument, why);
        }

        Answer = Answer with { Refusal = why };
        return CatalogStep.Done;
    }

    private CatalogStep Write(CatalogStep step) => change.IsDryRun ? CatalogStep.Done : step;
}
