using System.Text;
using Henge.Core;
using Henge.Storage;
using Henge.Storage.Inspection;
using Henge.Storage.Lsm;
using Henge.Storage.Lsm.Background;
using Henge.Storage.Lsm.Compactions;
using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.Levels;
using Henge.Storage.Lsm.Settings;
using Henge.Storage.Lsm.State;
using Henge.Testing.Files;
using Microsoft.Extensions.Time.Testing;

namespace Henge.Storage.Tests;

/// <summary>What flushes and compactions do and leave, and the scenarios that the project started from.</summary>
public sealed class EngineBehaviourTests
{
    private const uint Keyspace = 1;
    private const uint SystemKeyspace = 0x8000_0001;

    [Fact]
    public void Ten_thousand_keys_survive_a_crash_without_a_flush()
    {
        var files = new SimulatedFileSystem();
        using var scheduler = new InlineScheduler();
        LsmEngine engine = LsmEngine.Open(new LsmOptions { Directory = "/db", FileSystem = files, Scheduler = scheduler });
        for (int i = 0; i < 10_000; i++)
        {
            Put(engine, $"key{i}", (ulong)i + 1, $"value{i}");
        }

        files.Crash(CrashMode.LoseAllUnsynced, 1);
        engine.Dispose();
        using LsmEngine again = LsmEngine.Open(new LsmOptions { Directory = "/db", FileSystem = files });
        for (int i = 0; i < 10_000; i++)
        {
            Assert.Equal($"value{i}", Get(again, $"key{i}"));
        }
    }

    [Fact]
    public void A_hundred_thousand_keys_are_all_readable_after_compaction_and_none_twice()
    {
        var files = new SimulatedFileSystem();
        using LsmEngine engine = LsmEngine.Open(new LsmOptions
        {
            Directory = "/db",
            FileSystem = files,
            MemTableBytes = 1 << 20,
            TargetTableBytes = 1 << 20,
            LevelBaseBytes = 2 << 20,
        });
        var batch = new WriteBatch();
        for (int i = 0; i < 100_000; i++)
        {
            batch.Clear();
            batch.Put(
                Keyspace,
                Encoding.UTF8.GetBytes($"key{i * 7919L % 100_003:000000}"),
                new Core.Version((ulong)i + 1),
                Encoding.UTF8.GetBytes($"value{i}"));
            engine.Apply(batch, sync: false);
        }

        engine.Compact();
        using EngineIterator iterator = engine.CreateIterator(All());
        int count = 0;
        string previous = "";
        for (iterator.SeekToFirst(); iterator.Valid; iterator.Next(), count++)
        {
            string key = Encoding.UTF8.GetString(iterator.Key);
            Assert.True(string.CompareOrdinal(previous, key) < 0);
            previous = key;
        }

        Assert.Equal(100_000, count);
        for (int i = 0; i < 100_000; i += 97)
        {
            Assert.Equal($"value{i}", Get(engine, $"key{i * 7919L % 100_003:000000}"));
        }

        Assert.Equal(0, engine.GetStatistics().Levels[0].Tables);
        Assert.True(engine.GetStatistics().Compactions > 0);
    }

    [Fact]
    public void Old_versions_go_below_the_floor_and_only_there()
    {
        using LsmEngine engine = Open(out _);
        for (ulong version = 1; version <= 100; version++)
        {
            Put(engine, "a", version, $"v{version}");
        }

        engine.SetHistoryFloor(new Core.Version(90));
        engine.Compact();
        Assert.Equal(11, engine.GetStatistics().Entries);
        Assert.Equal("v90", Get(engine, "a", 90));
        Assert.Equal("v100", Get(engine, "a"));
        Assert.Null(Get(engine, "a", 89));
    }

    [Fact]
    public void Tombstones_and_expired_values_go_when_nothing_lies_below()
    {
        using LsmEngine engine = Open(out _);
        for (int i = 0; i < 50; i++)
        {
            Put(engine, $"dead{i}", (ulong)i + 1, "x");
            Put(engine, $"brief{i}", (ulong)i + 1, "x", expiresAtMs: 5);
            Put(engine, $"live{i}", (ulong)i + 1, "x", expiresAtMs: 1_000_000);
        }

        engine.Compact();
        for (int i = 0; i < 50; i++)
        {
            Delete(engine, $"dead{i}", (ulong)i + 1000);
        }

        Core.Version floor = Core.Version.FromMilliseconds(100);
        engine.SetHistoryFloor(floor);
        engine.Compact();
        Assert.Equal(50, engine.GetStatistics().Entries);
        Assert.Equal("x", Get(engine, "live7"));
        Assert.Null(Get(engine, "dead7"));
    }

