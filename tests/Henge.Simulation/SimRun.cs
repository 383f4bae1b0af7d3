using Henge.Core;
using Henge.Node.Api;
using Henge.Raft;
using Henge.Simulation.Checking;
using Henge.Simulation.Clients;
using Henge.Simulation.Drills;
using Henge.Simulation.World;

namespace Henge.Simulation;

/// <summary>How a run ended.</summary>
internal sealed record SimResult(
    ulong Seed,
    string? Failure,
    ulong TraceHash,
    long VirtualMs,
    long Events,
    SimStatistics Statistics,
    string Trace);

/// <summary>One seed: a cluster under faults for some virtual seconds, then peace, then the checks.</summary>
internal static class SimRun
{
    private const long SettleMs = 60_000;

    /// <summary>Runs a seed; as a reference, in the world in which a deliberate bug is looked for, and without the bug.</summary>
    public static SimResult Run(ulong seed, Canary canary = Canary.None, bool trace = false, bool isReference = false)
    {
        var world = new SimWorld(seed, trace);
        var statistics = new SimStatistics();
        string? failure = null;
        SimCluster? cluster = null;
        try
        {
            cluster = new SimCluster(world, statistics, canary, isReference);
            Play(world, cluster);
        }
        catch (SimulationException e)
        {
            failure = e.InnerException is null ? e.Message : e.Message + "\n" + e.InnerException;
            world.Say("FAILURE", () => e.Message);
        }
        catch (HengeException e)
        {
            // A check asked a node that was to have an answer.
            failure = e.ToString();
        }
        finally
        {
            foreach (SimNode node in cluster?.Machines ?? [])
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

        return new SimResult(seed, failure, world.TraceHash, world.NowMs, world.Events, statistics, trace ? world.TraceText() : "");
    }

    private static void Play(SimWorld world, SimCluster cluster)
    {
        var history = new SimHistory();
        var nemesis = new Nemesis(cluster);
        var members = new SimMembers(cluster);
        SimRandom random = world.Random.Fork();
        SimClient[] clients = [.. Enumerable.Range(0, 2 + random.Next(5)).Select(i => new SimClient(i, cluster, history))];
        int watching = 1 + random.Next(2);
        SimWatcher[] watchers = [.. Enumerable.Range(0, watching).Select(i => new SimWatcher(i, cluster))];
        SimPipeline[] pipelines = [.. Enumerable.Range(0, random.Next(3)).Select(_ => new SimPipeline(cluster, history))];
        SimHashes[] hashes =
        [
            .. Enumerable
                .Range(0, 1 + random.Next(3))
                .Select(i => new SimHashes(i, new SimClient(800 + i, cluster, history), cluster, history)),
        ];
        foreach (SimNode node in cluster.Nodes)
        {
            world.AfterMs(random.Next(30), node.Start);
        }

        Array.ForEach(clients, static c => c.Start());
        Array.ForEach(watchers, static w => w.Begin());
        Array.ForEach(pipelines, static p => p.Start());
        Array.ForEach(hashes, static h => h.Start());
        var timesToLive = new SimTimeToLive(new SimClient(900, cluster, history), cluster, history);
        timesToLive.Start();
        nemesis.Start();
        members.Start();
        world.RunUntil(random.Between(4_000, 15_000));

        // Peace: from here on the cluster has to come to rest by itself, and to serve.
        nemesis.Stop();
        members.EndFaults();
        world.RunUntil(world.NowMs + 1_000);
        cluster.ClientsStop = true;
        bool IsIdle() => Array.TrueForAll(clients, static c => !c.Busy) && Array.TrueForAll(pipelines, static p => !p.Busy)
            && Array.TrueForAll(hashes, static h => !h.Busy);
        world.RunUntil(world.NowMs + SettleMs, IsIdle);
        if (cluster.IsElastic)
        {
            // First every replica has to be where it stays.
            if (!world.RunUntil(world.NowMs + SettleMs, () => cluster.IsSettled() && nemesis.Planner?.IsPlaced() != false))
            {
                throw new SimulationException(
                    $"After a virtual minute replicas are not where they stay: {nemesis.Planner?.Describe()} {cluster.Describe()}");
            }
        }

        ProveProgress(world, cluster);
        if (!world.RunUntil(world.NowMs + SettleMs, cluster.IsSettled))
        {
            throw new SimulationException(
                "The faults are over, and after a virtual minute the cluster still has not come to rest: " + cluster.Describe());
        }

        if (!world.RunUntil(world.NowMs + SettleMs, members.IsSettled))
        {
            throw new SimulationException("The members do not agree on who they are: " + members.Describe());
        }

        members.Check();
        WholeCheck.Run(world, cluster, SettleMs);
        if (cluster.IsElastic)
        {
            DroppedCheck.Run(world, cluster, SettleMs);
            nemesis.Planner?.Check();
            if (nemesis.Planner is { } planner)
            {
                planner.CheckAccess(world, SettleMs);
                planner.CheckLeft(world, SettleMs);
                new CommandDrill(world, cluster, planner, SettleMs).Run();
            }
        }
        else
        {
            var stage = new DrillStage(world, cluster);
            new HungWorkerDrills(stage).Run();
            new LeaseDrills(stage).Run();
            new OldAnswersDrill(stage).Run();
            new LateForwardDrill(stage).Run();
            new VoidedWriteDrill(stage).Run();
        }

        SimWatcher.CatchUp(watchers, cluster, random, SettleMs);
        foreach (SimWatcher watcher in cluster.IsElastic ? [] : watchers)
        {
            watcher.Drain(random.Pick(cluster.Nodes));
        }

        Count(cluster);
        timesToLive.Check();
        new FinalCheck(cluster, history, watchers).Run();
        new HashCheck(cluster, history).Run();
        new RecoveryDrill(world, cluster).Run();
    }

    /// <summary>After the faults every shard must take a write by every node, soon.</summary>
    private static void ProveProgress(SimWorld world, SimCluster cluster)
    {
        var client = new SimClient(1_000, cluster, new SimHistory());
        foreach (SimNode node in cluster.Nodes)
        {
            foreach (byte[] key in cluster.Keys)
            {
                long deadline = world.NowMs + SettleMs;
                bool done = false;
                while (!done && world.NowMs < deadline)
                {
                    bool ended = false;
                    client.Run(
                        node,
                        o => (o.Kind, o.Key) = (OperationKind.Get, key),
                        o => (ended, done) = (true, o?.Error == ErrorCode.None));
                    world.RunUntil(deadline, () => ended);
                }

                if (!done)
                {
                    throw new SimulationException(
                        $"The faults are over, and node {node.Index} still cannot read after a virtual minute: " + cluster.Describe());
                }
            }
        }
    }

    private static void Count(SimCluster cluster)
    {
        foreach (SimNode node in cluster.Nodes)
        {
            foreach (ShardStatus shard in node.Node!.GetStatus().Shards)
            {
                cluster.Statistics.Elections += (long)shard.Term.Value;
                cluster.Statistics.LogTruncations += shard.First.Value > 1 ? 1 : 0;
            }
        }
    }
}
