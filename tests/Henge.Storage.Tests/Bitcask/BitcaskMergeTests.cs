using Henge.Storage.Bitcask;
using Henge.Storage.Bitcask.Settings;
using Henge.Storage.Lsm.Background;
using Henge.Storage.Lsm.MemTables;
using Henge.Testing.Files;
using Microsoft.Extensions.Time.Testing;

namespace Henge.Storage.Tests.Bitcask;

/// <summary>What merges take away and leave, and what else happens between their steps.</summary>
public sealed class BitcaskMergeTests : BitcaskTestBase
{
    [Fact]
    public void Old_versions_go_below_the_floor_and_only_there()
    {
        using BitcaskEngine engine = Open();
        for (ulong version = 1; version <= 100; version++)
        {
            Put(engine, "a", version, $"v{version}");
        }

        engine.SetHistoryFloor(new Core.Version(90));
        engine.Flush();
        engine.Compact();
        Assert.Equal(11, engine.GetStatistics().Entries);
        Assert.Equal("v90", Get(engine, "a", 90));
        Assert.Equal("v100", Get(engine, "a"));
        Assert.Null(Get(engine, "a", 89));
    }

    [Fact]
    public void System_keyspaces_keep_only_the_newest_version()
    {
        using BitcaskEngine engine = Open();
        for (ulong version = 1; version <= 100; version++)
        {
            Put(engine, "a", version, $"v{version}", SystemKeyspace);
        }

        engine.Compact();
        Assert.Equal(1, engine.GetStatistics().Entries);
        Assert.Equal("v100", Get(engine, "a", keyspace: SystemKeyspace));
    }

    [Fact]
    public void Tombstones_and_expired_values_go_with_what_they_hid()
    {
        using BitcaskEngine engine = Open();
        for (int i = 0; i < 50; i++)
        {
            Put(engine, $"dead{i}", (ulong)i + 1, "x");
            Put(engine, $"brief{i}", (ulong)i + 1, "x", expiresAtMs: 5);
            Put(engine, $"live{i}", (ulong)i + 1, "x", expiresAtMs: 1_000_000);
        }

        for (int i = 0; i < 50; i++)
        {
            Delete(engine, $"dead{i}", (ulong)i + 1000);
        }

        engine.SetHistoryFloor(Core.Version.FromMilliseconds(100));
        engine.Flush();
        engine.Compact();
        Assert.Equal(50, engine.GetStatistics().Entries);
        Assert.Equal("x", Get(engine, "live7"));
        Assert.Null(Get(engine, "dead7"));
    }

    /// <summary>The bug on purpose shows that this can fail.</summary>
    [Theory]
    [InlineData(BugNumber.None, null)]
    [InlineData((int)BitcaskBugs.DropTombstonesTooEarly, "old")]
    public void A_tombstone_stays_while_an_older_value_lies_in_a_segment_that_stays(int bug, string? expected)
    {
        BitcaskOptions options = Options with { Bugs = (BitcaskBugs)bug };
        using (var engine = BitcaskEngine.Open(options))
        {
            // The first segment stays worth keeping, the second does not.
            Put(engine, "a", 1, "old");
            Put(engine, "large", 2, new string('v', 3000));
            engine.Writer.SealActive();
            Delete(engine, "a", 3);
            for (ulong version = 10; version < 20; version++)
            {
                Put(engine, "hot", version, new string('w', 100));
            }

            engine.Writer.SealActive();
            Put(engine, "hot", 20, "w");
            engine.SetHistoryFloor(new Core.Version(100));
            engine.Flush();
            Scheduler.RunAll();
            Assert.Equal(1, engine.GetStatistics().Compactions);
            Assert.Null(Get(engine, "a"));
        }

        using var again = BitcaskEngine.Open(options);
        Assert.Equal(expected, Get(again, "a"));
        Assert.Equal("w", Get(again, "hot"));
    }

