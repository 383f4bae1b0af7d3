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
    public void A_base_beyond_what_is_left_of_older_entries_counts()
    {
        // The beginning of a move that broke off; the whole one, and the entries of before, are compacted and gone.
        Moved(1, segment: 9);
        Base(5, 1);
        Assert.Null(_replay.Check());
        Assert.Equal((5UL, 5UL), (_replay.Log.CompactedIndex.Value, _replay.Log.LastIndex.Value));
        Entry(7, 1);
        Assert.Contains("begin at 7", _replay.Check(), StringComparison.Ordinal);
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
    public void An_older_base_behind_a_snapshot_does_not_count()
    {
        Entry(1, 1);
        Entry(2, 1);
        Base(50, 7, reset: true);
        Entry(51, 7);
        Base(2, 1);
        Assert.Null(_replay.Check());
        Assert.Equal((50UL, 51UL), (_replay.Log.CompactedIndex.Value, _replay.Log.LastIndex.Value));
    }

    [Fact]
    public void A_moved_entry_ends_nothing_and_counts_when_its_old_place_is_gone()
    {
        Entry(1, 1);
        Entry(2, 1);
        Moved(1, segment: 9);
        Moved(2, segment: 9);
        Assert.Null(_replay.Check());
        Assert.Equal(2UL, _replay.Log.LastIndex.Value);
        Assert.Equal(9L, _replay.Log.OldestSegment);
        var alone = new ShardLogReplay(new ShardLog(new ShardId(0), new NoReader()));
        alone.Take(
            new NodeLogRecord { Kind = NodeLogRecordKind.Moved, Entry = Make(8, 1) },
            new EntryLocation(new Term(1), new LogPosition(9, 1), 30));
        Assert.NotNull(alone.Check());
        alone.Take(BaseRecord(7, 1, reset: false), default);
        Assert.Null(alone.Check());
        Assert.Equal(8UL, alone.Log.LastIndex.Value);
    }

    [Fact]
    public void A_move_that_a_crash_broke_off_does_not_count()
    {
        // Otherwise the segment with the entries that were not moved any more would be taken for free.
        Entry(1, 1);
        Entry(2, 1);
        Entry(3, 1);
        Moved(1, segment: 9);
        Moved(2, segment: 9);
        Take(
            new NodeLogRecord { Kind = NodeLogRecordKind.HardState, HardState = new HardState(new Term(2), new NodeId(1), default) },
            segment: 9);
        Take(new NodeLogRecord { Kind = NodeLogRecordKind.Entry, Entry = Make(4, 2) }, segment: 9);
        Assert.Null(_replay.Check());
        Assert.Equal((1L, 4UL), (_replay.Log.OldestSegment, _replay.Log.LastIndex.Value));
        Moved(1, segment: 10);
        Moved(2, segment: 10);
        Moved(3, segment: 10);
        Moved(4, segment: 10);
        Assert.Null(_replay.Check());
        Assert.Equal((10L, 4UL), (_replay.Log.OldestSegment, _replay.Log.LastIndex.Value));
    }

    [Fact]
    public void What_a_broken_move_left_is_replaced_by_the_next_one()
    {
        // The segments with the entries and the first move's beginning are gone but for this.
        Moved(1, segment: 9);
        Take(new NodeLogRecord { Kind = NodeLogRecordKind.Entry, Entry = Make(4, 2) }, segment: 9);
        Assert.Contains("end at 1 and go on at 4", _replay.Check(), StringComparison.Ordinal);
        Moved(1, segment: 10);
        Moved(2, segment: 10);
        Moved(3, segment: 10);
        Moved(4, segment: 10, term: 2);
        Assert.Null(_replay.Check());
        Assert.Equal((10L, 4UL), (_replay.Log.OldestSegment, _replay.Log.LastIndex.Value));
    }

    /// <summary>
    /// A log lives: entries are appended, cut off, compacted, moved and thrown away by snapshots, the oldest segments go, and it is
    /// replayed from what is left at any time. It must always be what it was.
    /// </summary>
    [Fact]
    public void What_is_left_of_a_log_is_always_enough()
    {
        for (int seed = 1; seed <= 300; seed++)
        {
            new ReplayModel(new Random(seed)).Run(400, seed);
        }
    }

    [Fact]
    public void A_moved_log_replaces_an_entry_that_another_shards_segment_kept()
    {
        // Entry 1 and its first move were in segments that are gone; entry 2 is still there; then both were moved.
        var replay = new ShardLogReplay(new ShardLog(new ShardId(0), new NoReader()));
        replay.Take(
            new NodeLogRecord { Kind = NodeLogRecordKind.Entry, Entry = Make(2, 1) },
            new EntryLocation(new Term(1), new LogPosition(6, 1), 30));
        replay.Take(
            new NodeLogRecord { Kind = NodeLogRecordKind.Moved, Entry = Make(1, 1) },
            new EntryLocation(new Term(1), new LogPosition(8, 1), 30));
        replay.Take(
            new NodeLogRecord { Kind = NodeLogRecordKind.Moved, Entry = Make(2, 1) },
            new EntryLocation(new Term(1), new LogPosition(8, 2), 30));
        Assert.Null(replay.Check());
        Assert.Equal(2UL, replay.Log.LastIndex.Value);
        Assert.Equal(8L, replay.Log.OldestSegment);
    }

    [Fact]
    public void A_base_between_a_kept_entry_and_the_moved_log_counts()
    {
        var replay = new ShardLogReplay(new ShardLog(new ShardId(0), new NoReader()));
        replay.Take(
            new NodeLogRecord { Kind = NodeLogRecordKind.Entry, Entry = Make(9, 1) },
            new EntryLocation(new Term(1), new LogPosition(6, 1), 30));
        replay.Take(BaseRecord(7, 1, reset: false), default);
        replay.Take(
            new NodeLogRecord { Kind = NodeLogRecordKind.Moved, Entry = Make(8, 1) },
            new EntryLocation(new Term(1), new LogPosition(8, 1), 30));
        replay.Take(
            new NodeLogRecord { Kind = NodeLogRecordKind.Moved, Entry = Make(9, 1) },
            new EntryLocation(new Term(1), new LogPosition(8, 2), 30));
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
        Take(
            new NodeLogRecord { Kind = NodeLogRecordKind.HardState, HardState = new HardState(new Term(3), new NodeId(1), new LogIndex(5)) }
        );
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
                    Assert.True(
                        log.Add(new LogIndex(last + 1), new EntryLocation(new Term(term), new LogPosition((uint)(i / 100) + 1, 0), 30)));
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

    private void Moved(ulong index, uint segment, ulong term = 1) =>
        Take(new NodeLogRecord { Kind = NodeLogRecordKind.Moved, Entry = Make(index, term) }, segment);

    private void Base(ulong index, ulong term, bool reset = false) => Take(BaseRecord(index, term, reset));

    private void Take(NodeLogRecord record, uint segment = 1) =>
        _replay.Take(record, new EntryLocation(record.Entry.Term, new LogPosition(segment, ++_offset), 30));

    private sealed class NoReader : IEntryReader
    {
        public Entry ReadEntry(ShardId shard, LogIndex index, in EntryLocation location) =>
            new(index, location.Term, EntryKind.Normal, default);
    }

    /// <summary>All records that were ever written, where each shard's live log is, and replays of what is left.</summary>
    private sealed class ReplayModel(Random random)
    {
        private readonly List<(uint Segment, NodeLogRecord Record)> _records = [];
        private readonly List<(ulong Term, uint Segment)> _live = [];
        private ulong _compacted;
        private ulong _compactedTerm;
        private NodeLogRecord _base;
        private uint _baseSegment;
        private uint _segment = 1;
        private uint _first = 1;
        private ulong _term = 1;

        private ulong Last => _compacted + (ulong)_live.Count;

        public void Run(int steps, int seed)
        {
            for (int i = 0; i < steps; i++)
            {
                Step();
                if (i % 7 == 0)
                {
                    Compare(seed, i);
                }
            }
        }

        private void Step()
        {
            switch (random.Next(16))
            {
                case 0:
                    _segment++;
                    break;
                case 1 when _live.Count > 0:
                    Cut(_compacted + 1 + (ulong)random.Next(_live.Count));
                    break;
                case 2 when _live.Count > 0:
                    Compact(_compacted + 1 + (ulong)random.Next(_live.Count));
                    break;
                case 3 or 4:
                    MoveAll(_live.Count);
                    break;
                case 5:
                    // A crash in the middle.
                    MoveAll(random.Next(_live.Count + 1), isBroken: true);
                    break;
                case 6 when random.Next(4) == 0:
                    _live.Clear();
                    _compacted += (ulong)random.Next(1, 50);
                    _compactedTerm = _term;
                    WriteBase(reset: true);
                    break;
                case 7 or 8:
                    Free();
                    break;
                case 9:
                    _term++;
                    Write(
                        new NodeLogRecord
                        {
                            Kind = NodeLogRecordKind.HardState,
                            HardState = new HardState(new Term(_term), default, default),
                        });
                    break;
                default:
                    ulong index = Last + 1;
                    Write(new NodeLogRecord { Kind = NodeLogRecordKind.Entry, Entry = Make(index, _term) });
                    _live.Add((_term, _segment));
                    break;
            }
        }

        private void Cut(ulong from)
        {
            Write(new NodeLogRecord { Kind = NodeLogRecordKind.Truncate, Index = new LogIndex(from) });
            _live.RemoveRange((int)(from - _compacted - 1), (int)(Last - from + 1));
        }

        private void Compact(ulong to)
        {
            int drop = (int)(to - _compacted);
            _compactedTerm = _live[drop - 1].Term;
            _compacted = to;
            _live.RemoveRange(0, drop);
            WriteBase(reset: false);
        }

        private void MoveAll(int count, bool isBroken = false)
        {
            for (int i = 0; i < count; i++)
            {
                if (random.Next(5) == 0)
                {
                    _segment++;
                }

                Write(new NodeLogRecord { Kind = NodeLogRecordKind.Moved, Entry = Make(_compacted + 1 + (ulong)i, _live[i].Term) });
                if (!isBroken)
                {
                    _live[i] = (_live[i].Term, _segment);
                }
            }

            if (isBroken && count == _live.Count)
            {
                // It came through whole after all.
                for (int i = 0; i < count; i++)
                {
                    _live[i] = (_live[i].Term, _records[_records.Count - count + i].Segment);
                }
            }
        }

        // As the real one: below the first live entry, sometimes less since another shard needs a segment; the base is written again when
        // it would go.
        private void Free()
        {
            uint keepFrom = _live.Count > 0 ? _live.Min(static l => l.Segment) : _segment;
            keepFrom -= (uint)random.Next((int)(keepFrom - _first) + 1);
            if (keepFrom <= _first)
            {
                return;
            }

            if (_base.Kind == NodeLogRecordKind.Base && _baseSegment < keepFrom)
            {
                WriteBase(reset: false);
            }

            _first = keepFrom;
            _records.RemoveAll(r => r.Segment < keepFrom);
        }

        private void WriteBase(bool reset)
        {
            _base = BaseRecord(_compacted, _compactedTerm, reset);
            _baseSegment = _segment;
            Write(_base);
        }

        private void Write(in NodeLogRecord record) => _records.Add((_segment, record));

        private void Compare(int seed, int step)
        {
            var replay = new ShardLogReplay(new ShardLog(new ShardId(0), new NoReader()));
            uint at = 0;
            foreach ((uint segment, NodeLogRecord record) in _records)
            {
                replay.Take(record, new EntryLocation(record.Entry.Term, new LogPosition(segment, ++at), 30));
            }

            string? problem = replay.Check();
            Assert.True(problem is null, $"seed {seed}, step {step}: {problem}");
            Assert.Equal((_compacted, Last), (replay.Log.CompactedIndex.Value, replay.Log.LastIndex.Value));
            Assert.Equal(_live.Count == 0 ? long.MaxValue : _live.Min(static l => l.Segment), replay.Log.OldestSegment);
            for (int i = 0; i < _live.Count; i++)
            {
                EntryLocation found = replay.Log.Locate(new LogIndex(_compacted + 1 + (ulong)i));
                Assert.Equal((_live[i].Term, _live[i].Segment), (found.Term.Value, found.Position.SegmentId));
            }
        }
    }
}
