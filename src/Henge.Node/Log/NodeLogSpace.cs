using Henge.Core;
using Henge.Node.Context;
using Henge.Raft;
using Henge.Storage.Logs;

namespace Henge.Node.Log;

/// <summary>
/// Gives the log's oldest segments back. A segment can go when no shard has a live entry in it and what else it says of a shard (term,
/// vote, what is compacted) has been written again behind it. Belongs to the log writer's lane.
/// </summary>
internal sealed class NodeLogSpace(NodeContext node)
{
    private readonly SortedDictionary<ShardId, ShardSpace> _shards = [];

    /// <summary>Begins to follow a shard's index.</summary>
    public void Track(ShardLog log, ShardId shard)
    {
        if (!_shards.TryGetValue(shard, out ShardSpace? space))
        {
            _shards.Add(shard, space = new ShardSpace());
        }

        space.Log = log;
    }

    /// <summary>Takes note of what was written.</summary>
    public void Note(in NodeLogRecord record, LogPosition position)
    {
        if (record.Kind != NodeLogRecordKind.HardState && !record.IsBase)
        {
            return;
        }

        if (!_shards.TryGetValue(record.Shard, out ShardSpace? space))
        {
            _shards.Add(record.Shard, space = new ShardSpace());
        }

        space.HardState = record.HardState;
        space.HardStateAt = position;
        if (record.IsBase && (record.Reset || record.Index >= space.Base.Index))
        {
            space.Base = record;
            space.BaseAt = position;
        }
    }

    /// <summary>Frees what can be freed below a segment.</summary>
    public void Free(SegmentedLog log, LogBatch batch, long keepFrom, ref long syncs)
    {
        keepFrom = Math.Min(keepFrom, log.End.SegmentId);
        foreach (ShardSpace space in _shards.Values)
        {
            keepFrom = Math.Min(keepFrom, space.Log?.OldestSegment ?? long.MaxValue);
        }

        if (keepFrom <= log.First.SegmentId)
        {
            return;
        }

        Invariant.Check(batch.Count == 0, "the batch is in use");
        try
        {
            foreach ((ShardId shard, ShardSpace space) in _shards)
            {
                Rewrite(log, batch, shard, space, keepFrom);
            }

            if (batch.Count > 0)
            {
                AppendRewritten(log, batch);
                log.Sync();
                Interlocked.Increment(ref syncs);
            }
        }
        catch (Storage.Files.DiskFullException)
        {
            // Nothing was lost: the old segments stay until there is room for the few records that replace them.
            batch.Clear();
            _rewritten.Clear();
            return;
        }

        log.TruncateFront(new LogPosition((uint)keepFrom, 0));
    }

    /// <summary>Looks whether the disk has room.</summary>
    public void CheckDisk()
    {
        long free = node.Environment.FileSystem.AvailableBytes(node.Options.DataDirectory);
        bool full = free < node.Options.DiskReserveBytes;
        if (full != node.IsDiskFull)
        {
            node.IsDiskFull = full;
            if (full)
            {
                node.Events?.DiskSpaceLow(free, node.Options.DiskReserveBytes);
            }
            else
            {
                node.Events?.DiskSpaceRecovered(free);
            }
        }
    }

    private readonly List<NodeLogRecord> _rewritten = [];

    private void Rewrite(SegmentedLog log, LogBatch batch, ShardId shard, ShardSpace space, long keepFrom)
    {
        bool hasBase = space.Base.IsBase;
        NodeLogRecord record;
        if (hasBase && space.BaseAt.SegmentId < keepFrom)
        {
            record = space.Base with { HardState = space.HardState, Reset = false };
        }
        else if (space.HardStateAt != LogPosition.Zero && space.HardStateAt.SegmentId < keepFrom)
        {
            record = new NodeLogRecord { Kind = NodeLogRecordKind.HardState, Shard = shard, HardState = space.HardState };
        }
        else
        {
            return;
        }

        int header = record.HeaderBytes;
        if (!batch.Fits(header))
        {
            AppendRewritten(log, batch);
        }

        record.WriteHeader(batch.Add((byte)record.Kind, header));
        _rewritten.Add(record);
    }

    private void AppendRewritten(SegmentedLog log, LogBatch batch)
    {
        log.Append(batch);
        for (int i = 0; i < _rewritten.Count; i++)
        {
            Note(_rewritten[i], batch.PositionOf(i));
        }

        _rewritten.Clear();
        batch.Clear();
    }

    private sealed class ShardSpace
    {
        public ShardLog? Log { get; set; }

        public HardState HardState { get; set; }

        public LogPosition HardStateAt { get; set; }

        public NodeLogRecord Base { get; set; }

        public LogPosition BaseAt { get; set; }
    }
}
