using Henge.Core;
using Henge.Node.Log;
using Henge.Raft;
using Henge.Storage.Logs;

namespace Henge.Node.Tests.Log;

public sealed class ShardLogReplayTests
{
    private static readonly Membership Members = new([new NodeId(1)]);
    private readonly ShardLogReplay _replay = new(new ShardLog(new ShardId(0), new NoReader()));
    private uint _offset;

    [Fact]
    public void An_entry_ends_what_stood_at_its_index_and_above()
    {
        Entry(1, 1);
        Entry(2, 1);
        Entry(3, 1);
        Entry(2, 2);
        Assert.Null(_replay.Check());
        Assert.Equal(2UL, _replay.Log.LastIndex.Value);
        Assert.Equal(2UL, _replay.Log.Locate(new LogIndex(2)).Term.Value);
    }

    [Fact]
    public void A_base_may_stand_behind_the_entries_that_follow_it()
    {
        Entry(100, 4);
        Entry(101, 4);
        Base(99, 3);
        Entry(102, 4);
        Assert.Null(_replay.Check());
        Assert.Equal((99UL, 3UL, 102UL), (_replay.Log.CompactedIndex.Value, _replay.Log.CompactedTerm.Value, _replay.Log.LastIndex.Value));
    }

    [Fact]
    public void An_older_base_before_a_gap_is_forgotten()
    {
        Base(50, 2);
        Entry(100, 4);
        Base(99, 3);
        Assert.Null(_replay.Check());
        Assert.Equal((99UL, 100UL), (_replay.Log.CompactedIndex.Value, _replay.Log.LastIndex.Value));
    }

