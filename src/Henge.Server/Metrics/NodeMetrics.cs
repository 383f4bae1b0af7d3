using System.Diagnostics.Metrics;
using Henge.Core;
using Henge.Node.Api;
using Henge.Storage;

namespace Henge.Server.Metrics;

/// <summary>
/// Shows the state of a node as instruments of a meter. Nothing is measured between collections; a collection looks at the node once.
/// Thread-safe.
/// </summary>
internal sealed class NodeMetrics
{
    private const long FreshMs = 100;
    private readonly IHengeNode _node;
    private readonly Lock _gate = new();
    private NodeStatus? _status;
    private long _takenMs;

    public NodeMetrics(Meter meter, IHengeNode node)
    {
        _node = node;
        Shards(meter);
        Raft(meter);
        Log(meter);
        Engine(meter);
        Work(meter);
        Clock(meter);
    }

    private NodeStatus Status
    {
        get
        {
            // The instruments of one collection ask one after another, and all get the same picture.
            lock (_gate)
            {
                long now = Environment.TickCount64;
                if (_status is null || now - _takenMs >= FreshMs)
                {
                    _status = _node.GetStatus();
                    _takenMs = now;
                }

                return _status;
            }
        }
    }

    private void Shards(Meter meter)
    {
        meter.CreateObservableGauge(
            "henge.shards",
            () =>
                Enum.GetValues<ReplicaRole>()
                    .Select(role => With((long)Status.Shards.Count(s => s.Role == role), "henge.role", role.ToString().ToLowerInvariant())),
            "{shard}",
            "Shards that this node carries, by its role in them.");
        meter.CreateObservableGauge("henge.shards.leaderless", () => (long)Status.Shards.Count(static s => s.Leader.IsNone), "{shard}",
            "Shards of which this node knows no leader.");
        meter.CreateObservableGauge("henge.shards.failed", () => (long)Status.Shards.Count(static s => s.Error is not null), "{shard}",
            "Shards that this node does not serve, or not all of, because of an error.");
        meter.CreateObservableGauge(
            "henge.shards.damaged.everywhere", () => Status.Shards.Count(static s => s.IsDamagedEverywhere), "{shard}", "Shards that this "
                + "node leads, and of which no member is whole, so that none can be rebuilt.");
        meter.CreateObservableCounter("henge.shards.damaged.reads", () => Status.Activity.DamagedReads, "{read}", "Reads that found a "
            + "damaged part of a shard's state.");
        meter.CreateObservableGauge("henge.peers.refused", () => (long)Status.RefusedPeers.Count, "{peer}", "Peers that this node "
            + "exchanges nothing with, because their cluster was made with other settings.");
        meter.CreateObservableGauge("henge.uptime", () => Status.UptimeMs / 1000.0, "s", "Time since the node started.");
    }

