using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Replication;

namespace Henge.Node.Opening;

/// <summary>How a node is, put together from its parts for whoever asks. Thread-safe.</summary>
internal sealed class NodeStatusReader(NodeParts parts)
{
    private readonly NodeContext _context = parts.Context;

    /// <summary>Reads it.</summary>
    /// <param name="connected">Peers with a connection.</param>
    public NodeStatus Read(IReadOnlyList<NodeId> connected)
    {
        IReadOnlyList<ShardReplica> hosted = parts.Hosted.All;
        var shards = new List<ShardStatus>(hosted.Count);
        foreach (ShardReplica replica in hosted)
        {
            if (!replica.Shard.IsCatalog)
            {
                shards.Add(replica.Status);
            }
        }

        return new NodeStatus
        {
            ClusterId = _context.Cluster.Id,
            Name = _context.Options.Name,
            Id = _context.Self,
            Address = _context.AddressOf(_context.Self) ?? "",
            UptimeMs = _context.MonotonicMs,
            Shards = shards,
            EngineName = _context.Engine.Name,
            Engine = _context.Engine.GetStatistics(),
            LogBytes = parts.Log.SizeBytes,
            LogSegments = parts.Log.Segments,
            LogSyncs = parts.Log.Syncs,
            ConnectedPeers = connected,
            RefusedPeers = parts.Hellos.Refused,
            Clock = parts.Clocks.Read(shards),
            Activity = _context.Counters.Read() with
            {
                ElectionTimes = _context.Elections.Read(),
                MovesUnderWay = hosted.Count(static replica => replica.Report?.Move is not null),
                MovesStuck = hosted.Count(static replica => replica.Report?.Move is { IsStuck: true }),
                MovesWaiting = parts.Planner.Waiting.Count,
                PlanProblems = parts.Planner.Problems.Count,
                Watches = parts.Watches.Count,
                WatchesLost = parts.Watches.Lost,
                WatchesInHistory = parts.Watches.HistoryReaders,
                DamagedReads = hosted.Sum(static replica => replica.Machine.DamagedReads),
                PendingOperations = _context.PendingOperations,
                Pressure = _context.Engine.Pressure,
                IsDiskFull = _context.IsDiskFull,
            },
        };
    }
}
