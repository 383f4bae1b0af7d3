using Henge.Core;

namespace Henge.Cluster.Recovery;

/// <summary>
/// Makes the plan by which a cluster goes on after majorities of its replicas are lost for ever
/// (docs/decisions/0200-when-a-majority-is-lost.md). A pure function of what the nodes say that are left: of the same answers, the same
/// plan.
/// </summary>
public static class RecoveryPlanner
{
    /// <summary>
    /// How far at least above all terms that are known a shard goes on: lost nodes may have elected each other some times since, and an
    /// entry of theirs must never look like one of what the shard becomes.
    /// </summary>
    public const ulong TermsApart = 1_000;

    /// <summary>Makes the plan.</summary>
    /// <param name="left">What the nodes say that answer. All other members that these know of are taken for lost.</param>
    /// <param name="startEmpty">Shards that begin without anything if nothing is left of them.</param>
    public static RecoveryOutline Make(IReadOnlyCollection<NodeRemains> left, IReadOnlySet<ShardId> startEmpty)
    {
        NodeRemains[] nodes = [.. left.OrderBy(static n => n.Member.Id)];
        ShardId[] shards =
        [
            ShardId.Catalog,
            .. Enumerable.Range(0, nodes.Select(static n => n.Shards).DefaultIfEmpty().Max()).Select(static s => new ShardId((uint)s)),
        ];
        RecoveryMember[] survivors = [.. nodes.Select(static n => n.Member)];
        RecoveryMember[] lost =
        [
            // Also those that only the logs know: a node that was started anew has not applied yet who has joined.
            .. nodes.SelectMany(static n => n.Members)
                .Concat(nodes.SelectMany(static n => n.Replicas).SelectMany(static r => r.Voters.Concat(r.OutgoingVoters))
                    .Select(static id => new RecoveryMember(id, id.ToString())))
                .Where(m => survivors.All(s => s.Id != m.Id)).GroupBy(static m => m.Id)
                .Select(static same => same.First() with { Incarnation = 0 }),
        ];
        IReadOnlyList<ShardLoss> losses = LossReport.Make(shards, nodes.SelectMany(static n => n.Replicas));
        List<string> problems = [];
        List<RecoveryStep> steps = [];
        foreach (ShardLoss loss in losses.Where(static l => l.Kind != LossKind.Serving))
        {
            RecoveryStep? step = loss.Kind == LossKind.Gone
                ? StartEmpty(loss.Shard, nodes, startEmpty, problems)
                : GoOn(loss, nodes, problems);
            if (step is not null)
            {
                steps.Add(step);
            }
        }

        string[] ids = [.. nodes.Select(static n => n.ClusterId).OrderBy(NodeRemains.IsHint)];
        string clusterId = ids.FirstOrDefault() ?? "";
        string? refusal = Refuse(nodes, losses, steps, clusterId);
        return new RecoveryOutline
        {
            Plan = new RecoveryPlan(clusterId, survivors, lost, refusal is null ? steps : []),
            Shards = losses,
            Problems = refusal is null ? problems : [refusal, .. problems],
            IsRefused = refusal is not null,
        };
    }

    private static string? Refuse(
        NodeRemains[] nodes,
        IReadOnlyList<ShardLoss> losses,
        List<RecoveryStep> steps,
        string clusterId)
    {
        if (nodes.GroupBy(static n => n.Member.Id).FirstOrDefault(static g => g.Count() > 1) is { } twice)
        {
            return $"Two nodes say that they are member {twice.Key}: {string.Join(" and ", twice.Select(static n => n.Member.Name))}. "
                + "Stop the one that does not belong to the cluster.";
        }

        if (clusterId.Length == 0 || nodes.Any(n => !NodeRemains.IsHint(n.ClusterId) && n.ClusterId != clusterId))
        {
            return clusterId.Length == 0
                ? "No node that answers knows of a cluster: there is nothing to recover. Start the other nodes."
                : "The nodes that answer belong to different clusters. Name only those of one with --peers.";
        }

        if (losses.All(static l => l.Kind == LossKind.Serving))
        {
            return "Every shard has a majority of its replicas: there is nothing to recover. If a shard has no leader, wait for an election, "
                + "and look at henge status. A node that is lost is taken out with henge cluster remove NODE --force.";
        }

        // Without the catalog nobody can say who belongs to the cluster.
        ShardLoss catalog = losses[0];
        return catalog.Kind != LossKind.Serving && steps.All(static s => !s.Shard.IsCatalog)
            ? $"The catalog cannot be recovered from the nodes that answer: {catalog.Text} Start a node that has a whole copy of it; every "
                + "member of the cluster has one."
            : null;
    }