    [Fact]
    public void A_tombstone_above_older_data_stays_until_it_has_met_it()
    {
        using LsmEngine engine = Open(out InlineScheduler scheduler);
        Put(engine, "a", 1, "old");
        engine.Compact();
        Delete(engine, "a", 2);
        engine.SetHistoryFloor(new Core.Version(10));
        engine.Flush();
        Assert.Null(Get(engine, "a"));
        scheduler.RunAll();
        Assert.Null(Get(engine, "a"));
        engine.Compact();
        Assert.Null(Get(engine, "a"));
        Assert.Equal(0, engine.GetStatistics().Entries);
    }

    [Fact]
    public void System_keyspaces_keep_only_the_newest_version()
    {
        using LsmEngine engine = Open(out _);
        for (ulong version = 1; version <= 100; version++)
        {
            Put(engine, "a", version, $"v{version}", keyspace: SystemKeyspace);
        }

        engine.Compact();
        Assert.Equal(1, engine.GetStatistics().Entries);
        Assert.Equal("v100", Get(engine, "a", keyspace: SystemKeyspace));
    }

    [Fact]
    public void A_snapshot_holds_what_compaction_would_drop_and_lets_go_of_the_files_afterwards()
    {
        using LsmEngine engine = Open(out InlineScheduler scheduler, out SimulatedFileSystem files);
        Put(engine, "a", 1, "one");
        Put(engine, "s", 1, "first", keyspace: SystemKeyspace);
        engine.Flush();
        IEngineSnapshot snapshot = engine.CreateSnapshot();
        Put(engine, "a", 2, "two");
        Put(engine, "s", 2, "second", keyspace: SystemKeyspace);
        engine.SetHistoryFloor(new Core.Version(100));
        engine.Compact();
        scheduler.RunAll();
        int before = Tables(files);
        Assert.Equal("one", Read(snapshot.TryGet, "a", Keyspace));
        Assert.Equal("first", Read(snapshot.TryGet, "s", SystemKeyspace));
        Assert.Null(Get(engine, "a", 1));
        snapshot.Dispose();
        scheduler.RunAll();
        Assert.True(Tables(files) < before);
    }

    [Fact]
    public void A_dropped_range_frees_its_tables_at_once_and_its_record_in_the_end()
    {
        using LsmEngine engine = Open(out InlineScheduler scheduler, out SimulatedFileSystem files);
        for (uint keyspace = 1; keyspace <= 3; keyspace++)
        {
            for (int i = 0; i < 100; i++)
            {
                Put(engine, $"k{i:000}", (ulong)i + 1, new string('v', 100), keyspace: keyspace);
            }

            engine.Flush();
        }

        scheduler.RunAll();
        engine.DropRange(2, default, default);
        Assert.Null(Get(engine, "k050", keyspace: 2));
        Assert.Equal(new string('v', 100), Get(engine, "k050", keyspace: 1));
        Assert.Equal(new string('v', 100), Get(engine, "k050", keyspace: 3));
        scheduler.RunAll();
        Put(engine, "x", 1, "y", keyspace: 3);
        engine.Flush();
        scheduler.RunAll();
        engine.Compact();
        Put(engine, "x", 2, "y", keyspace: 3);
        engine.Flush();
        SuperVersion version = engine.State.Acquire(out int stripe);
        Assert.Empty(version.Levels.Drops);
        version.Release(stripe);
        Assert.Equal(201, engine.GetStatistics().Entries - 1);
        engine.Dispose();
        using LsmEngine again = LsmEngine.Open(TinyOptions.Create(files, scheduler));
        Assert.Null(Get(again, "k050", keyspace: 2));
        Assert.Equal("y", Get(again, "x", keyspace: 3));
    }

    [Fact]
    public void Sequential_loads_are_moved_not_rewritten()
    {
        using LsmEngine engine = Open(out InlineScheduler scheduler);
        for (int i = 0; i < 3000; i++)
        {
            Put(engine, $"k{i:00000}", (ulong)i + 1, new string('v', 100));
        }

        engine.Flush();
        scheduler.RunAll();
        EngineStatistics statistics = engine.GetStatistics();
        Assert.True(statistics.Compactions > 3);
        Assert.InRange(statistics.BytesWritten, 1, statistics.BytesIn * 3 / 2);
    }

