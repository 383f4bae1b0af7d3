using System.Buffers;
using System.Globalization;
using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.StateMachine;
using Henge.Raft;
using Henge.Simulation.Clients;
using Henge.Simulation.World;
using Henge.Storage.Lsm.Settings;

namespace Henge.Simulation.Scale;

/// <summary>What one operation takes in a cluster of a size, and what the busiest node has to do for it.</summary>
/// <param name="Nodes">How many nodes.</param>
/// <param name="Operations">How many operations were done.</param>
/// <param name="Frames">Frames between nodes for an operation, without those of a cluster at rest.</param>
/// <param name="Bytes">Bytes in them.</param>
/// <param name="Syncs">Syncs of disks for a write, all nodes together.</param>
/// <param name="Busiest">Operations, frames sent and frames taken in by the busiest node, as a multiple of the mean.</param>
/// <param name="AtRest">Frames that a node sends in a second while nobody asks for anything.</param>
internal sealed record ScaleResult(
    int Nodes,
    long Operations,
    double Frames,
    double Bytes,
    double Syncs,
    double Busiest,
    double AtRest)
{
    /// <summary>Operations, and frames sent and taken in for them, by operation: what a cluster's processors do.</summary>
    public double Steps => 1 + (2 * Frames);
}

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

    private const int ShardsForNode = 4;
    private const int ClientsForNode = 4;
    private const int RunMs = 2_000;
    private const int KeysForShard = 8;

    /// <summary>All sizes, as a table.</summary>
    public static string Table(IReadOnlyList<int> sizes)
    {
        var text = new StringBuilder();
        text.AppendLine("| Nodes | frames for a read | for a write | bytes for a write | syncs for a write | busiest node | "
            + "operations/s for a node | frames/s at rest |");
        text.AppendLine("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
        double first = 0;
        foreach (int nodes in sizes)
        {
            ScaleResult reads = Run(nodes, writesPerMille: 0), writes = Run(nodes, writesPerMille: 1_000), both = Run(nodes);
            double step = PutMicroseconds / (first = first == 0 ? writes.Steps : first);

            // One processor of the busiest node.
            text.AppendLine(CultureInfo.InvariantCulture, $"| {nodes} | {reads.Frames:F2} | {writes.Frames:F2} | {writes.Bytes:F0} | "
                + $"{writes.Syncs:F2} | {both.Busiest:F2} | {1e6 / (step * both.Steps * both.Busiest):N0} | {both.AtRest:F0} |");
        }

        return text.ToString();
    }

    /// <summary>Runs a cluster of a size.</summary>
    public static ScaleResult Run(int nodes, int writesPerMille = 500, ulong seed = 1)
    {
        var world = new SimWorld(seed, keepTrace: false);
        var statistics = new SimStatistics();
        var network = new SimNetwork(world, statistics);
        SimNode[] all = Make(world, network, statistics, nodes);
        try
        {
            int shards = nodes * ShardsForNode;
            if (!world.RunUntil(120_000, () => all.All(n => n.Node is { ClusterId.Length: > 0 })
                && Enumerable.Range(0, shards).All(s => LeaderOf(all, s) is not null)))
            {
                throw new SimulationException(
                    $"a cluster of {nodes} nodes has not come up: in it {all.Count(static n => n.Node is { ClusterId.Length: > 0 })} are, and "
                        + $"{Enumerable.Range(0, shards).Count(s => LeaderOf(all, s) is not null)} of {shards} shards are led");
            }

            // Until preferred leaders lead, and all is quiet.
            world.RunUntil(world.NowMs + 10_000);
            var before = all.Select(static n => n.Work).ToArray();
            world.RunUntil(world.NowMs + RunMs);
            var rest = all.Select(static n => n.Work).ToArray();
            var load = new Load(world, all, shards, writesPerMille);
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
                nodes,
                load.Done,
                frames.Sum() / ops,
                bytes / ops,
                syncs / Math.Max(1, load.Writes),
                steps.Max() / steps.Average(),
                rest.Zip(before, static (a, b) => a.Sent - b.Sent).Average() * 1_000 / RunMs);
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

    private static SimNode[] Make(SimWorld world, SimNetwork network, SimStatistics statistics, int nodes)
    {
        network.Faults.DelayNs = 100_000;
        ClusterMember[] members =
        [
            .. Enumerable.Range(1, nodes).Select(static i => new ClusterMember(
                "node" + i.ToString("d2", CultureInfo.InvariantCulture),
                $"10.0.0.{i}:7000")),
        ];
        SimNode[] all =
        [
            .. Enumerable.Range(0, nodes).Select(i => new SimNode(
                i,
                world,
                network,
                statistics,
                new NodeOptions
                {
                    Name = members[i].Name,
                    Cluster = members,
                    DataDirectory = "/data",
                    Shards = nodes * ShardsForNode,
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

    /// <summary>The clients.</summary>
    private sealed class Load
    {
        private readonly SimWorld _world;
        private readonly SimNode[] _leaders;
        private readonly byte[][] _keys;
        private readonly SimRandom _random;
        private readonly Dictionary<int, long> _doneBy = [];
        private readonly int _writesPerMille;
        private bool _stopped;

        public Load(SimWorld world, SimNode[] all, int shards, int writesPerMille)
        {
            _writesPerMille = writesPerMille;
            _world = world;
            _random = world.Random.Fork();
            _leaders =
            [
                .. Enumerable.Range(0, shards).Select(s => LeaderOf(all, s) ?? throw new SimulationException($"nobody leads s{s}")),
            ];
            var map = new ShardMap(shards);
            _keys = [.. Enumerable.Range(0, shards * KeysForShard).Select(static i => Encoding.ASCII.GetBytes($"key{i}"))];
            for (int client = 0; client < all.Length * ClientsForNode; client++)
            {
                Next(map);
            }
        }

        public long Done { get; private set; }

        public long Writes { get; private set; }

        public long DoneBy(int node) => _doneBy.GetValueOrDefault(node);

        public void Stop() => _stopped = true;

        private void Next(ShardMap map)
        {
            if (_stopped)
            {
                return;
            }

            byte[] key = _random.Pick(_keys);
            SimNode node = _leaders[map.ShardOf(key).Value];
            bool isWrite = _random.PerMille(_writesPerMille);
            var operation = new SimOperation(o =>
            {
                if (o.Error != ErrorCode.None)
                {
                    throw new SimulationException($"an operation without faults failed: {o.Error} {o.ErrorMessage}");
                }

                Done++;
                Writes += isWrite ? 1 : 0;
                _doneBy[node.Index] = _doneBy.GetValueOrDefault(node.Index) + 1;
                _world.After(_random.Between(1_000_000, 5_000_000), () => Next(map));
            })
            {
                Kind = isWrite ? OperationKind.Write : OperationKind.Get,
                Key = key,
            };
            if (isWrite)
            {
                var command = new ArrayBufferWriter<byte>();
                CommandEncoder.Put(command, key, new byte[100], new PutOptions());
                operation.Command = command.WrittenMemory;
            }

            node.Plan(_random.Between(10_000, 100_000), "submit", () => node.Node!.Submit(operation));
        }
    }
}
