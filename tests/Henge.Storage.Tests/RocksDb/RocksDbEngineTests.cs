using System.Text;
using Henge.Core;
using Henge.Storage;
using Henge.Storage.Inspection;
using Henge.Storage.RocksDb;

namespace Henge.Storage.Tests.RocksDb;

/// <summary>What the adapter adds to RocksDB: positions over a crash, old versions that go, and directories that are not its own.</summary>
public sealed class RocksDbEngineTests : IDisposable
{
    private const uint Keyspace = 7;
    private readonly string _root = Directory.CreateTempSubdirectory("henge-rocksdb").FullName;

    private string Home => Path.Combine(_root, "db");

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public void After_a_crash_there_is_what_was_flushed_and_its_position()
    {
        string crashed = Path.Combine(_root, "crashed");
        using (RocksDbEngine engine = Open())
        {
            for (ulong i = 1; i <= 100; i++)
            {
                Put(engine, $"k{i:000}", i, "v", position: i);
            }

            Assert.Equal((100UL, 0UL), (engine.GetPosition(3), engine.GetDurablePosition(3)));
            engine.Flush();
            Assert.Equal(100UL, engine.GetDurablePosition(3));
            Put(engine, "later", 101, "v", position: 101);
            Assert.Equal((101UL, 100UL), (engine.GetPosition(3), engine.GetDurablePosition(3)));

            // Without a log of its own, files are all that a crash leaves.
            Copy(Home, crashed);
        }

        using RocksDbEngine again = Open(crashed);
        Assert.Equal((100UL, 100UL), (again.GetPosition(3), again.GetDurablePosition(3)));
        Assert.Equal("v", Get(again, "k100"));
        Assert.Null(Get(again, "later"));
    }

    [Fact]
    public void With_a_log_of_its_own_what_was_synced_is_there_after_a_crash()
    {
        string crashed = Path.Combine(_root, "crashed");
        using (RocksDbEngine engine = Open(log: true))
        {
            Put(engine, "a", 1, "v", position: 5, sync: true);
            Assert.Equal(5UL, engine.GetDurablePosition(3));
            Copy(Home, crashed);
        }

        using RocksDbEngine again = Open(crashed, log: true);
        Assert.Equal((5UL, "v"), (again.GetDurablePosition(3), Get(again, "a")));
    }

    [Fact]
    public void Whoever_waits_for_a_flush_is_told()
    {
        using RocksDbEngine engine = Open();
        using var told = new ManualResetEventSlim();
        engine.Flushed += told.Set;
        Put(engine, "a", 1, "v", position: 9);
        engine.RequestFlush();
        Assert.True(told.Wait(TimeSpan.FromSeconds(60)));
        Assert.Equal(9UL, engine.GetDurablePosition(3));
    }

    [Fact]
    public void Versions_that_no_read_needs_go_and_what_snapshots_see_stays()
    {
        using RocksDbEngine engine = Open();
        Put(engine, "kept", 10, "one");
        Put(engine, "kept", 20, "two");
        Put(engine, "kept", 30, "three");
        Put(engine, "gone", 11, "was here");
        Delete(engine, "gone", 21);
        Put(engine, "brief", Core.Version.FromMilliseconds(1).Value, "short", expiresAtMs: 2);
        using (IEngineSnapshot before = engine.CreateSnapshot())
        {
            engine.SetHistoryFloor(new Core.Version(25));
            engine.Compact();
            Assert.Equal(["brief@" + Core.Version.FromMilliseconds(1).Value, "kept@30", "kept@20"], Versions(engine.CreateIterator));
            Assert.Equal(
                ["brief@" + Core.Version.FromMilliseconds(1).Value, "gone@21", "gone@11", "kept@30", "kept@20", "kept@10"],
                Versions(before.CreateIterator));
        }

        engine.SetHistoryFloor(Core.Version.FromMilliseconds(3));
        engine.Compact();
        Assert.Equal(["kept@30"], Versions(engine.CreateIterator));
        Assert.Equal("three", Get(engine, "kept"));
        engine.Dispose();

        using RocksDbEngine again = Open();
        Assert.Equal(Core.Version.FromMilliseconds(3), again.HistoryFloor);
        Assert.Equal(["kept@30"], Versions(again.CreateIterator));
    }

