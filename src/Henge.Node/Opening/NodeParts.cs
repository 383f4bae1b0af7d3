using Henge.Core;
using Henge.Node.Admin;
using Henge.Node.Catalog;
using Henge.Node.Clocks;
using Henge.Node.Context;
using Henge.Node.Log;
using Henge.Node.Moves;
using Henge.Node.Peers;
using Henge.Node.Reads;
using Henge.Node.Recovery;
using Henge.Node.Remote;
using Henge.Node.Replication;
using Henge.Node.StateMachine;
using Henge.Node.Subscriptions;
using Henge.Node.Watch;
using Henge.Node.Workers;
using Henge.Raft;

namespace Henge.Node.Opening;

/// <summary>What a node is made of.</summary>
internal sealed class NodeParts : IDisposable
{
    public required NodeContext Context { get; init; }

    /// <summary>The replicas that are here.</summary>
    public required HostedShards Hosted { get; init; }

    /// <summary>Who was to carry which shard when the cluster was made.</summary>
    public required NodePlacement Placement { get; init; }

    public required NodeLog Log { get; init; }

    public required Worker[] Workers { get; init; }

    public required Incarnations Incarnations { get; init; }

    public required ClusterRecord Cluster { get; init; }

    /// <summary>The catalog's entries of members.</summary>
    public required MemberCatalog Members { get; init; }

    /// <summary>What this node does for members while it leads the catalog.</summary>
    public required CatalogKeeper Keeper { get; init; }

    /// <summary>Where the catalog has replicas.</summary>
    public required PlacementCatalog Placements { get; init; }

    /// <summary>What this node does about placements while it leads the catalog.</summary>
    public required PlacementKeeper Planner { get; init; }

    /// <summary>What leaders of shards tell the catalog's leader.</summary>
    public required ReportExchange Reports { get; init; }

    /// <summary>What operators ask for.</summary>
    public required ClusterAdmin Admin { get; init; }

    /// <summary>What is done when majorities are lost for ever.</summary>
    public required NodeRecovery Recovery { get; init; }

    public required PeerHellos Hellos { get; init; }

    public required ClockExchange Clocks { get; init; }

    public required PeerMessages Messages { get; init; }

    public required ShardNewsExchange News { get; init; }

    public required NodeReads Reads { get; init; }

    public required ReadLanes Lanes { get; init; }

    public required PageFetcher Pages { get; init; }

    public required PageServer PageServer { get; init; }

    public required WatchService Watches { get; init; }

    public required WatchSubscriptions Subscriptions { get; init; }

    public required IDisposable DirectoryLock { get; init; }

    /// <summary>The state machine of a shard, for the simulator; null when this node does not carry it.</summary>
    public ShardStateMachine? MachineOf(ShardId shard) => Hosted.MachineOf(shard);

    /// <summary>The worker of a shard.</summary>
    public Worker WorkerOf(ShardId shard) => Workers[shard.Value % (uint)Workers.Length];

    /// <inheritdoc/>
    public void Dispose()
    {
        Log.Dispose();
        Context.CloseEngine();
        DirectoryLock.Dispose();
    }
}

/// <summary>The replicas of each shard when the cluster was made; the first of them should lead.</summary>
internal sealed class NodePlacement(IReadOnlyList<NodeId> members, IReadOnlyList<IReadOnlyList<NodeId>> replicas)
{
    private const int CatalogVoters = 5;

    private readonly FoundingReplicas _catalog = new(
        new Membership(members.Take(CatalogVoters), members.Skip(CatalogVoters)),
        [.. members.Take(CatalogVoters)],
        NodeId.None);

    /// <summary>By shard, without the catalog.</summary>
    public IReadOnlyList<IReadOnlyList<NodeId>> Replicas => replicas;

    /// <summary>
    /// A shard's replicas as its first membership. The catalog is on all nodes; more voters than a few would make it slower and no safer.
    /// </summary>
    public FoundingReplicas FoundersOf(ShardId shard)
    {
        if (shard.IsCatalog)
        {
            return _catalog;
        }

        IReadOnlyList<NodeId> founders = ReplicasOf(shard);
        return new FoundingReplicas(new Membership(founders), founders, founders[0]);
    }

    /// <summary>The replicas of a shard.</summary>
    public IReadOnlyList<NodeId> ReplicasOf(ShardId shard) => replicas[(int)shard.Value];
}
