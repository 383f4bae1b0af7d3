using System.Text;
using Henge.Core;
using Henge.Storage;
using Henge.Storage.Inspection;
using Henge.Storage.Lsm;
using Henge.Storage.Lsm.Background;
using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.Settings;
using Henge.Testing.Files;

namespace Henge.Storage.Tests;

/// <summary>Disks that fail, fill up and rot: detected, reported, and never a wrong answer.</summary>
public sealed class EngineFaultTests
{
    private const uint Keyspace = 1;

    private static int Seeds(int usual) =>
        int.TryParse(Environment.GetEnvironmentVariable("HENGE_TEST_SEEDS"), out int seeds) ? seeds : usual;

    [Fact]
    public void A_failed_write_sync_or_rename_is_an_error_and_nothing_acknowledged_is_lost()
    {
        int failures = 0;
        for (int seed = 0; seed < Seeds(150); seed++)
        {
            var random = new Random(seed);
            var files = new SimulatedFileSystem();
            long failAt = random.Next(10, 400);
            int seen = 0;
            FileOperationKind[] kinds =
            [
                FileOperationKind.Write,
                FileOperationKind.Sync,
                FileOperationKind.Rename,
                FileOperationKind.SyncDirectory,
                FileOperationKind.Create,
            ];
            files.Faults = operation => kinds.Contains(operation.Kind) && ++seen == failAt ? FaultDecision.Fail : FaultDecision.None;
            var written = new Dictionary<string, string>();
            var unknown = new Dictionary<string, string?>();
            using var scheduler = new InlineScheduler();
            try
            {
                using var engine = LsmEngine.Open(TinyOptions.Random(random, files, scheduler, log: true));
                for (int i = 0; i < 300; i++)
                {
                    string key = $"k{random.Next(50)}";
                    string value = $"v{i}{new string('x', random.Next(100))}";
                    unknown[key] = value;
                    Put(engine, key, (ulong)i + 1, value);
                    unknown.Remove(key);
                    written[key] = value;
                    scheduler.TryRunOne();
                }
            }
            catch (IOException)
            {
                failures++;
            }

            files.Faults = null;
            files.Crash(CrashMode.LoseAllUnsynced, seed);
            using var again = LsmEngine.Open(TinyOptions.Random(random, files, new InlineScheduler(), log: true));
            foreach ((string key, string value) in written)
            {
                string? found = Get(again, key);
                Assert.True(
                    found == value || (unknown.TryGetValue(key, out string? other) && found == other),
                    $"Seed {seed}: {key} is '{found}', not '{value}'.");
            }
        }

        Assert.True(failures > Seeds(150) / 3, $"Only {failures} runs met their fault.");
    }

    [Fact]
    public void After_a_failed_log_sync_every_call_throws()
    {
        var files = new SimulatedFileSystem();
        using var engine = LsmEngine.Open(TinyOptions.Create(files));
        Put(engine, "a", 1, "x");
        files.Faults = static operation =>
            operation.Kind == FileOperationKind.Sync && operation.Path.Contains("/log/", StringComparison.Ordinal)
                ? FaultDecision.Fail
                : FaultDecision.None;
        Assert.Throws<IOException>(() => Put(engine, "b", 2, "y"));
        files.Faults = null;
        Assert.Throws<IOException>(() => Put(engine, "c", 3, "z"));
        Assert.Throws<IOException>(() => Get(engine, "a"));
        Assert.Throws<IOException>(() => engine.CreateSnapshot());
        Assert.Throws<IOException>(engine.Flush);
        Assert.Throws<IOException>(() => engine.DropRange(Keyspace, default, default));
    }

    [Fact]
    public void On_a_full_disk_reads_go_on_writes_are_refused_and_all_recovers_when_there_is_room()
    {
        foreach (bool log in (bool[])[true, false])
        {
            var files = new SimulatedFileSystem();
            using var scheduler = new InlineScheduler();
            using var engine = LsmEngine.Open(TinyOptions.Create(files, scheduler) with { WriteAheadLog = log });
            files.CapacityBytes = files.UsedBytes + 200_000;
            int written = 0;
            HengeException? refused = null;
            for (; written < 10_000 && refused is null; written++)
            {
                try
                {
                    Put(engine, $"k{written:00000}", (ulong)written + 1, new string('v', 100));
                    scheduler.TryRunOne();
                }
                catch (HengeException error)
                {
                    refused = error;
                    written--;
                }
            }

            Assert.Equal(ErrorCode.DiskFull, refused?.Code);
            for (int i = 0; i < written; i++)
            {
                Assert.NotNull(Get(engine, $"k{i:00000}"));
            }

            Assert.Throws<HengeException>(() => Put(engine, "more", 1_000_000, "v"));
            files.CapacityBytes = long.MaxValue;
            scheduler.ReleaseLater();
            scheduler.RunAll();
            Put(engine, "more", 1_000_001, "v");
            engine.Flush();
            Assert.Equal("v", Get(engine, "more"));
            Assert.NotNull(Get(engine, "k00000"));
            engine.Dispose();
            Assert.Empty(StorageVerifier.Verify(files, "/db").Problems);
        }
    }