    private void Raft(Meter meter)
    {
        meter.CreateObservableCounter(
            "henge.raft.entries.committed",
            () => Status.Shards.Sum(static s => (long)s.Committed.Value),
            "{entry}",
            "Commit indexes of all shards here, summed up.");
        meter.CreateObservableCounter(
            "henge.raft.entries.applied",
            () => Status.Shards.Sum(static s => (long)s.Applied.Value),
            "{entry}",
            "Applied indexes of all shards here, summed up.");
        meter.CreateObservableGauge(
            "henge.raft.apply.lag",
            () => Status.Shards.Select(static s => Math.Max(0, (long)s.Committed.Value - (long)s.Applied.Value)).DefaultIfEmpty().Max(),
            "{entry}",
            "Entries that are committed and not yet applied, in the shard where there are most.");
        meter.CreateObservableGauge(
            "henge.raft.follower.lag",
            () => Followers().GroupBy(static f => f.Node).Select(static g => With(g.Max(static f => f.Lag), "henge.peer", g.Key)),
            "{entry}",
            "Entries of shards led here that a peer is known not to have yet, in the shard where there are most.");
        meter.CreateObservableCounter(
            "henge.raft.elections.won",
            () => Status.Activity.ElectionsWon,
            "{election}",
            "Elections that this node won.");
        meter.CreateObservableCounter(
            "henge.raft.leader.changes",
            () => Status.Activity.LeaderChanges,
            "{change}",
            "How often a replica here learned of another leader or term.");
        meter.CreateObservableCounter(
            "henge.raft.entries.proposed",
            () => Status.Activity.EntriesProposed,
            "{entry}",
            "Entries that this node proposed as a leader.");
        meter.CreateObservableCounter(
            "henge.raft.commands.proposed",
            () => Status.Activity.CommandsProposed,
            "{command}",
            "Commands in those entries.");
        meter.CreateObservableCounter(
            "henge.raft.read.rounds",
            () => Status.Activity.ReadRounds,
            "{round}",
            "Rounds of the read barrier; all reads of a shard that wait when one begins share it.");
        meter.CreateObservableGauge(
            "henge.moves",
            () => Status.Activity.MovesUnderWay,
            "{shard}",
            "Shards led here that are on their way to other members.");
        meter.CreateObservableGauge(
            "henge.moves.stuck",
            () => Status.Activity.MovesStuck,
            "{shard}",
            "Those of them that have not got on for half a minute.");
        meter.CreateObservableGauge(
            "henge.moves.waiting",
            () => Status.Activity.MovesWaiting,
            "{shard}",
            "On the catalog's leader: shards that are to move and have not begun to.");
        meter.CreateObservableGauge(
            "henge.moves.problems",
            () => Status.Activity.PlanProblems,
            "{problem}",
            "On the catalog's leader: what the plan of replicas cannot do.");
        meter.CreateObservableGauge(
            "henge.snapshots.sending",
            () => Status.Activity.SnapshotsSending,
            "{snapshot}",
            "Snapshots of shards on their way from this node.");
        meter.CreateObservableCounter(
            "henge.snapshots.sent",
            () => Status.Activity.SnapshotBytesSent,
            "By",
            "Bytes of snapshots that were sent to other nodes.");
        meter.CreateObservableGauge(
            "henge.raft.term",
            () => Status.Shards.Select(static s => (long)s.Term.Value).DefaultIfEmpty().Max(),
            "{term}",
            "Highest term of a shard here.");
    }

    private void Log(Meter meter)
    {
        meter.CreateObservableGauge("henge.log.size", () => Status.LogBytes, "By", "Bytes of the log's segments.");
        meter.CreateObservableGauge("henge.log.segments", () => (long)Status.LogSegments, "{segment}", "Segments of the log.");
        meter.CreateObservableCounter("henge.log.syncs", () => Status.LogSyncs, "{sync}", "Syncs of the log.");
    }

    private void Engine(Meter meter)
    {
        EngineStatistics Of() => Status.Engine;
        meter.CreateObservableGauge("henge.engine.memtable.size", () => Of().MemTableBytes, "By", "Bytes in memtables.");
        meter.CreateObservableGauge(
            "henge.engine.table.size",
            () => Of().Levels.Select(static l => With(l.Bytes, "henge.level", l.Level)),
            "By",
            "Bytes of tables, by level.");
        meter.CreateObservableGauge(
            "henge.engine.tables",
            () => Of().Levels.Select(static l => With((long)l.Tables, "henge.level", l.Level)),
            "{table}",
            "Tables, by level.");
        meter.CreateObservableGauge(
            "henge.engine.entries",
            () => Of().Entries,
            "{entry}",
            "Entries in tables and memtables, all versions and tombstones.");
        meter.CreateObservableCounter("henge.engine.flushes", () => Of().Flushes, "{flush}", "Memtables written to tables.");
        meter.CreateObservableCounter("henge.engine.compactions", () => Of().Compactions, "{compaction}", "Compactions.");
        meter.CreateObservableCounter("henge.engine.io.in", () => Of().BytesIn, "By", "Bytes of data applied.");
        meter.CreateObservableCounter(
            "henge.engine.io.written",
            () => Of().BytesWritten,
            "By",
            "Bytes written by flushes and compactions.");
        meter.CreateObservableCounter(
            "henge.engine.write.stalls",
            () => Status.Activity.WriteStalls,
            "{stall}",
            "How often a leader here held writes back because the engine could take no more.");
        meter.CreateObservableGauge(
            "henge.engine.write.pressure",
            () => (long)Status.Activity.Pressure,
            "{level}",
            "0: none; 1: compaction falls behind; 2: writes are held back.");
        meter.CreateObservableGauge("henge.engine.cache.size", () => Of().BlockCacheBytes, "By", "Bytes of the block cache in use.");
        meter.CreateObservableCounter("henge.engine.cache.hits", () => Of().BlockCacheHits, "{read}", "Block reads answered by the cache.");
        meter.CreateObservableCounter(
            "henge.engine.cache.misses",
            () => Of().BlockCacheMisses,
            "{read}",
            "Block reads that went to a file.");
    }