    [Fact]
    public void Levels_keep_to_their_targets()
    {
        using LsmEngine engine = Open(out InlineScheduler scheduler);
        var random = new Random(3);
        for (int i = 0; i < 6000; i++)
        {
            Put(engine, $"k{random.Next(4000):00000}", (ulong)i + 1, new string('v', random.Next(200)));
            scheduler.RunAll();
        }

        engine.SetHistoryFloor(new Core.Version(6000));
        engine.Flush();
        scheduler.RunAll();
        SuperVersion version = engine.State.Acquire(out int stripe);
        var targets = new LevelTargets(version.Levels, engine.State.Parts.Options);
        for (int level = 1; level < LevelSet.LevelCount - 1; level++)
        {
            Assert.True(
                version.Levels.BytesOf(level) <= targets[level],
                $"L{level} holds {version.Levels.BytesOf(level)}, over {targets[level]}.");
        }

        Assert.True(version.Levels.Levels[0].Length < engine.State.Parts.Options.L0CompactionTrigger);
        version.Release(stripe);
    }

    [Fact]
    public void Durable_positions_move_with_flushes_and_the_owner_is_told()
    {
        var files = new SimulatedFileSystem();
        using var scheduler = new InlineScheduler();
        using LsmEngine engine = LsmEngine.Open(TinyOptions.Create(files, scheduler) with { WriteAheadLog = false });
        int told = 0;
        engine.Flushed += () => told++;
        var batch = new WriteBatch();
        batch.Put(Keyspace, "a"u8, new Core.Version(1), "x"u8);
        batch.SetPosition(3, 17);
        engine.Apply(batch);
        Assert.Equal(0UL, engine.GetDurablePosition(3));
        engine.RequestFlush();
        Assert.Equal(0UL, engine.GetDurablePosition(3));
        scheduler.RunAll();
        Assert.Equal(17UL, engine.GetDurablePosition(3));
        Assert.Equal(1, told);

        // A position alone is worth a flush too.
        batch.Clear();
        batch.SetPosition(3, 18);
        engine.Apply(batch);
        engine.Flush();
        Assert.Equal(18UL, engine.GetDurablePosition(3));
    }

    [Fact]
    public void Compactions_keep_to_their_rate()
    {
        var files = new SimulatedFileSystem();
        using var scheduler = new CountingScheduler();
        using LsmEngine engine = LsmEngine.Open(TinyOptions.Create(files, scheduler) with
        {
            CompactionBytesPerSecond = 100_000,
            TargetTableBytes = 1 << 20,
            L0CompactionTrigger = 4,
            L0StopTrigger = 100,
            Time = StandingTime(),
        });
        for (int i = 0; i < 4000; i++)
        {
            Put(engine, $"k{i * 7919 % 4001:00000}", (ulong)i + 1, new string('v', 100));
        }

        engine.Compact();

        // Time stands still here, so all that was written beyond the first burst was waited for.
        Assert.True(scheduler.Paused > TimeSpan.FromSeconds(1), $"Paused for {scheduler.Paused}.");
    }

    [Fact]
    public void Keys_and_values_over_their_limit_are_refused()
    {
        using LsmEngine engine = LsmEngine.Open(
            TinyOptions.Create(new SimulatedFileSystem()) with
            {
                MaxKeyBytes = 10,
                MaxValueBytes = 20,
            });
        Assert.Equal(ErrorCode.TooLarge, Assert.Throws<HengeException>(() => Put(engine, new string('k', 11), 1, "v")).Code);
        Assert.Equal(ErrorCode.TooLarge, Assert.Throws<HengeException>(() => Put(engine, "k", 1, new string('v', 21))).Code);
        Put(engine, new string('k', 10), 1, new string('v', 20));
    }

    [Fact]
    public void Writes_give_versions_that_rise_over_restarts()
    {
        var files = new SimulatedFileSystem();
        Core.Version last = default;
        for (int round = 0; round < 3; round++)
        {
            using LsmEngine engine = LsmEngine.Open(TinyOptions.Create(files) with { Time = StandingTime() });
            for (int i = 0; i < 100; i++)
            {
                var batch = new WriteBatch();
                batch.Put(Keyspace, "k"u8, default, "v"u8, expiresAtMs: i % 2);
                batch.SetPosition(1, 1);
                batch.Delete(Keyspace, "d"u8, default);
                Core.Version version = engine.Write(batch);
                Assert.True(version > last);
                last = version;
            }
        }
    }

