using Henge.Cluster.Planning;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Catalog;
using Henge.Node.Context;
using Henge.Node.Moves;

namespace Henge.Node.Admin;

/// <summary>What operators ask a node for, whichever one they ask: changes of the cluster, and how it stands. Thread-safe.</summary>
internal sealed class ClusterAdmin(NodeContext node, MemberCatalog members, PlacementCatalog placements, PlacementKeeper planner)
{
    /// <summary>Makes a change, or says what it would come to.</summary>
    public void Change(ClusterChange change, long deadlineMs, Action<ClusterChangeAnswer?, HengeException?> answered)
    {
        var wanted = new OperatorChange(
            change,
            Places,
            view => MemberChanges.Absent(view, node.Members, node.Identity.Founding),
            node.Options.Bugs);
        members.Changes.Add(
            view => placements.Read() is { } state
                ? wanted.Next(view, state)
                : CatalogStep.Refuse(ErrorCode.Unavailable, "This node does not know yet where replicas are to be. Try again."),
            deadlineMs,
            problem => answered(problem is null ? wanted.Answer : null, problem));
    }

    /// <summary>
    /// Has the plan say that a member leads a shard, if it is to have a replica of it: an operator has handed over, and what the plan says
    /// would be given back. What goes wrong is nobody's business: then it is given back.
    /// </summary>
    public void Prefer(ShardId shard, NodeId leader, long deadlineMs) =>
        members.Changes.Add(
            view =>
            {
                if (placements.Read() is not { } state
                    || state.Goal.ReplicasOf(shard)[0] == leader
                    || !state.Goal.ReplicasOf(shard).Contains(leader)
                    || !node.Members.TryGet(leader, out MemberInfo member)
                    || member.State != Api.MemberState.Up)
                {
                    return CatalogStep.Done;
                }

                TargetPlacement goal = state.Goal.WithLeaders([(shard, leader)]);
                return MemberChanges.Write(view, txn => PlacementCatalog.PutPlan(txn, view, goal));
            },
            deadlineMs,
            static _ => { });

    /// <summary>Where replicas are to be.</summary>
    /// <param name="catalog">The catalog's shard as it is here.</param>
    /// <param name="moves">How shards get on that this node leads.</param>
    public PlacementStatus Read(ShardStatus catalog, IReadOnlyList<ShardMove> moves)
    {
        if (members.View is not { } view || placements.Latest is not { } state)
        {
            return new PlacementStatus();
        }

        return new PlacementStatus
        {
            IsKnown = true,
            Generation = state.Goal.Generation,
            ReplicationFactor = state.ReplicationFactor,
            Members =
            [
                .. node.Members.All.Where(static m => !m.IsHearsay).Select(static m => new NodeEntry(m.Id, m.Name, m.Address)
                {
                    State = m.State,
                    Zone = m.Zone,
                    Weight = m.Weight,
                }),
            ],
            CatalogVoters = catalog.Voters,
            Planner = catalog.Leader,
            Shards =
            [
                .. Places().Select(place => new ShardTarget(
                    place.Shard,
                    place.Leader,
                    place.Voters,
                    place.Learners,
                    state.Followed.ReplicasOf(place.Shard).ToArray(),
                    state.Goal.ReplicasOf(place.Shard).ToArray())),
            ],
            Settings = ClusterSettings.Read(view, node.Identity.Founding.ReplicationFactor),
            Moves =
            [
                .. moves.Select(static m => new MoveStatus(
                    m.Shard,
                    m.Step.ToString(),
                    m.Wait == Henge.Cluster.Steps.StepWait.None ? "" : m.Wait.ToString(),
                    m.WaitsFor,
                    m.EntriesLeft,
                    m.BytesLeft,
                    m.BytesSent,
                    m.StalledForMs,
                    m.IsStuck)),
            ],
            Problems = catalog.Role == ReplicaRole.Leader ? [.. Outlook.Problems(planner.Problems), .. Pauses()] : [],
        };
    }

    // Moves that wait for members to come back, or to be given up.
    private IEnumerable<PlacementProblem> Pauses()
    {
        WaitingMove[] paused = [.. planner.Waiting.Where(static w => w.Wait == MoveWait.MembersAreDown)];
        if (paused.Length > 0)
        {
            IReadOnlyList<NodeId> away = paused[0].WaitsFor;
            yield return new PlacementProblem(
                "Paused",
                [.. paused.Select(static w => w.Shard)],
                away,
                $"{paused.Length} {(paused.Length == 1 ? "move waits" : "moves wait")} until "
                    + $"{string.Join(", ", away.Select(id => node.NameOf(id) ?? id.ToString()))} "
                    + $"{(away.Count == 1 ? "is" : "are")} back, or down for replace-after: meanwhile only what is urgent begins.");
        }
    }

    private ShardPlace[] Places() =>
        [.. Enumerable.Range(0, node.Directory.Count).Select(s => node.Directory.PlaceOf(new ShardId((uint)s)))];
}
