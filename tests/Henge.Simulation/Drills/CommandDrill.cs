using System.Globalization;
using Henge.Cluster.Planning;
using Henge.Core;
using Henge.Node.Api;
using Henge.Simulation.Clients;
using Henge.Simulation.World;

namespace Henge.Simulation.Drills;

/// <summary>
/// Operators' commands on a cluster at rest that plans for itself: a dry run says the same whichever node is asked, and changes nothing;
/// what is done already is done again without a change; and of two removals at once, at two nodes, that are each harmless and together are
/// not, one is refused.
/// </summary>
internal sealed class CommandDrill(SimWorld world, SimCluster cluster, SimPlanner planner, long settleMs)
{
    private const int AnswerMs = 10_000;
    private readonly SimRandom _random = world.Random.Fork();

    /// <summary>Plays it.</summary>
    public void Run()
    {
        if (cluster.Nodes.Count < 2)
        {
            return;
        }

        // Not before all is done that was asked for.
        planner.IsResting = true;
        world.RunUntil(world.NowMs + AnswerMs);
        TryDry();
        TryTwice();
        TryTogether();
        planner.IsResting = false;

        // A removal that is cancelled may have begun to take effect, which does not show at once.
        world.RunUntil(world.NowMs + AnswerMs);
        if (!world.RunUntil(world.NowMs + settleMs, () => planner.IsPlaced() && cluster.IsSettled()))
        {
            throw new SimulationException(
                "A virtual minute after commands, replicas are not where they stay: " + planner.Describe() + " " + cluster.Describe());
        }
    }

    private void TryDry()
    {
        string name = _random.Pick(cluster.Nodes).Options.Name, other = _random.Pick(cluster.Nodes).Options.Name;
        ClusterChange[] changes =
        [
            new() { Kind = ClusterChangeKind.Remove, Node = name },
            new() { Kind = ClusterChangeKind.Remove, Node = name, Successor = other },
            new() { Kind = ClusterChangeKind.Drain, Node = name },
            new() { Kind = ClusterChangeKind.Rebalance },
            new() { Kind = ClusterChangeKind.CancelMoves },
            new() { Kind = ClusterChangeKind.Set, Setting = "replication-factor", Value = "1" },
        ];
        Core.Version before = MembersVersion();
        foreach (ClusterChange change in changes)
        {
            ulong[] plans = Plans();
            string[] answers = [.. cluster.Nodes.Select(node => Describe(Ask(node, change with { IsDryRun = true }))).Distinct()];

            // The catalog's leader may have shared out leaders anew meanwhile.
            if (answers.Length > 1 && plans.Distinct().Count() == 1 && plans.SequenceEqual(Plans()))
            {
                throw new SimulationException($"{change} comes to '{answers[0]}' by one node, and to '{answers[1]}' by another");
            }
        }

        if (MembersVersion() != before)
        {
            throw new SimulationException("dry runs change the catalog");
        }
    }

    private ulong[] Plans() => [.. cluster.Nodes.Select(static n => n.Node!.Parts.Placements.Read()!.Goal.Generation)];

    private void TryTwice()
    {
        string name = _random.Pick(cluster.Nodes).Options.Name;
        foreach (ClusterChangeKind kind in (ClusterChangeKind[])[ClusterChangeKind.Drain, ClusterChangeKind.Undrain])
        {
            // Forced: with one replica of each shard, nobody else could lead them.
            var change = new ClusterChange { Kind = kind, Node = name, IsForced = true };
            MustBeDone(change, Ask(_random.Pick(cluster.Nodes), change));

            // Another node may not have heard of it yet; when it has, there is nothing left to do.
            SimNode again = _random.Pick(cluster.Nodes);
            Core.Version done = MembersVersion();
            world.RunUntil(world.NowMs + AnswerMs, () => VersionAt(again) == done);
            MustBeDone(change, Ask(again, change));
            if (MembersVersion() != done)
            {
                throw new SimulationException($"{change} is written again, although it was done");
            }
        }
    }

    private void TryTogether()
    {
        SimNode[] all = [.. cluster.Nodes.OrderBy(_ => _random.NextUInt64())];
        if (all.Length < 3 || all.Length > TargetPlacement.MaxReplicas + 1 || all[..2].Any(n => !planner.MayLeave([n.Id])))
        {
            return;
        }

        var replicas = new ClusterChange
        {
            Kind = ClusterChangeKind.Set,
            Setting = "replication-factor",
            Value = (all.Length - 1).ToString(CultureInfo.InvariantCulture),
        };
        MustBeDone(replicas, Ask(all[0], replicas));

        // A shard of which no more replicas are planned yet would have room with fewer members.
        Core.Version set = MembersVersion();
        if (!world.RunUntil(world.NowMs + settleMs, () => cluster.Nodes.All(n =>
            VersionAt(n) == set && n.Node!.Parts.Placements.Read()!.Goal is { } goal
            && Enumerable.Range(0, goal.ShardCount).All(s => goal.ReplicasOf(new ShardId((uint)s)).Length == all.Length - 1))))
        {
            throw new SimulationException($"no {all.Length - 1} replicas are planned: " + planner.Describe());
        }

        cluster.Statistics.RemovalsTogether++;
        List<(ClusterChangeAnswer? Answer, HengeException? Problem)> answers = [];
        for (int i = 0; i < 2; i++)
        {
            // Each asked of another one, which sees both members as they are.
            Begin(all[^(i + 1)], new ClusterChange { Kind = ClusterChangeKind.Remove, Node = all[i].Options.Name }, (answer, problem) =>
                answers.Add((answer, problem)));
        }

        world.RunUntil(world.NowMs + AnswerMs, () => answers.Count == 2);
        if (answers.Count(static a => a.Answer is not null) != 1)
        {
            throw new SimulationException(
                $"of two removals where there is room for one, {answers.Count(static a => a.Answer is not null)} are done: "
                    + string.Join("; ", answers.Select(static a => a.Problem?.Message ?? "done")));
        }
    }

    private Core.Version MembersVersion() => cluster.Nodes.Max(VersionAt);

    private static Core.Version VersionAt(SimNode node) => node.Node!.Parts.Members.View?.NextMemberVersion ?? default;

    private static void MustBeDone(ClusterChange change, (ClusterChangeAnswer? Answer, HengeException? Problem) what)
    {
        if (what.Answer is not { IsDone: true })
        {
            throw new SimulationException($"{change} is not done on a cluster at rest: {what.Problem?.Message}");
        }
    }

    private static string Describe((ClusterChangeAnswer? Answer, HengeException? Problem) what) => what.Answer is { } answer
        ? $"{answer.State} {answer.Refusal} {answer.Copies} copies, {answer.Removals} removals, {answer.LeaderChanges} leaders; "
            + string.Join(", ", answer.Loads) + string.Join(", ", answer.Losses)
            + string.Join(", ", answer.Problems.Select(static p => p.Text))
        : what.Problem!.Message;

    private (ClusterChangeAnswer? Answer, HengeException? Problem) Ask(SimNode via, ClusterChange change)
    {
        (ClusterChangeAnswer?, HengeException?)? answered = null;
        Begin(via, change, (answer, problem) => answered = (answer, problem));
        if (!world.RunUntil(world.NowMs + AnswerMs, () => answered is not null))
        {
            throw new SimulationException($"node {via.Index} does not answer {change}");
        }

        return answered!.Value;
    }

    private static void Begin(SimNode via, ClusterChange change, Action<ClusterChangeAnswer?, HengeException?> answered) =>
        via.Guard("command", () => via.Node!.Change(change, via.Node.MonotonicMs + AnswerMs / 2, answered));
}