    /// <summary>The bug on purpose shows that this can fail.</summary>
    [Theory]
    [InlineData(BugNumber.None, "first")]
    [InlineData((int)BitcaskBugs.TrustUnsyncedEntries, null)]
    public void An_entry_stays_until_the_one_that_replaces_it_is_durable(int bug, string? expected)
    {
        BitcaskOptions options = Options with { Bugs = (BitcaskBugs)bug, OwnerHasLog = true };
        var engine = BitcaskEngine.Open(options);
        Put(engine, "s", 1, "first", SystemKeyspace);
        engine.Writer.SealActive();
        Put(engine, "s", 2, "second", SystemKeyspace);

        // Only merges: the syncs that wait would make the second durable.
        while (Scheduler.TryStep(BackgroundKind.Compaction, out _) || Scheduler.TryStep(BackgroundKind.Compaction, out _))
        {
        }

        Assert.Equal("second", Get(engine, "s", keyspace: SystemKeyspace));
        Files.Crash(CrashMode.LoseAllUnsynced, 1);
        Scheduler.Clear();
        using var again = BitcaskEngine.Open(options);
        Assert.Equal(expected, Get(again, "s", keyspace: SystemKeyspace));
    }

    [Fact]
    public void A_snapshot_holds_what_a_merge_drops_and_lets_go_of_the_files_afterwards()
    {
        using BitcaskEngine engine = Open();
        Put(engine, "a", 1, "one");
        Put(engine, "s", 1, "first", SystemKeyspace);
        IEngineSnapshot snapshot = engine.CreateSnapshot();
        using EngineIterator iterator = engine.CreateIterator(All());
        Put(engine, "a", 2, "two");
        Put(engine, "s", 2, "second", SystemKeyspace);
        engine.SetHistoryFloor(new Core.Version(100));
        engine.Flush();
        engine.Compact();
        Scheduler.RunAll();
        int before = SegmentNames.Length;
        Assert.Equal("one", Get(snapshot, "a"));
        Assert.Equal("first", Get(snapshot, "s", keyspace: SystemKeyspace));
        Assert.Null(Get(engine, "a", 1));
        iterator.SeekToFirst();
        Assert.Equal("one", System.Text.Encoding.UTF8.GetString(iterator.Value));
        snapshot.Dispose();
        Scheduler.RunAll();
        Assert.Equal(before, SegmentNames.Length);
        iterator.Dispose();
        Scheduler.RunAll();
        Assert.True(SegmentNames.Length < before);
        Assert.Equal("two", Get(engine, "a"));
    }

    [Fact]
    public void A_snapshot_is_led_to_a_segment_that_came_after_it_and_was_replaced_in_turn()
    {
        using BitcaskEngine engine = Open();
        Put(engine, "a", 1, "one");
        Put(engine, "b", 1, "dead");
        Put(engine, "b", 2, "live");
        engine.SetHistoryFloor(new Core.Version(2));
        engine.Flush();
        using IEngineSnapshot snapshot = engine.CreateSnapshot();

        // The first merge leads the index, the snapshot's too, to its output. The second leaves out what only the snapshot can see.
        engine.Compact();
        Scheduler.RunAll();
        Put(engine, "a", 3, "three");
        engine.SetHistoryFloor(new Core.Version(3));
        engine.Flush();
        engine.Compact();
        Scheduler.RunAll();
        Assert.Equal(2, engine.GetStatistics().Compactions);
        Assert.Equal("one", Get(snapshot, "a"));
        Assert.Equal("three", Get(engine, "a"));
        Assert.Null(Get(engine, "a", 2));
    }