    private static RecoveryStep? GoOn(ShardLoss loss, NodeRemains[] nodes, List<string> problems)
    {
        if (loss.Ahead.Count > 0)
        {
            problems.Add(
                $"{loss.Shard} stays as it is: its replica on {Names(loss.Ahead, nodes)} is damaged, and has committed entries that no "
                    + $"whole replica has ({loss.CertainlyLost} of them). Put its damaged file back from a copy of the directory; or stop "
                    + "that node, so that it counts as lost, and make a new plan.");
            return null;
        }

        Survivor best = nodes.SelectMany(static n => n.Replicas).First(s => s.Shard == loss.Shard && s.Node == loss.Best);
        return new RecoveryStep
        {
            Shard = loss.Shard,
            Best = best.Node,
            Term = TermFor(loss.Shard, nodes),
            Last = best.Last,
            LastTerm = best.LastTerm,
            KeptVersion = loss.KeptVersion,
            Learners =
            [
                .. nodes.SelectMany(static n => n.Replicas).Where(s => s.Shard == loss.Shard && s.Node != best.Node)
                    .Select(static s => s.Node).Order(),
            ],
        };
    }

    private static RecoveryStep? StartEmpty(
        ShardId shard,
        NodeRemains[] nodes,
        IReadOnlySet<ShardId> startEmpty,
        List<string> problems)
    {
        if (shard.IsCatalog || !startEmpty.Contains(shard))
        {
            if (!shard.IsCatalog)
            {
                problems.Add(
                    $"{shard} stays unavailable: no whole replica of it is left. If nobody has a copy of one, have it begin empty with "
                        + $"--start-empty {shard.Value}.");
            }

            return null;
        }

        // Damaged replicas would have to follow what begins anew, and have committed otherwise.
        if (nodes.FirstOrDefault(n => n.Replicas.Any(s => s.Shard == shard)) is { } damaged)
        {
            problems.Add(
                $"{shard} does not begin empty: there is a damaged replica of it on {damaged.Member.Name}. Put its damaged file back from a "
                    + "copy of the directory; or stop that node, so that it counts as lost, and make a new plan.");
            return null;
        }

        // The same share for each, as far as one can tell.
        NodeRemains[] free = [.. nodes.Where(n => !n.Dropped.Contains(shard))];
        if (free.Length == 0)
        {
            problems.Add($"{shard} does not begin empty: every node that is left has had a replica of it before. Have a new node join first.");
            return null;
        }

        return new RecoveryStep
        {
            Shard = shard,
            Best = free[shard.Value % free.Length].Member.Id,
            Term = TermFor(shard, nodes),
            Last = LogIndex.Zero,
            LastTerm = Term.Zero,
            KeptVersion = default,
            IsEmpty = true,
        };
    }

    // A round number: a node that is started anew has forgotten who led elsewhere, and a vote of somebody who is gone by now may come late.
    // Neither is to make another plan of it.
    private static Term TermFor(ShardId shard, NodeRemains[] nodes)
    {
        ulong known = nodes.SelectMany(static n => n.Replicas).Where(s => s.Shard == shard).Select(static s => s.Term.Value)
            .Concat(nodes.Select(n => n.Terms.GetValueOrDefault(shard).Value)).Max();
        return new Term(((known / TermsApart) + 2) * TermsApart);
    }

    private static string Names(IEnumerable<NodeId> ids, NodeRemains[] nodes) =>
        string.Join(", ", ids.Select(id => nodes.FirstOrDefault(n => n.Member.Id == id)?.Member.Name ?? id.ToString()));
}