    private void Work(Meter meter)
    {
        meter.CreateObservableGauge(
            "henge.operations.pending",
            () => Status.Activity.PendingOperations,
            "{operation}",
            "Operations under way.");
        meter.CreateObservableGauge("henge.watches", () => (long)Status.Activity.Watches, "{watch}", "Watches that are open.");
        meter.CreateObservableGauge(
            "henge.watches.behind",
            () => (long)Status.Activity.WatchesInHistory,
            "{watch}",
            "Watches that read history just now.");
        meter.CreateObservableCounter(
            "henge.watches.lost",
            () => Status.Activity.WatchesLost,
            "{watch}",
            "Watches that ended because they fell behind what history keeps.");
        meter.CreateObservableGauge(
            "henge.disk.full",
            () => Status.Activity.IsDiskFull ? 1L : 0L,
            "{state}",
            "1 while writes are refused because the disk is nearly full.");
    }

    private void Clock(Meter meter)
    {
        meter.CreateObservableGauge(
            "henge.clock.skew",
            () => Status.Clock.SkewMs / 1000.0,
            "s",
            "How far this node's clock is ahead of what a majority of the nodes' clocks say.");
        meter.CreateObservableGauge(
            "henge.clock.overruled",
            () => Status.Clock.IsOverruled ? 1L : 0L,
            "{state}",
            "1 while this node's clock is so far off that the majority's time is used.");
        meter.CreateObservableGauge(
            "henge.clock.peer.offset",
            () =>
                Status.Clock.Peers.Select(p => new Measurement<double>(
                    p.AheadMs / 1000.0,
                    new KeyValuePair<string, object?>("henge.peer", NameOf(_node, p.Node)))),
            "s",
            "How far a peer's clock is ahead of this node's.");
        meter.CreateObservableGauge(
            "henge.clock.version.lead",
            () => Status.Clock.VersionLeadMs / 1000.0,
            "s",
            "How far the versions of a shard here are ahead of the time, where it is most.");
        meter.CreateObservableCounter(
            "henge.clock.advances.refused",
            () => Status.Activity.AdvancesRefused,
            "{refusal}",
            "How often a leader here did not close a shard's history at a version that lay too far ahead.");
    }

    private IEnumerable<(string Node, long Lag)> Followers() => Status.Shards
        .Where(static s => s.Role == ReplicaRole.Leader)
        .SelectMany(s => s.Peers.Select(p => (NameOf(_node, p.Node), Math.Max(0, (long)s.Last.Value - (long)p.Match.Value))));

    /// <summary>The name of a node by its number.</summary>
    internal static string NameOf(IHengeNode node, NodeId id) =>
        node.GetTopology().Nodes.FirstOrDefault(n => n.Id == id).Name ?? id.ToString();

    internal static Measurement<long> With(long value, string name, object tag) => new(value, new KeyValuePair<string, object?>(name, tag));
}