    [Fact]
    public void Sweeps_come_by_themselves_when_much_was_written()
    {
        using RocksDbEngine engine = RocksDbEngine.Open(new RocksDbOptions { Directory = Home, WriteAheadLog = false, SweepEntries = 100 });
        for (ulong i = 1; i <= 1_000; i++)
        {
            Put(engine, "hot", i, "v");
            engine.SetHistoryFloor(new Core.Version(i));
        }

        SpinWait.SpinUntil(() => Versions(engine.CreateIterator).Count < 500, TimeSpan.FromSeconds(60));
        Assert.InRange(Versions(engine.CreateIterator).Count, 1, 499);
        Assert.Equal("v", Get(engine, "hot"));
    }

    [Fact]
    public void What_comes_again_after_a_drop_under_lower_versions_stays()
    {
        using RocksDbEngine engine = Open();
        for (ulong i = 1; i <= 50; i++)
        {
            Put(engine, "a", 100 + i, "old");
        }

        engine.Flush();
        engine.DropRange(Keyspace, default, default);
        Put(engine, "a", 5, "new");
        Put(engine, "a", 6, "newer");
        engine.SetHistoryFloor(new Core.Version(1_000));
        engine.Compact();
        Assert.Equal(["a@6"], Versions(engine.CreateIterator));
        Assert.Equal("newer", Get(engine, "a"));
    }

    [Fact]
    public void Keyspaces_without_history_have_one_entry_for_a_key()
    {
        const uint System = 0x8000_0007;
        using RocksDbEngine engine = Open();
        var batch = new WriteBatch();
        for (ulong i = 1; i <= 20; i++)
        {
            batch.Clear();
            batch.Put(System, "k"u8, new Core.Version(i), Encoding.UTF8.GetBytes($"v{i}"));
            engine.Apply(batch);
        }

        Assert.Equal(["k@20"], Versions(engine.CreateIterator, System));
        Assert.True(engine.TryGet(System, "k"u8, new ReadPoint(Core.Version.Max, 0), out PinnedValue value));
        using (value)
        {
            Assert.Equal(("v20", 20UL), (Encoding.UTF8.GetString(value.Span), value.Version.Value));
        }

        batch.Clear();
        batch.Delete(System, "k"u8, new Core.Version(21));
        engine.Apply(batch);
        Assert.Empty(Versions(engine.CreateIterator, System));
    }

    [Fact]
    public void A_damaged_table_is_told_of_under_the_keyspace_that_was_read()
    {
        using (RocksDbEngine engine = Open())
        {
            for (ulong i = 1; i <= 1_000; i++)
            {
                Put(engine, $"k{i:0000}", i, new string('v', 100));
            }

            engine.Flush();
        }

        string table = Directory.GetFiles(Home, "*.sst").MaxBy(static f => new FileInfo(f).Length)!;
        byte[] bytes = File.ReadAllBytes(table);
        bytes[bytes.Length / 2] ^= 0x40;
        File.WriteAllBytes(table, bytes);
        using RocksDbEngine again = Open();
        HengeException error = Assert.Throws<HengeException>(
            () => Enumerable.Range(1, 1_000).Select(i => Get(again, $"k{i:0000}")).ToArray());
        Assert.Equal(ErrorCode.Corruption, error.Code);
        Assert.Contains(Path.GetFileName(table), error.Message, StringComparison.Ordinal);
        var found = new List<(uint, HengeException)>();
        again.TakeDamage((keyspace, e) => found.Add((keyspace, e)));
        Assert.Equal([(Keyspace, error)], found);
        Assert.NotNull(Get(again, "k0001"));
        Assert.NotNull(Get(again, "k1000"));
    }

    [Fact]
    public void A_verification_passes_over_its_files_and_says_so()
    {
        using (RocksDbEngine engine = Open())
        {
            Put(engine, "a", 1, "v");
            engine.Flush();
        }

        VerifyReport report = StorageVerifier.Verify(_root);
        Assert.Empty(report.Problems);
        Assert.Contains("RocksDB", Assert.Single(report.Notes), StringComparison.Ordinal);
    }