    [Fact]
    public void A_flush_tries_a_disk_that_was_full_anew()
    {
        var files = new SimulatedFileSystem();
        using var scheduler = new InlineScheduler();
        using var engine = LsmEngine.Open(TinyOptions.Create(files, scheduler) with { WriteAheadLog = false });
        Put(engine, "a", 1, "x");
        files.CapacityBytes = files.UsedBytes;
        Assert.Equal(ErrorCode.DiskFull, Assert.Throws<HengeException>(engine.Flush).Code);
        files.CapacityBytes = long.MaxValue;
        engine.Flush();
        Assert.Equal("x", Get(engine, "a"));
    }

    [Fact]
    public void A_flipped_bit_anywhere_is_reported_and_nothing_wrong_is_ever_read()
    {
        int reported = 0;
        var kinds = new Dictionary<string, int>();
        for (int seed = 0; seed < Seeds(400); seed++)
        {
            var random = new Random(seed);
            SimulatedFileSystem files = Build(random, out Dictionary<string, string> contents);
            string[] names =
            [
                .. files.List("/db").Where(static name => name is not ("LOCK" or "log")),
                .. files.List("/db/log").Select(static name => "log/" + name),
            ];
            string name = names[random.Next(names.Length)];
            string path = "/db/" + name;
            int length = files.ReadAllBytes(path).Length;
            files.FlipBit(
                path,
                random.Next(name.StartsWith("log/", StringComparison.Ordinal) ? Math.Min(length, 12_000) : length),
                random.Next(8));
            bool listed = name == "CURRENT" || EngineFiles.IsTable(name, out _) || EngineFiles.IsManifest(name, out _);

            VerifyReport report = StorageVerifier.Verify(files, "/db");
            Assert.False(listed && report.Problems.Count == 0, $"Seed {seed}: a flipped bit in {name} was not noticed by the verifier.");
            Assert.True(report.Problems.All(problem => problem.Contains(name.Split('/')[^1], StringComparison.Ordinal) || !listed),
                $"Seed {seed}: the problem in {name} is said to be: {string.Join("; ", report.Problems)}");
            try
            {
                using var engine = LsmEngine.Open(TinyOptions.Create(files, new InlineScheduler()) with { MemoryBytes = 1 });
                ReadEverything(engine, contents, name, seed);
            }
            catch (HengeException error) when (error.Code is ErrorCode.Corruption or ErrorCode.UnsupportedFormat)
            {
                string kind =
                    name.StartsWith("log/", StringComparison.Ordinal) ? "log"
                    : name.EndsWith(".sst", StringComparison.Ordinal) ? "table"
                    : name[..4];
                kinds[kind] = kinds.GetValueOrDefault(kind) + 1;
                reported++;
            }
        }

        Assert.True(reported > Seeds(400) / 4, $"Only {reported} flips were met.");
        Assert.True(kinds.Count >= 4 || Seeds(400) < 400, $"Met: {string.Join(", ", kinds)}");
    }

    [Fact]
    public void Damage_in_one_table_leaves_the_rest_readable()
    {
        var files = new SimulatedFileSystem();

        // The memtable holds more than one round writes: it would fill up at a moment that depends on the heights of its nodes, and what a
        // background thread then flushes by itself would be tables of its own.
        LsmOptions Roomy(IBackgroundScheduler? scheduler) => TinyOptions.Create(files, scheduler) with
        {
            MemTableBytes = 64 << 10,
            MemoryBytes = 1 << 20,
            L0CompactionTrigger = 100,
            L0SlowDownTrigger = 150,
            L0StopTrigger = 200,
        };
        using (var engine = LsmEngine.Open(Roomy(null)))
        {
            for (int table = 0; table < 3; table++)
            {
                for (int i = 0; i < 100; i++)
                {
                    Put(engine, $"t{table}k{i:000}", (ulong)(table * 100 + i + 1), new string('v', 20));
                }

                engine.Flush();
            }
        }

        string[] tables = [.. files.List("/db").Where(static n => EngineFiles.IsTable(n, out _))];
        Assert.Equal(3, tables.Length);
        string name = tables[1];
        files.FlipBit("/db/" + name, 700, 3);
        using var again = LsmEngine.Open(Roomy(new InlineScheduler()));
        int damaged = 0;
        for (int i = 0; i < 100; i++)
        {
            Assert.NotNull(Get(again, $"t0k{i:000}"));
            Assert.NotNull(Get(again, $"t2k{i:000}"));
            try
            {
                Assert.NotNull(Get(again, $"t1k{i:000}"));
            }
            catch (HengeException error) when (error.Code == ErrorCode.Corruption)
            {
                Assert.Contains(name, error.Message, StringComparison.Ordinal);
                damaged++;
            }
        }

        Assert.InRange(damaged, 1, 99);
    }

