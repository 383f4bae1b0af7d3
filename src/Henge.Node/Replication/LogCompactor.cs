using Henge.Core;
using Henge.Node.Context;
using Henge.Node.Log;
using Henge.Raft;

namespace Henge.Node.Replication;

/// <summary>
/// Decides how much of a shard's Raft log can go. Never more than the engine has made durable, since the log is its write-ahead log; and as
/// long as the node log is small enough, not what a follower may still need. Belongs to the shard's worker.
/// </summary>
internal sealed class LogCompactor(ShardReplica replica, RaftGroup group, ShardLog log)
{
    private const int IntervalTicks = 20;
    private const int SnapshotBudget = 4;
    private const int MaxMovedEntries = 1_000;
    private const long MaxMovedBytes = 64 * 1024;
    private readonly List<Entry> _carriedOver = [];
    private bool _underWay;

    /// <summary>Looks now and then.</summary>
    public void Tick(TickSpan span)
    {
        // Shards take turns, so that not all of them look in the same tick.
        if (!span.Reaches(IntervalTicks, replica.Shard.Value))
        {
            return;
        }

        NodeOptions options = replica.Node.Options;
        long size = replica.Worker.Log.SizeBytes;
        LogIndex durable = new(Math.Min(replica.Node.Engine.GetDurablePosition(replica.Shard.Value), group.AppliedIndex.Value));
        if (size > options.LogBudgetBytes / 2)
        {
            replica.Node.RequestFlush();
        }

        LogIndex target = durable;
        if (size <= options.LogBudgetBytes)
        {
            ulong keep = (ulong)options.LogKeepEntries;
            LogIndex behind = new(group.LastIndex.Value > keep ? group.LastIndex.Value - keep : 0);
            LogIndex hint = group.CompactionHint;
            LogIndex kept = size > options.LogBudgetBytes / 2 && hint > behind ? hint : behind;
            target = kept < target ? kept : target;
        }

        if (size > options.LogBudgetBytes / 2)
        {
            LogIndex recent = Recent(options);
            target = recent < target ? recent : target;
        }

        // What comes behind a snapshot that is on its way is needed once it is there, or it was sent for nothing. It may take its time, so
        // the log may grow for it; but not without end.
        if (size <= SnapshotBudget * options.LogBudgetBytes && group.SnapshotFloor is { } floor && floor < target)
        {
            target = floor;
        }

        // A step of a few entries is not worth its record. A snapshot that is not written down yet has taken the place of everything that
        // the log here still knows.
        if (
            !_underWay
            && target > group.CompactedIndex
            && target.Value > log.CompactedIndex.Value + (ulong)Math.Min(64, options.LogKeepEntries / 4)
            && target <= log.LastIndex)
        {
            Compact(target);
        }
        else if (!_underWay && size > options.LogBudgetBytes && log.OldestSegment == replica.Worker.Log.FirstSegment)
        {
            Move();
        }
    }

    // Only a leader knows who is behind, and another member may lead soon: without the newest entries of its log, whoever lacks a few of
    // them then would need the whole shard. A quarter of the budget, shared by all shards, is kept for that; but not what keeps the oldest
    // segment from going.
    private LogIndex Recent(NodeOptions options)
    {
        LogIndex recent = log.Before(options.LogKeepEntries, options.LogBudgetBytes / 4 / Math.Max(1, replica.Node.Identity.Shards));
        return recent < log.LastIndex && log.Locate(recent.Next).Position.SegmentId <= replica.Worker.Log.FirstSegment
            ? log.LastIndex
            : recent;
    }

    // The shard's entries cannot go, and few as they are they hold the oldest segment of all: they are written again at the end. Only when
    // all of its entries are durable: one that is still under way would come to lie before those that are moved.
    private void Move()
    {
        ulong count = log.LastIndex.Value - log.CompactedIndex.Value;
        if (count is 0 or > MaxMovedEntries || log.LastIndex != group.LastIndex || group.PersistedIndex != group.LastIndex)
        {
            return;
        }

        _carriedOver.Clear();
        log.Read(log.CompactedIndex.Next, log.LastIndex, MaxMovedBytes, _carriedOver);
        if ((ulong)_carriedOver.Count < count)
        {
            return;
        }

        _underWay = true;
        foreach (Entry entry in _carriedOver)
        {
            replica.Worker.Batch.Records.Add(new NodeLogRecord { Kind = NodeLogRecordKind.Moved, Shard = replica.Shard, Entry = entry });
        }

        _carriedOver.Clear();
        replica.Worker.MarkDirty(replica);
    }

    private void Compact(LogIndex target)
    {
        Term term = log.Locate(target).Term;
        Membership membership = group.MembershipAt(target);
        _underWay = true;
        replica.Worker.Batch.Records.Add(
            NodeLogRecord.BaseOf(replica.Shard, replica.HardState, target, term, membership, group.Forgotten));
        group.Compact(target);
        replica.Worker.MarkDirty(replica);
    }

    /// <summary>The records of a compaction or a move are durable.</summary>
    public void OnLogged() => _underWay = false;
}