    [Fact]
    public void Entries_without_anything_that_says_what_came_before_are_refused()
    {
        Entry(100, 4);
        Assert.Contains("begin at 100", _replay.Check(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_base_beyond_the_last_entry_is_refused()
    {
        Entry(1, 1);
        Base(5, 1);
        Assert.NotNull(_replay.Check());
    }

    [Fact]
    public void A_base_with_reset_ends_everything()
    {
        Entry(1, 1);
        Entry(2, 1);
        Base(50, 7, reset: true);
        Entry(51, 7);
        Assert.Null(_replay.Check());
        Assert.Equal((50UL, 51UL), (_replay.Log.CompactedIndex.Value, _replay.Log.LastIndex.Value));
    }

    [Fact]
    public void A_moved_entry_ends_nothing_and_counts_when_its_old_place_is_gone()
    {
        Entry(1, 1);
        Entry(2, 1);
        Take(new NodeLogRecord { Kind = NodeLogRecordKind.Moved, Entry = Make(1, 1) }, segment: 9);
        Assert.Equal(2UL, _replay.Log.LastIndex.Value);
        Assert.Equal(9L, _replay.Log.OldestSegment);
        var alone = new ShardLogReplay(new ShardLog(new ShardId(0), new NoReader()));
        alone.Take(new NodeLogRecord { Kind = NodeLogRecordKind.Moved, Entry = Make(8, 1) }, new EntryLocation(new Term(1), new LogPosition(9, 1), 30));
        Assert.NotNull(alone.Check());
        alone.Take(BaseRecord(7, 1, reset: false), default);
        Assert.Null(alone.Check());
        Assert.Equal(8UL, alone.Log.LastIndex.Value);
    }

    [Fact]
    public void A_moved_log_replaces_an_entry_that_another_shards_segment_kept()
    {
        // Entry 1 and its first move were in segments that are gone; entry 2 is still there; then both were moved.
        var replay = new ShardLogReplay(new ShardLog(new ShardId(0), new NoReader()));
        replay.Take(new NodeLogRecord { Kind = NodeLogRecordKind.Entry, Entry = Make(2, 1) }, new EntryLocation(new Term(1), new LogPosition(6, 1), 30));
        replay.Take(new NodeLogRecord { Kind = NodeLogRecordKind.Moved, Entry = Make(1, 1) }, new EntryLocation(new Term(1), new LogPosition(8, 1), 30));
        replay.Take(new NodeLogRecord { Kind = NodeLogRecordKind.Moved, Entry = Make(2, 1) }, new EntryLocation(new Term(1), new LogPosition(8, 2), 30));
        Assert.Null(replay.Check());
        Assert.Equal(2UL, replay.Log.LastIndex.Value);
        Assert.Equal(8L, replay.Log.OldestSegment);
    }

    [Fact]
    public void A_base_between_a_kept_entry_and_the_moved_log_counts()
    {
        var replay = new ShardLogReplay(new ShardLog(new ShardId(0), new NoReader()));
        replay.Take(new NodeLogRecord { Kind = NodeLogRecordKind.Entry, Entry = Make(9, 1) }, new EntryLocation(new Term(1), new LogPosition(6, 1), 30));
        replay.Take(BaseRecord(7, 1, reset: false), default);
        replay.Take(new NodeLogRecord { Kind = NodeLogRecordKind.Moved, Entry = Make(8, 1) }, new EntryLocation(new Term(1), new LogPosition(8, 1), 30));
        replay.Take(new NodeLogRecord { Kind = NodeLogRecordKind.Moved, Entry = Make(9, 1) }, new EntryLocation(new Term(1), new LogPosition(8, 2), 30));
        Assert.Null(replay.Check());
        Assert.Equal(7UL, replay.Log.CompactedIndex.Value);
        Assert.Equal(9UL, replay.Log.LastIndex.Value);
    }

    [Fact]
    public void The_last_hard_state_counts()
    {
        Take(new NodeLogRecord { Kind = NodeLogRecordKind.HardState, HardState = new HardState(new Term(3), new NodeId(1), default) });
        Base(0, 0);
        Take(new NodeLogRecord { Kind = NodeLogRecordKind.HardState, HardState = new HardState(new Term(9), new NodeId(2), default) });
        Assert.Equal(new HardState(new Term(9), new NodeId(2), default), _replay.HardState);
    }

    [Fact]
    public void A_term_is_only_raised_and_a_vote_of_an_older_one_is_forgotten()
    {
        Take(new NodeLogRecord { Kind = NodeLogRecordKind.HardState, HardState = new HardState(new Term(3), new NodeId(1), new LogIndex(5)) });
        _replay.RaiseTerm(new Term(3));
        Assert.Equal(new HardState(new Term(3), new NodeId(1), new LogIndex(5)), _replay.HardState);
        _replay.RaiseTerm(new Term(7));
        Assert.Equal(new HardState(new Term(7), default, new LogIndex(5)), _replay.HardState);
    }

    [Fact]
    public void The_index_keeps_to_a_model_over_random_work()
    {
        var random = new Random(3);
        var log = new ShardLog(new ShardId(0), new NoReader());
        var model = new List<ulong>();
        ulong compacted = 0;
        for (int i = 0; i < 20_000; i++)
        {
            ulong last = compacted + (ulong)model.Count;
            switch (random.Next(10))
            {
                case 0 when model.Count > 0:
                    ulong from = compacted + 1 + (ulong)random.Next(model.Count);
                    log.Truncate(new LogIndex(from));
                    model.RemoveRange((int)(from - compacted - 1), (int)(last - from + 1));
                    break;
                case 1 when model.Count > 0:
                    ulong to = compacted + 1 + (ulong)random.Next(model.Count);
                    log.Compact(new LogIndex(to), new Term(model[(int)(to - compacted - 1)]), Members);
                    model.RemoveRange(0, (int)(to - compacted));
                    compacted = to;
                    break;
                default:
                    ulong term = (ulong)random.Next(1, 1000);
                    Assert.True(log.Add(new LogIndex(last + 1), new EntryLocation(new Term(term), new LogPosition((uint)(i / 100) + 1, 0), 30)));
                    model.Add(term);
                    break;
            }

            Assert.Equal(compacted + (ulong)model.Count, log.LastIndex.Value);
            Assert.Equal(compacted, log.CompactedIndex.Value);
            if (model.Count > 0)
            {
                int at = random.Next(model.Count);
                Assert.Equal(model[at], log.Locate(new LogIndex(compacted + 1 + (ulong)at)).Term.Value);
            }
        }
    }

    private static Entry Make(ulong index, ulong term) => new(new LogIndex(index), new Term(term), EntryKind.Normal, default);

    private static NodeLogRecord BaseRecord(ulong index, ulong term, bool reset) =>
        new() { Kind = NodeLogRecordKind.Base, Index = new LogIndex(index), Term = new Term(term), Reset = reset, Membership = Members };

    private void Entry(ulong index, ulong term) => Take(new NodeLogRecord { Kind = NodeLogRecordKind.Entry, Entry = Make(index, term) });

    private void Base(ulong index, ulong term, bool reset = false) => Take(BaseRecord(index, term, reset));

    private void Take(NodeLogRecord record, uint segment = 1) =>
        _replay.Take(record, new EntryLocation(record.Entry.Term, new LogPosition(segment, ++_offset), 30));

    private sealed class NoReader : IEntryReader
    {
        public Entry ReadEntry(ShardId shard, LogIndex index, in EntryLocation location) => new(index, location.Term, EntryKind.Normal, default);
    }
}