    [Fact]
    public void A_floor_counts_once_all_that_was_applied_before_it_is_durable()
    {
        using var engine = BitcaskEngine.Open(Options with { OwnerHasLog = true });
        for (ulong version = 1; version <= 8; version++)
        {
            Put(engine, "a", version, $"v{version}");
        }

        engine.Writer.SealActive();
        Put(engine, "b", 9, "not durable");
        engine.SetHistoryFloor(new Core.Version(10));

        // No syncs: the owner would apply "b" again, and must find what it found the first time.
        for (int i = 0; i < 100; i++)
        {
            Scheduler.TryStep(BackgroundKind.Compaction, out _);
        }

        Assert.Equal("v1", Get(engine, "a", 1));
        engine.Flush();
        Scheduler.RunAll();
        engine.Compact();
        Assert.Null(Get(engine, "a", 1));
        Assert.Equal("v8", Get(engine, "a"));
    }

    [Fact]
    public void Segments_with_little_that_is_live_are_merged_by_themselves_and_the_disk_stays_small()
    {
        using BitcaskEngine engine = Open();
        for (int i = 0; i < 4000; i++)
        {
            Put(engine, $"k{i * 7919 % 50}", (ulong)i + 1, new string('v', 100));
            engine.SetHistoryFloor(new Core.Version((ulong)i + 1));
            Scheduler.RunAll();
        }

        Assert.Equal(50, Scan(engine).Count);
        Assert.True(engine.GetStatistics().Compactions > 10);
        Assert.InRange(engine.GetStatistics().TableBytes, 1, 20 * Options.SegmentBytes);
        Assert.InRange(SegmentNames.Length, 1, 20);
        Assert.InRange(engine.GetStatistics().BytesWritten, 1, engine.GetStatistics().BytesIn * 3);
    }

    [Fact]
    public void A_load_without_overwrites_is_never_rewritten()
    {
        using BitcaskEngine engine = Open();
        for (int i = 0; i < 1000; i++)
        {
            Put(engine, $"k{i:0000}", (ulong)i + 1, new string('v', 100));
            engine.SetHistoryFloor(new Core.Version((ulong)i + 1));
            Scheduler.RunAll();
        }

        Assert.Equal(0, engine.GetStatistics().Compactions);
    }

    [Fact]
    public void Small_segments_of_many_starts_become_one()
    {
        for (int i = 0; i < 30; i++)
        {
            using BitcaskEngine engine = Open();
            Put(engine, $"k{i:00}", (ulong)i + 1, "v");
            Scheduler.RunAll();
        }

        using BitcaskEngine last = Open();
        Scheduler.RunAll();
        Assert.InRange(SegmentNames.Length, 1, 10);
        Assert.Equal(30, Scan(last).Count);
    }

    /// <summary>The bug on purpose shows that this can fail.</summary>
    [Theory]
    [InlineData(BugNumber.None, "again")]
    [InlineData((int)BitcaskBugs.OutputsForgetLaterDrops, "old0")]
    public void A_drop_in_the_middle_of_a_merge_holds_also_after_a_restart(int bug, string expected)
    {
        BitcaskOptions options = Options with { Bugs = (BitcaskBugs)bug };
        using (var engine = BitcaskEngine.Open(options))
        {
            for (int i = 0; i < 20; i++)
            {
                Put(engine, $"k{i % 2}", (ulong)i + 100, i < 18 ? "x" : $"old{i - 18}");
            }

            engine.SetHistoryFloor(new Core.Version(1000));
            engine.Writer.SealActive();
            RunUntil(BackgroundPoint.Written);
            engine.DropRange(Keyspace, default, default);
            Put(engine, "k0", 5, "again");
            RunUntil(BackgroundPoint.Deleted);
            Assert.Equal(["k0=again"], Scan(engine));
        }

        using var again = BitcaskEngine.Open(options);
        Assert.Equal(expected, Get(again, "k0"));
    }

