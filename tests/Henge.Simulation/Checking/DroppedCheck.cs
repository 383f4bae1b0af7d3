using Henge.Core;
using Henge.Node.Replication;
using Henge.Node.StateMachine;
using Henge.Raft;
using Henge.Simulation.Clients;
using Henge.Simulation.World;
using Henge.Storage;

namespace Henge.Simulation.Checking;

/// <summary>A replica is dropped only when nobody counts on it; and then nothing is left of it.</summary>
internal static class DroppedCheck
{
    /// <summary>A node drops its replica of a shard by the membership at an index.</summary>
    public static void OnDropped(SimCluster cluster, SimNode node, ShardId shard, LogIndex index)
    {
        NodeId id = node.Id;

        // After a recovery there are two histories: those that were given up go on with the old one, and know nothing of the new one.
        SimNode[] peers = [.. cluster.Nodes.Where(n => n.IsGivenUp == node.IsGivenUp)];

        // A leader that does not know yet that another one was elected says nothing of what that one has committed.
        Term newest = peers
            .Select(n => n.ReplicaOf((int)shard.Value)?.Group is { Role: RaftRole.Leader } leader ? leader.Term : default)
            .Max();
        foreach (SimNode other in peers)
        {
            if (other == node || other.ReplicaOf((int)shard.Value)?.Group is not { } group)
            {
                continue;
            }

            if (group.CommitIndex >= index && group.CompactedIndex <= index && group.MembershipAt(index).IsMember(id))
            {
                throw new SimulationException(
                    $"node {node.Index} drops its replica of {shard}, of which it is a member by the membership at {index}: "
                        + cluster.Describe());
            }

            if (group.Role == RaftRole.Leader && group.Term == newest && group.IsOwnTermCommitted && group.CommitIndex < index)
            {
                throw new SimulationException(
                    $"node {node.Index} drops its replica of {shard} by the membership at {index}, and only {group.CommitIndex} is "
                        + $"committed: " + cluster.Describe());
            }
        }
    }

    /// <summary>
    /// In the end: nothing is left of shards that are not on a node. What was dropped just now goes once that is durable, so it is waited
    /// for.
    /// </summary>
    public static void Run(SimWorld world, SimCluster cluster, long limitMs)
    {
        if (!world.RunUntil(world.NowMs + limitMs, () => FindRest(cluster) is null))
        {
            throw new SimulationException(FindRest(cluster)!);
        }
    }

    private static string? FindRest(SimCluster cluster)
    {
        foreach (SimNode node in cluster.Nodes)
        {
            for (int shard = 0; shard < cluster.Shards; shard++)
            {
                if (node.ReplicaOf(shard) is null && FindRest(node, new ShardId((uint)shard)) is { } rest)
                {
                    return rest;
                }
            }
        }

        return null;
    }

    private static string? FindRest(SimNode node, ShardId shard)
    {
        IStorageEngine engine = node.Node!.Parts.Context.Engine;
        foreach (uint keyspace in (uint[])[SystemKeys.UserKeyspace(shard), SystemKeys.SystemKeyspace(shard)])
        {
            using EngineIterator entries = engine.CreateIterator(new IteratorOptions
            {
                Keyspace = keyspace,
                Point = new ReadPoint(Core.Version.Max, 0),
                AllVersions = true,
            });
            entries.SeekToFirst();
            if (entries.Valid)
            {
                return $"node {node.Index} has no replica of {shard}, and still data of it.";
            }
        }

        return engine.GetPosition(SystemKeys.Stream(shard)) != 0 || node.Files.FileExists(SnapshotFile.NameOf("/data/snapshots", shard))
            ? $"node {node.Index} has no replica of {shard}, and still a position or a snapshot of it."
            : null;
    }
}