    [Fact]
    public void Bad_settings_are_named()
    {
        HengeException error = Assert.Throws<HengeException>(() =>
            LsmEngine.Open(TinyOptions.Create(new SimulatedFileSystem()) with { L0StopTrigger = 1 }));
        Assert.Equal(ErrorCode.Misconfigured, error.Code);
        Assert.Contains("L0StopTrigger", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_file_can_be_printed_readably()
    {
        using LsmEngine engine = Open(out InlineScheduler scheduler, out SimulatedFileSystem files);
        Put(engine, "apple", 1, "red");
        engine.Flush();
        engine.DropRange(5, "a"u8, "b"u8);
        Put(engine, "pear", 2, "green");
        engine.Dispose();
        string Dump(string path)
        {
            using var output = new StringWriter();
            StorageDumper.Dump(files, path, output);
            return output.ToString();
        }

        string manifestName = files.List("/db").Single(static name => EngineFiles.IsManifest(name, out _));
        Assert.Equal("manifest " + manifestName["MANIFEST-".Length..].TrimStart('0'), Dump("/db/CURRENT").TrimEnd());
        string manifest = Dump("/db/" + manifestName);
        Assert.Contains("add L0", manifest, StringComparison.Ordinal);
        Assert.Contains("drop of 5/['a', 'b')", manifest, StringComparison.Ordinal);
        Assert.Contains(
            "'apple'",
            Dump("/db/" + files.List("/db").First(static name => EngineFiles.IsTable(name, out _))),
            StringComparison.Ordinal);
        Assert.Contains(
            "put 1/'pear'@2 5 bytes",
            string.Concat(
                files
                    .List("/db/log")
                    .Where(static name => name.EndsWith(".log", StringComparison.Ordinal))
                    .Select(name => Dump("/db/log/" + name))),
            StringComparison.Ordinal);
        Assert.Equal(ErrorCode.InvalidArgument, Assert.Throws<HengeException>(() => Dump("/db/LOCK")).Code);

        VerifyReport report = StorageVerifier.Verify(files, "/");
        Assert.Empty(report.Problems);
        Assert.Equal(1, report.Tables);
        Assert.True(report.LogRecords > 0);
        scheduler.Clear();
    }

    private static LsmEngine Open(out InlineScheduler scheduler) => Open(out scheduler, out _);

    private static LsmEngine Open(out InlineScheduler scheduler, out SimulatedFileSystem files)
    {
        scheduler = new InlineScheduler();
        files = new SimulatedFileSystem();
        return LsmEngine.Open(TinyOptions.Create(files, scheduler));
    }

    private static int Tables(SimulatedFileSystem files) => files.List("/db").Count(static name => EngineFiles.IsTable(name, out _));

    private static IteratorOptions All() => new() { Keyspace = Keyspace, Point = new ReadPoint(Core.Version.Max, 0) };

    private static void Put(LsmEngine engine, string key, ulong version, string value, long expiresAtMs = 0, uint keyspace = Keyspace)
    {
        var batch = new WriteBatch();
        batch.Put(keyspace, Encoding.UTF8.GetBytes(key), new Core.Version(version), Encoding.UTF8.GetBytes(value), expiresAtMs);
        engine.Apply(batch);
    }

    private static void Delete(LsmEngine engine, string key, ulong version)
    {
        var batch = new WriteBatch();
        batch.Delete(Keyspace, Encoding.UTF8.GetBytes(key), new Core.Version(version));
        engine.Apply(batch);
    }

    private static string? Get(LsmEngine engine, string key, ulong at = Core.Version.MaxValue, uint keyspace = Keyspace) =>
        Read(engine.TryGet, key, keyspace, at);

    private static FakeTimeProvider StandingTime() => new(DateTimeOffset.FromUnixTimeMilliseconds(Core.Version.EpochUnixMs + 1000));

    private delegate bool Getter(uint keyspace, ReadOnlySpan<byte> key, ReadPoint point, out PinnedValue value);

    private static string? Read(Getter get, string key, uint keyspace, ulong at = Core.Version.MaxValue)
    {
        if (!get(keyspace, Encoding.UTF8.GetBytes(key), new ReadPoint(new Core.Version(at), 0), out PinnedValue value))
        {
            return null;
        }

        using (value)
        {
            return Encoding.UTF8.GetString(value.Span);
        }
    }

    private sealed class CountingScheduler : IBackgroundScheduler
    {
        private readonly InlineScheduler _inner = new();

        public TimeSpan Paused { get; private set; }

        public bool HasThreads => false;

        public void Schedule(BackgroundKind kind, IEnumerator<BackgroundPoint> job) => _inner.Schedule(kind, job);

        public void ScheduleLater(BackgroundKind kind, TimeSpan delay, Action call) => _inner.ScheduleLater(kind, delay, call);

        public bool TryRunOne() => _inner.TryRunOne();

        public void Pause(TimeSpan time) => Paused += time;

        public void Dispose() => _inner.Dispose();
    }
}
