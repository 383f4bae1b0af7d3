using Henge.Cluster;
using Henge.Cluster.Planning;
using Henge.Core;
using Henge.Node.Admin;
using Henge.Node.Api;
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
using Henge.Storage.Files;
using Henge.Storage.Logs;

namespace Henge.Node.Opening;

/// <summary>Puts a node together from its data directory.</summary>
internal static class NodeOpening
{
    /// <summary>Opens everything; closes what it had opened when something does not fit.</summary>
    public static NodeParts Open(NodeOptions options, NodeEnvironment environment)
    {
        CheckOptions(options);
        IReadOnlyList<ClusterMember> members = NodeIdentity.MembersOf(options);
        environment.FileSystem.CreateDirectoryDurably(options.DataDirectory);
        IDisposable directoryLock = environment.FileSystem.Lock(Path.Combine(options.DataDirectory, "LOCK"));
        NodeContext? context = null;
        NodeLog? log = null;
        try
        {
            var random = new SplitMix64Random(environment.Seed);
            NodeIdentity identity = NodeIdentity.Open(options, members, environment.FileSystem, random.NextUInt64, out bool isNew);
            context = new NodeContext(options, environment, identity, identity.KnownMembers(options, members));
            if (isNew)
            {
                context.Events?.NodeCreated(options.Name, context.Self, options.DataDirectory);
            }
            else
            {
                context.Events?.NodeRestarted(options.Name, context.Self, options.DataDirectory);
            }

            return OpenParts(context, directoryLock, RecoveryFile.Apply(context), ref log);
        }
        catch
        {
            log?.Dispose();
            context?.CloseEngine();
            directoryLock.Dispose();
            throw;
        }
    }

    private static void CheckOptions(NodeOptions options)
    {
        static void Require(bool condition, string message)
        {
            if (!condition)
            {
                throw new HengeException(ErrorCode.InvalidArgument, message);
            }
        }

        Require(options.TickMs >= 1, $"TickMs is {options.TickMs}; it must be at least 1.");
        Require(options.HistoryMs >= 0, $"HistoryMs is {options.HistoryMs}; it must not be negative.");
        Require(options.MaxClockSkewMs >= 1, $"MaxClockSkewMs is {options.MaxClockSkewMs}; it must be at least 1.");
        Require(options.DefaultDeadlineMs >= 1, $"DefaultDeadlineMs is {options.DefaultDeadlineMs}; it must be at least 1.");
        Require(options.EntryBytes >= 1, $"EntryBytes is {options.EntryBytes}; it must be at least 1.");
        Require(options.Workers >= 0, $"Workers is {options.Workers}; it must not be negative.");
        Require(options.LogKeepEntries >= 0, $"LogKeepEntries is {options.LogKeepEntries}; it must not be negative.");
        Require(
            options.SnapshotChunkBytes is >= SnapshotFormat.MinChunkBytes and <= SnapshotFormat.MaxChunkBytes,
            $"SnapshotChunkBytes is {options.SnapshotChunkBytes}; it must be from {SnapshotFormat.MinChunkBytes} to "
                + $"{SnapshotFormat.MaxChunkBytes}.");
        Require(options.Reads is not ReadConsistency.Default, "Reads must say how reads are made sure of: linearizable, lease or stale.");
        Require(
            options.LogSegmentBytes >= 2L * options.Limits.CommandBytes,
            $"LogSegmentBytes is {options.LogSegmentBytes}; it must be at least twice the largest command ({options.Limits.CommandBytes} "
                + $"bytes), which has to fit into a segment.");
    }