    [Fact]
    public void An_entry_that_was_written_again_after_a_drop_is_not_led_to_an_old_copy()
    {
        using BitcaskEngine engine = Open();
        for (int i = 0; i < 20; i++)
        {
            Put(engine, "k", (ulong)i + 1, $"v{i}");
        }

        engine.SetHistoryFloor(new Core.Version(1000));
        engine.Writer.SealActive();
        RunUntil(BackgroundPoint.Installed);
        engine.DropRange(Keyspace, default, default);

        // The same key at the same version as the entry that was copied.
        Put(engine, "k", 20, "new");
        Scheduler.RunAll();
        Assert.Equal(["k=new"], Scan(engine));
    }

    [Fact]
    public void An_index_that_has_grown_is_made_anew_beside_writers()
    {
        using BitcaskEngine engine = Open();
        using EngineIterator before = engine.CreateIterator(All());
        MemTable? first = null;
        for (int i = 0; i < 6000; i++)
        {
            Put(engine, $"k{i:00000}", (ulong)i + 1, "v", sync: false);
            first ??= engine.Writer.FindIndex(Keyspace)!.Table;
            Scheduler.TryStep(BackgroundKind.Compaction, out _);
        }

        Scheduler.RunAll();
        Assert.NotSame(first, engine.Writer.FindIndex(Keyspace)!.Table);
        Assert.False(engine.Writer.FindIndex(Keyspace)!.IsRebuildDue);
        Assert.Equal(6000, Scan(engine).Count);
        Assert.Equal("v", Get(engine, "k00000"));
    }

    [Fact]
    public void An_index_loses_the_entries_whose_segments_are_gone()
    {
        using BitcaskEngine engine = Open();
        for (int i = 0; i < 5000; i++)
        {
            Put(engine, $"k{i % 10}", (ulong)i + 1, "v", sync: false);
        }

        engine.SetHistoryFloor(new Core.Version(10_000));
        engine.Flush();
        engine.Compact();
        Scheduler.RunAll();
        Assert.InRange(engine.Writer.FindIndex(Keyspace)!.Table.EntryCount, 10, 1100);
        Assert.Equal(10, Scan(engine).Count);
    }

    [Fact]
    public void Merges_keep_to_their_rate()
    {
        using var scheduler = new PausingScheduler(Scheduler);
        using var engine = BitcaskEngine.Open(Options with
        {
            Scheduler = scheduler,
            MergeBytesPerSecond = 100_000,
            SegmentBytes = 1 << 20,
            Time = new FakeTimeProvider(DateTimeOffset.UnixEpoch),
        });
        for (int i = 0; i < 4000; i++)
        {
            Put(engine, $"k{i:0000}", (ulong)i + 1, new string('v', 100), sync: false);
            Put(engine, "hot", (ulong)i + 1, "v", sync: false);
        }

        engine.SetHistoryFloor(new Core.Version(10_000));
        engine.Flush();
        engine.Compact();

        // Time stands still here, so all that was written beyond the first burst was waited for.
        Assert.True(scheduler.Paused > TimeSpan.FromSeconds(1), $"Paused for {scheduler.Paused}.");
    }

    private void RunUntil(BackgroundPoint wanted)
    {
        for (int i = 0; i < 1000; i++)
        {
            if (Scheduler.TryStep(BackgroundKind.Compaction, out BackgroundPoint point) && point == wanted)
            {
                return;
            }
        }

        Assert.Fail($"No job came to {wanted}.");
    }

    private static class BugNumber
    {
        public const int None = 0;
    }

    private sealed class PausingScheduler(InlineScheduler inner) : IBackgroundScheduler
    {
        public TimeSpan Paused { get; private set; }

        public bool HasThreads => false;

        public void Schedule(BackgroundKind kind, IEnumerator<BackgroundPoint> job) => inner.Schedule(kind, job);

        public void ScheduleLater(BackgroundKind kind, TimeSpan delay, Action call) => inner.ScheduleLater(kind, delay, call);

        public bool TryRunOne() => inner.TryRunOne();

        public void Pause(TimeSpan time) => Paused += time;

        public void Dispose()
        {
            // The test disposes of the other one.
        }
    }
}