    [Fact]
    public void A_second_opener_is_told_that_the_directory_is_locked()
    {
        var files = new SimulatedFileSystem();
        using var engine = LsmEngine.Open(TinyOptions.Create(files));
        Assert.Equal(ErrorCode.Locked, Assert.Throws<HengeException>(() => LsmEngine.Open(TinyOptions.Create(files))).Code);
    }

    [Fact]
    public void Batches_that_are_only_in_the_log_are_not_left_behind_by_opening_without_it()
    {
        var files = new SimulatedFileSystem();
        using (var engine = LsmEngine.Open(TinyOptions.Create(files)))
        {
            Put(engine, "a", 1, "x");
        }

        HengeException error = Assert.Throws<HengeException>(() =>
            LsmEngine.Open(TinyOptions.Create(files) with { WriteAheadLog = false }));
        Assert.Equal(ErrorCode.Misconfigured, error.Code);
        using (var engine = LsmEngine.Open(TinyOptions.Create(files)))
        {
            Assert.Equal("x", Get(engine, "a"));
            engine.Flush();
        }

        using var without = LsmEngine.Open(TinyOptions.Create(files) with { WriteAheadLog = false });
        Assert.Equal("x", Get(without, "a"));
    }

    [Fact]
    public void A_log_that_was_taken_away_is_missed()
    {
        var files = new SimulatedFileSystem();
        using (var engine = LsmEngine.Open(TinyOptions.Create(files)))
        {
            for (int i = 0; i < 2000; i++)
            {
                Put(engine, $"k{i}", (ulong)i + 1, new string('x', 100));
            }

            engine.Flush();
        }

        foreach (string name in files.List("/db/log"))
        {
            files.Delete("/db/log/" + name);
        }

        Assert.Equal(ErrorCode.Corruption, Assert.Throws<HengeException>(() => LsmEngine.Open(TinyOptions.Create(files))).Code);
    }

    [Fact]
    public void A_missing_table_is_an_error_that_names_it()
    {
        var files = new SimulatedFileSystem();
        using (var engine = LsmEngine.Open(TinyOptions.Create(files)))
        {
            Put(engine, "a", 1, "x");
            engine.Flush();
        }

        string name = files.List("/db").First(static n => EngineFiles.IsTable(n, out _));
        files.Delete("/db/" + name);
        HengeException error = Assert.Throws<HengeException>(() => LsmEngine.Open(TinyOptions.Create(files)));
        Assert.Equal(ErrorCode.Corruption, error.Code);
        Assert.Contains(name, error.Message, StringComparison.Ordinal);
        Assert.NotEmpty(StorageVerifier.Verify(files, "/db").Problems);
    }

    [Fact]
    public void Tables_without_a_current_file_are_not_taken_for_an_empty_engine()
    {
        var files = new SimulatedFileSystem();
        using (var engine = LsmEngine.Open(TinyOptions.Create(files)))
        {
            Put(engine, "a", 1, "x");
            engine.Flush();
        }

        files.Delete("/db/CURRENT");
        Assert.Equal(ErrorCode.Corruption, Assert.Throws<HengeException>(() => LsmEngine.Open(TinyOptions.Create(files))).Code);
    }

    private static SimulatedFileSystem Build(Random random, out Dictionary<string, string> contents)
    {
        var files = new SimulatedFileSystem();
        contents = [];
        using var engine = LsmEngine.Open(TinyOptions.Create(files, new InlineScheduler()));
        for (int i = 0; i < 200; i++)
        {
            string key = $"k{random.Next(80):00}";
            contents[key] = $"v{i}";
            Put(engine, key, (ulong)i + 1, $"v{i}");
            if (i is 60 or 120 or 150)
            {
                engine.Flush();
            }
        }

        return files;
    }

    private static void ReadEverything(LsmEngine engine, Dictionary<string, string> contents, string name, int seed)
    {
        foreach ((string key, string value) in contents)
        {
            Assert.True(Get(engine, key) == value, $"Seed {seed}: {key} is wrong after a flip in {name}.");
        }

        using EngineIterator iterator = engine.CreateIterator(
            new IteratorOptions { Keyspace = Keyspace, Point = new ReadPoint(Core.Version.Max, 0) });
        int count = 0;
        for (iterator.SeekToFirst(); iterator.Valid; iterator.Next(), count++)
        {
            Assert.Equal(contents[Encoding.UTF8.GetString(iterator.Key)], Encoding.UTF8.GetString(iterator.Value));
        }

        Assert.Equal(contents.Count, count);
        engine.Compact();
    }

    private static void Put(LsmEngine engine, string key, ulong version, string value)
    {
        var batch = new WriteBatch();
        batch.Put(Keyspace, Encoding.UTF8.GetBytes(key), new Core.Version(version), Encoding.UTF8.GetBytes(value));
        engine.Apply(batch);
    }

    private static string? Get(LsmEngine engine, string key)
    {
        if (!engine.TryGet(Keyspace, Encoding.UTF8.GetBytes(key), new ReadPoint(Core.Version.Max, 0), out PinnedValue value))
        {
            return null;
        }

        using (value)
        {
            return Encoding.UTF8.GetString(value.Span);
        }
    }
}
