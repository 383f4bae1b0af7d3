using Henge.Core;
using Henge.Node.Replication;
using Henge.Node.StateMachine;
using Henge.Simulation.Clients;
using Henge.Simulation.World;
using Henge.Storage;

namespace Henge.Simulation.Checking;

/// <summary>
/// What was damaged is whole again soon after somebody has met it: all versions of everything are read until nothing is refused.
/// </summary>
internal static class WholeCheck
{
    /// <summary>Throws <see cref="SimulationException"/> when that takes longer.</summary>
    public static void Run(SimWorld world, SimCluster cluster, long limitMs)
    {
        if (cluster.Victim is not { IsDamaged: true } node)
        {
            return;
        }

        long deadline = world.NowMs + limitMs;
        string? problem = Read(cluster, node);
        while (problem is not null)
        {
            if (world.NowMs >= deadline)
            {
                throw new SimulationException(
                    $"Node {node.Index} is still damaged after {limitMs} virtual ms: {problem} " + cluster.Describe());
            }

            world.RunUntil(world.NowMs + 300);
            problem = Read(cluster, node);
        }

        // Until leaders have forgotten of it, too.
        world.RunUntil(world.NowMs + 6_000);
        if (!world.RunUntil(world.NowMs + limitMs, cluster.IsSettled))
        {
            throw new SimulationException(
                $"A node was rebuilt, and after {limitMs} virtual ms the cluster still has not come to rest: " + cluster.Describe());
        }
    }

    private static string? Read(SimCluster cluster, SimNode node)
    {
        string? problem = null;
        node.Guard("read all", () =>
        {
            foreach (ShardReplica replica in node.Node!.Parts.Hosted.All)
            {
                problem ??= replica.Problem;

                // What a shard that has gone elsewhere left behind is nobody's to mend: a block of it may be read on the way to the first
                // key.
                problem ??= cluster.IsElastic
                    ? null
                    : Read(node, SystemKeys.UserKeyspace(replica.Shard)) ?? Read(node, SystemKeys.SystemKeyspace(replica.Shard));
            }
        });
        return problem;
    }

    private static string? Read(SimNode node, uint keyspace)
    {
        try
        {
            using EngineIterator entries = node.Node!.Parts.Context.Engine.CreateIterator(new IteratorOptions
            {
                Keyspace = keyspace,
                Point = new ReadPoint(Core.Version.Max, 0),
                AllVersions = true,
            });
            for (entries.SeekToFirst(); entries.Valid; entries.Next())
            {
                // Only whether it can be read counts.
            }

            return null;
        }
        catch (HengeException e) when (e.Code == ErrorCode.Corruption)
        {
            return e.Message;
        }
    }
}
