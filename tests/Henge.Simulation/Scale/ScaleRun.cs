using System.Globalization;
using Henge.Core;
using Henge.Node.Context;
using Henge.Raft;
using Henge.Simulation.World;
using Henge.Storage.Lsm.Settings;

namespace Henge.Simulation.Scale;

/// <summary>
/// Clusters of several sizes without faults, with the same load for each node: clients that go straight to leaders, as those do that follow
/// the topology, each with one operation under way. It counts what an operation takes; times it takes from no clock of this machine.
/// </summary>
internal static class ScaleRun
{
    /// <summary>
    /// Processor time of three nodes for a Put with 16 connections of 64 callers, in µs: docs/performance.md. It is shared out over the
    /// steps of an operation in a cluster of three.
    /// </summary>
    public const double PutMicroseconds = 22.2;

    private const int RunMs = 2_000;
    private static readonly int[] Sizes = [3, 6, 9, 12];

    /// <summary>The tables of docs/performance.md.</summary>
    public static void Print(TextWriter output)
    {
        Print(output, "4 shards and 4 clients for each node", static n => ScaleSetting.ForNode(n));
        Print(output, "16 shards and 4 clients for each node", static n => ScaleSetting.ForNode(n, shardsForNode: 16));
        Print(output, "16 shards and 16 clients for each node", static n => ScaleSetting.ForNode(n, 16, clientsForNode: 16));
        Print(output, "16 shards in all, 4 clients for each node", static n => new ScaleSetting(n, ScaleSetting.DefaultShards, 4));
    }

    private static void Print(TextWriter output, string title, Func<int, ScaleSetting> settingOf)
    {
        output.WriteLine(title);
        output.WriteLine();
        output.WriteLine("| Nodes | frames for a read | for a write | bytes for a write | syncs for a write | leaders of a node | replicas | "
            + "most operations | busiest node | operations/s for a node | frames/s at rest |");
        output.WriteLine("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
        double first = 0;
        foreach (int nodes in Sizes)
        {
            ScaleSetting setting = settingOf(nodes);
            ScaleResult reads = Run(setting with { WritesPerMille = 0 }), writes = Run(setting with { WritesPerMille = 1_000 });
            ScaleResult both = Run(setting);
            double step = PutMicroseconds / (first = first == 0 ? writes.Steps : first);
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"| {nodes} | {reads.Frames:F2} | {writes.Frames:F2} | {writes.Bytes:F0} | {writes.Syncs:F2} | {Range(both.Leaders)} | "
                    + $"{Range(both.Replicas)} | {both.BusiestByOperations:F2} | {both.Busiest:F2} | {both.OperationsForNode(step):N0} | "
                    + $"{both.AtRest:F0} |"));
        }

        output.WriteLine();
    }

    private static string Range((int Fewest, int Most) range) =>
        range.Fewest == range.Most ? $"{range.Most}" : $"{range.Fewest}–{range.Most}";

    /// <summary>Runs a cluster.</summary>
    public static ScaleResult Run(ScaleSetting setting)
    {
        var world = new SimWorld(setting.Seed, keepTrace: false);
        var statistics = new SimStatistics();
        var network = new SimNetwork(world, statistics);
        (int nodes, int shards) = (setting.Nodes, setting.Shards);
        SimNode[] all = Make(world, network, statistics, setting);
        try
        {
            if (!world.RunUntil(120_000, () => all.All(n => n.Node is { ClusterId.Length: > 0 })
                && Enumerable.Range(0, shards).All(s => LeaderOf(all, s) is not null)))
            {
                throw new SimulationException(
                    $"a cluster of {nodes} nodes has not come up: in it {all.Count(static n => n.Node is { ClusterId.Length: > 0 })} are, and "
                        + $"{Enumerable.Range(0, shards).Count(s => LeaderOf(all, s) is not null)} of {shards} shards are led");
            }

            // Until preferred leaders lead, and all is quiet.
            world.RunUntil(world.NowMs + 10_000);
            SimNode[] leaders =
            [
                .. Enumerable.Range(0, shards).Select(s => LeaderOf(all, s) ?? throw new SimulationException($"nobody leads s{s}")),
            ];
            int[] led = [.. all.Select(n => leaders.Count(l => l == n))];
            int[] carried = [.. all.Select(n => Enumerable.Range(0, shards).Count(s => n.ReplicaOf(s) is not null))];
            var before = all.Select(static n => n.Work).ToArray();
            world.RunUntil(world.NowMs + RunMs);
            var rest = all.Select(static n => n.Work).ToArray();
            var load = new ScaleLoad(world, leaders, setting);
            world.RunUntil(world.NowMs + RunMs);
            load.Stop();
            world.RunUntil(world.NowMs + 100);
            double ops = load.Done;
            double[] frames = new double[nodes], steps = new double[nodes];
            double bytes = 0, syncs = 0;
            for (int i = 0; i < nodes; i++)
            {
                double restSent = rest[i].Sent - before[i].Sent, restReceived = rest[i].Received - before[i].Received;
                frames[i] = all[i].Work.Sent - rest[i].Sent - restSent;
                steps[i] = frames[i] + (all[i].Work.Received - rest[i].Received - restReceived) + load.DoneBy(i);
                bytes += all[i].Work.SentBytes - rest[i].SentBytes - (rest[i].SentBytes - before[i].SentBytes);
                syncs += all[i].Work.Syncs - rest[i].Syncs - (rest[i].Syncs - before[i].Syncs);
            }

            return new ScaleResult(
                setting,
                load.Done,
                frames.Sum() / ops,
                bytes / ops,
                syncs / Math.Max(1, load.Writes),
                Enumerable.Range(0, nodes).Max(load.DoneBy) * nodes / ops,
                steps.Max() / steps.Average(),
                rest.Zip(before, static (a, b) => a.Sent - b.Sent).Average() * 1_000 / RunMs,
                (led.Min(), led.Max()),
                (carried.Min(), carried.Max()));
        }
        finally
        {
            foreach (SimNode node in all)
            {
                node.Files.PowerOff();
                try
                {
                    node.Node?.Dispose();
                }
                catch (Exception e) when (e is IOException or HengeException)
                {
                    world.Note("disposed", node.Index);
                }
            }
        }
    }

    private static SimNode? LeaderOf(SimNode[] all, int shard) =>
        Array.Find(all, n => n.ReplicaOf(shard)?.Group is { Role: RaftRole.Leader, IsSureOfMembership: true });

    private static SimNode[] Make(SimWorld world, SimNetwork network, SimStatistics statistics, ScaleSetting setting)
    {
        network.Faults.DelayNs = 100_000;
        ClusterMember[] members =
        [
            .. Enumerable.Range(1, setting.Nodes).Select(static i => new ClusterMember(
                "node" + i.ToString("d2", CultureInfo.InvariantCulture),
                $"10.0.0.{i}:7000")),
        ];
        SimNode[] all =
        [
            .. Enumerable.Range(0, setting.Nodes).Select(i => new SimNode(
                i,
                world,
                network,
                statistics,
                new NodeOptions
                {
                    Name = members[i].Name,
                    Cluster = members,
                    DataDirectory = "/data",
                    Shards = setting.Shards,
                    ReplicationFactor = 3,
                    Workers = 1,
                    DiskReserveBytes = 0,
                    BalanceIntervalMs = 500,
                },
                static _ => new LsmOptions { Directory = "/data/engine" })),
        ];
        foreach (SimNode node in all)
        {
            network.Add(node);
        }

        foreach (SimNode node in all)
        {
            world.AfterMs(node.Index, node.Start);
        }

        return all;
    }
}