    [Fact]
    public void A_directory_that_is_open_is_not_opened_again()
    {
        using RocksDbEngine engine = Open();
        Assert.Equal(ErrorCode.Locked, Assert.Throws<HengeException>(() => Open()).Code);
    }

    [Fact]
    public unsafe void A_database_of_somebody_else_is_left_alone()
    {
        Directory.CreateDirectory(Home);
        using (RocksHandles other = new(new RocksDbOptions { Directory = Home }))
        {
            nint batch = Rocks.writebatch_create();
            byte* error = null;
            byte letter = (byte)'x';
            Rocks.writebatch_put(batch, &letter, 1, &letter, 1);
            Rocks.write(other.Db, other.Write, batch, &error);
            Assert.True(error == null);
            Rocks.writebatch_destroy(batch);
        }

        HengeException refused = Assert.Throws<HengeException>(() => Open());
        Assert.Equal(ErrorCode.UnsupportedFormat, refused.Code);
        Assert.Contains("Henge did not make", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Corruption: block checksum mismatch", ErrorCode.Corruption)]
    [InlineData("IO error: No space left on device: While appending to file", ErrorCode.DiskFull)]
    [InlineData("IO error: Disk quota exceeded: x", ErrorCode.DiskFull)]
    [InlineData("IO error: While lock file: /db/LOCK: Resource temporarily unavailable", ErrorCode.Locked)]
    public void Errors_of_the_library_have_their_codes(string message, ErrorCode code) =>
        Assert.Equal(code, Assert.IsType<HengeException>(Rocks.ToException(message, "/db")).Code);

    [Fact]
    public void Too_long_keys_and_values_are_refused_before_anything_is_written()
    {
        using RocksDbEngine engine = RocksDbEngine.Open(
            new RocksDbOptions { Directory = Home, WriteAheadLog = false, MaxKeyBytes = 8, MaxValueBytes = 8 });
        var batch = new WriteBatch();
        batch.Put(Keyspace, "good"u8, new Core.Version(1), "v"u8);
        batch.Put(Keyspace, "too long a key"u8, new Core.Version(1), "v"u8);
        Assert.Equal(ErrorCode.TooLarge, Assert.Throws<HengeException>(() => engine.Apply(batch)).Code);
        batch.Clear();
        batch.Put(Keyspace, "good"u8, new Core.Version(1), "too long a value"u8);
        Assert.Equal(ErrorCode.TooLarge, Assert.Throws<HengeException>(() => engine.Apply(batch)).Code);
        Assert.Null(Get(engine, "good"));
    }

    private RocksDbEngine Open(string? directory = null, bool log = false) =>
        RocksDbEngine.Open(new RocksDbOptions { Directory = directory ?? Home, WriteAheadLog = log });

    private static void Copy(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (string file in Directory.GetFiles(from).Where(static f => Path.GetFileName(f) != "LOCK"))
        {
            File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
        }
    }

    private static void Put(
        RocksDbEngine engine, string key, ulong version, string value, long expiresAtMs = 0, ulong position = 0, bool sync = false)
    {
        var batch = new WriteBatch();
        batch.Put(Keyspace, Encoding.UTF8.GetBytes(key), new Core.Version(version), Encoding.UTF8.GetBytes(value), expiresAtMs);
        if (position > 0)
        {
            batch.SetPosition(3, position);
        }

        engine.Apply(batch, sync);
    }

    private static void Delete(RocksDbEngine engine, string key, ulong version)
    {
        var batch = new WriteBatch();
        batch.Delete(Keyspace, Encoding.UTF8.GetBytes(key), new Core.Version(version));
        engine.Apply(batch);
    }

    private static string? Get(RocksDbEngine engine, string key)
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

    private delegate EngineIterator IteratorFactory(in IteratorOptions options);

    private static List<string> Versions(IteratorFactory create, uint keyspace = Keyspace)
    {
        using EngineIterator iterator = create(
            new IteratorOptions { Keyspace = keyspace, Point = new ReadPoint(Core.Version.Max, 0), AllVersions = true });
        var found = new List<string>();
        for (iterator.SeekToFirst(); iterator.Valid; iterator.Next())
        {
            found.Add($"{Encoding.UTF8.GetString(iterator.Key)}@{iterator.Version.Value}");
        }

        return found;
    }
}