    private static NodeParts OpenParts(NodeContext context, IDisposable directoryLock, string recovery, ref NodeLog? log)
    {
        NodeOptions options = context.Options;
        string engine = context.Environment.EngineName is { } name
            ? EngineFile.Claim(context.Environment.FileSystem, options.DataDirectory, name)
            : Path.Combine(options.DataDirectory, EngineFile.FirstDirectory);
        context.Engine = context.Environment.OpenEngine(engine);
        context.History = new HistoryWindow(context.Engine);
        ShardId[] shards = [.. Enumerable.Range(0, context.Identity.Shards).Select(static s => new ShardId((uint)s)), ShardId.Catalog];
        var salts = new SplitMix64Random(context.Environment.Seed + 0x10F);
        context.Engine.DeclareKeyspaces([
            .. shards.SelectMany(static shard => new[] { SystemKeys.UserKeyspace(shard), SystemKeys.SystemKeyspace(shard) }),
        ]);
        log = NodeLog.Open(
            context,
            Path.Combine(options.DataDirectory, "log"),
            new SegmentedLogOptions { SegmentBytes = options.LogSegmentBytes, NewSalt = salts.NextUInt64 },
            shards,
            out Dictionary<ShardId, ShardLogReplay> found);
        NodeLog opened = log;
        Worker[] workers = [.. Enumerable.Range(0, Math.Max(1, options.Workers)).Select(i => new Worker(context, opened, i))];
        var catalog = new CatalogShard(workers[ShardId.Catalog.Value % (uint)workers.Length]);
        var incarnations = new Incarnations(context, catalog);
        var cluster = new ClusterRecord(context, catalog);
        context.Incarnations = incarnations;
        context.Cluster = cluster;
        NodePlacement placement = Place(context);
        context.Directory = new ShardDirectory(context.Self, placement.Replicas);
        var hosted = new HostedShards(context.Shards.Count);
        var host = new ShardHost(context, hosted, placement.FoundersOf, static shard => new WatchHub(shard));
        foreach (ShardId shard in shards)
        {
            host.Open(workers[shard.Value % (uint)workers.Length], shard, found[shard]);
        }

        catalog.Machine = hosted[ShardId.Catalog].Machine;
        incarnations.Refresh(mayRegister: false);
        cluster.Refresh(mayWrite: false);
        var memberCatalog = new MemberCatalog(context, catalog, incarnations);
        memberCatalog.Run(mayWrite: false);

        // A node that is alone in its list is a cluster by its own settings.
        bool HasJoined() => context.Members.Count == 1 || cluster.IsEstablished || options.Bugs.WatchesBeforeJoining;
        var outbox = new SubscriptionOutbox(context);
        var remoteWatches = new RemoteWatches(
            context,
            WatchOptions.Default,
            new DirectorySources(context.Directory, context.Self),
            outbox,
            shard => hosted.ServingMachineOf(shard) is not null);
        var watches = new WatchService(
            context.Shards,
            hosted.ServingMachineOf,
            options.Limits,
            WatchOptions.Default,
            HasJoined,
            remoteWatches);
        var served = new ServedWatches(context, watches, WatchOptions.Default, outbox, () => memberCatalog.Access);
        var reads = new NodeReads(context.Shards, hosted.MachineOf);
        var lanes = new ReadLanes(context, workers, hosted.MachineOf);
        foreach (Worker worker in workers)
        {
            worker.Reads.Values = lanes;
            worker.Access = () => memberCatalog.Access;
        }

        context.Directory.Changed += shard =>
        {
            // Only those who may have to do with it: a replica that serves knows from its own group.
            if (!hosted.Serves(shard) || !context.Directory.PlaceOf(shard).Has(context.Self))
            {
                workers[shard.Value % (uint)workers.Length].Post(new WorkerAction(w => w.ReplicaOf(shard)?.OnPlaceChanged()));
            }
        };
        var reports = new ReportExchange(context, hosted);
        var placements = new PlacementCatalog(context, memberCatalog, Founding(context, placement));
        var planner = new PlacementKeeper(
            placements,
            new ClusterSight(context, hosted[ShardId.Catalog], reports.Latest),
            options.Bugs);
        return new NodeParts
        {
            Placements = placements,
            Reports = reports,
            Planner = planner,
            Admin = new ClusterAdmin(context, memberCatalog, placements, planner),
            Recovery = new NodeRecovery(context, memberCatalog, workers, recovery),
            Context = context,
            Hosted = hosted,
            Placement = placement,
            Log = opened,
            Workers = workers,
            Incarnations = incarnations,
            Cluster = cluster,
            Members = memberCatalog,
            Keeper = new CatalogKeeper(context, hosted[ShardId.Catalog], memberCatalog, placements, reports.Latest),
            Hellos = new PeerHellos(context),
            Clocks = new ClockExchange(context),
            Messages = new PeerMessages(context),
            News = new ShardNewsExchange(context),
            Reads = reads,
            Lanes = lanes,
            Pages = new PageFetcher(context, hosted.ServesAt, workers),
            PageServer = new PageServer(context, workers, lanes, reads, hosted.MachineOf, () => memberCatalog.Access),
            Watches = watches,
            Subscriptions = new WatchSubscriptions(context, remoteWatches, served),
            DirectoryLock = directoryLock,
        };
    }

    // As a placement that can be followed, which has fewer replicas than a cluster may be made with.
    private static TargetPlacement Founding(NodeContext context, NodePlacement placement) =>
        TargetPlacement.From(
            0,
            Math.Clamp(context.Identity.Founding.ReplicationFactor, 1, TargetPlacement.MaxReplicas),
            [.. placement.Replicas.Select(static row => row.Take(TargetPlacement.MaxReplicas).ToArray())]);

    private static NodePlacement Place(NodeContext context)
    {
        IReadOnlyList<ClusterMember> founders = context.Identity.Founding.Members;
        Dictionary<string, NodeId> ids = Enumerable.Range(0, founders.Count)
            .ToDictionary(i => founders[i].Name, static i => new NodeId((ulong)i + 1), StringComparer.Ordinal);
        var ring = new HashRing(founders.Select(static m => m.Name));
        FoundingSettings founding = context.Identity.Founding;
        Placement placement = Placement.Create(context.Shards, ring, founding.ReplicationFactor, founding.PlacementRule);
        var replicas = new IReadOnlyList<NodeId>[context.Shards.Count];
        for (uint s = 0; s < replicas.Length; s++)
        {
            replicas[s] = [.. placement.ReplicasOf(new ShardId(s)).Select(name => ids[name])];
        }

        return new NodePlacement([.. founders.Select((_, i) => new NodeId((ulong)i + 1))], replicas);
    }
}
