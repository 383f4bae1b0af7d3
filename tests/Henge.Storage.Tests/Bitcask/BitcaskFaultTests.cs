using Henge.Core;
using Henge.Storage.Bitcask;
using Henge.Storage.Bitcask.Segments;
using Henge.Storage.Files;
using Henge.Storage.Inspection;
using Henge.Storage.Lsm.Background;
using Henge.Testing.Files;

namespace Henge.Storage.Tests.Bitcask;

/// <summary>Disks that fail and fill up: reported, and never a wrong answer.</summary>
public sealed class BitcaskFaultTests : BitcaskTestBase
{
    [Fact]
    public void A_failed_write_sync_or_rename_is_an_error_and_nothing_acknowledged_is_lost()
    {
        int failures = 0;
        const int Seeds = 150;
        for (int seed = 0; seed < Seeds; seed++)
        {
            var random = new Random(seed);
            var files = new SimulatedFileSystem();
            long failAt = random.Next(5, 250);
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
                using var engine = BitcaskEngine.Open(TinyBitcask.Random(random, files, scheduler, log: true));
                for (int i = 0; i < 200; i++)
                {
                    string key = $"k{random.Next(50)}";
                    string value = $"v{i}{new string('x', random.Next(100))}";
                    unknown[key] = value;
                    Put(engine, key, (ulong)i + 1, value);
                    unknown.Remove(key);
                    written[key] = value;
                    engine.SetHistoryFloor(new Core.Version((ulong)i + 1));
                    scheduler.TryRunOne();
                    if (i % 50 == 49)
                    {
                        engine.Compact();
                    }
                }
            }
            catch (IOException)
            {
                failures++;
            }

            files.Faults = null;
            files.Crash(CrashMode.LoseAllUnsynced, seed);
            using var again = BitcaskEngine.Open(TinyBitcask.Random(random, files, new InlineScheduler(), log: true));
            foreach ((string key, string value) in written)
            {
                string? found = Get(again, key);
                Assert.True(
                    found == value || (unknown.TryGetValue(key, out string? other) && found == other),
                    $"Seed {seed}: {key} is '{found}', not '{value}'.");
            }
        }

        Assert.True(failures > Seeds / 2, $"Only {failures} runs met their fault.");
    }

    [Fact]
    public void After_a_failed_sync_every_call_throws()
    {
        using BitcaskEngine engine = Open();
        Put(engine, "a", 1, "x");
        Files.Faults = static operation => operation.Kind == FileOperationKind.Sync ? FaultDecision.Fail : FaultDecision.None;
        Assert.Throws<IOException>(() => Put(engine, "b", 2, "y"));
        Files.Faults = null;
        Assert.Throws<IOException>(() => Put(engine, "c", 3, "z"));
        Assert.Throws<IOException>(() => Get(engine, "a"));
        Assert.Throws<IOException>(() => engine.CreateSnapshot());
        Assert.Throws<IOException>(() => engine.CreateIterator(All()));
        Assert.Throws<IOException>(engine.Flush);
        Assert.Throws<IOException>(engine.RequestFlush);
        Assert.Throws<IOException>(engine.Compact);
        Assert.Throws<IOException>(() => engine.Checkpoint("/copy"));
        Assert.Throws<IOException>(() => engine.DropRange(Keyspace, default, default));
    }

    [Fact]
    public void What_a_start_finds_stays_although_the_last_process_died_of_a_failed_sync()
    {
        var engine = BitcaskEngine.Open(Options with { OwnerHasLog = true });
        Put(engine, "a", 1, new string('v', 6000));
        Files.Faults = static operation => operation.Kind == FileOperationKind.Sync ? FaultDecision.Fail : FaultDecision.None;
        Assert.Throws<IOException>(engine.Flush);
        Files.Faults = null;

        // The process dies, and the machine goes on: its cache holds as clean what never reached the disk.
        Files.Crash(CrashMode.KeepAll, 0);
        using (BitcaskEngine again = Open())
        {
            Assert.NotNull(Get(again, "a"));
        }

        Files.Crash(CrashMode.LoseAllUnsynced, 0);
        using BitcaskEngine last = Open();
        Assert.NotNull(Get(last, "a"));
    }

    [Fact]
    public void A_failed_sync_in_the_background_finishes_the_engine_too()
    {
        using var engine = BitcaskEngine.Open(Options with { OwnerHasLog = true });
        Put(engine, "a", 1, "x");
        engine.RequestFlush();
        Files.Faults = static operation => operation.Kind == FileOperationKind.Sync ? FaultDecision.Fail : FaultDecision.None;
        Scheduler.RunAll();
        Files.Faults = null;
        Assert.Equal(0UL, engine.GetDurablePosition(1));
        Assert.Throws<IOException>(() => Get(engine, "a"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void On_a_full_disk_reads_go_on_writes_are_stopped_and_all_recovers_when_there_is_room(bool ownersLog)
    {
        using var engine = BitcaskEngine.Open(Options with { OwnerHasLog = ownersLog });
        Files.CapacityBytes = Files.UsedBytes + 200_000;
        int written = 0;
        HengeException? refused = null;
        while (written < 10_000 && refused is null && engine.Pressure != WritePressure.Stop)
        {
            try
            {
                Put(engine, $"k{written:00000}", (ulong)written + 1, new string('v', 100));
                written++;
                Scheduler.TryRunOne();
            }
            catch (HengeException error)
            {
                refused = error;
            }
        }

        // With an owner's log nothing is refused: pressure says that nothing more is to come, and what comes is held.
        Assert.Equal(ownersLog ? null : ErrorCode.DiskFull, refused?.Code);
        Assert.Equal(ownersLog ? WritePressure.Stop : WritePressure.None, engine.Pressure);
        if (ownersLog)
        {
            Put(engine, $"k{written:00000}", (ulong)written + 1, new string('v', 5000));
            written++;
            Assert.Equal(ErrorCode.DiskFull, Assert.Throws<HengeException>(engine.Flush).Code);
            Assert.Equal(ErrorCode.DiskFull, Assert.Throws<HengeException>(() => engine.DropRange(Keyspace, default, default)).Code);
        }
        else
        {
            Assert.Throws<HengeException>(() => Put(engine, "more", 1_000_000, new string('v', 5000)));
        }

        Scheduler.RunAll();
        Assert.Equal(written, Scan(engine).Count);
        Files.CapacityBytes = long.MaxValue;
        Scheduler.ReleaseLater();
        Scheduler.RunAll();
        Assert.Equal(WritePressure.None, engine.Pressure);
        Put(engine, "more", 1_000_001, "v");
        engine.Flush();
        Assert.Equal("v", Get(engine, "more"));
        engine.Dispose();
        Assert.Empty(StorageVerifier.Verify(Files, "/db").Problems);
        using BitcaskEngine again = Open();
        Assert.Equal(written + 1, Scan(again).Count);
    }

    [Fact]
    public void What_is_held_on_a_full_disk_is_not_durable()
    {
        var engine = BitcaskEngine.Open(Options with { OwnerHasLog = true });
        var batch = new WriteBatch();
        for (ulong i = 1; engine.Pressure != WritePressure.Stop; i++)
        {
            batch.Clear();
            batch.Put(Keyspace, [(byte)i], new Core.Version(i), new byte[100]);
            batch.SetPosition(3, i);
            engine.Apply(batch);
            engine.RequestFlush();
            Scheduler.RunAll();
            Files.CapacityBytes = i == 5 ? Files.UsedBytes + 10 : Files.CapacityBytes;
        }

        Assert.Equal(6UL, engine.GetPosition(3));
        Assert.Equal(5UL, engine.GetDurablePosition(3));
        Assert.True(engine.TryGet(Keyspace, [6], new ReadPoint(Core.Version.Max, 0), out PinnedValue value));
        value.Dispose();
        Files.Crash(CrashMode.KeepAll, 0);
        Files.CapacityBytes = long.MaxValue;
        using BitcaskEngine again = Open();
        Assert.Equal(5UL, again.GetDurablePosition(3));
        Assert.False(again.TryGet(Keyspace, [6], new ReadPoint(Core.Version.Max, 0), out _));
    }

    [Fact]
    public void A_batch_that_a_full_disk_cut_short_is_not_there_after_a_crash()
    {
        BitcaskEngine engine = Open();
        Put(engine, "a", 1, "x");
        Files.CapacityBytes = Files.UsedBytes + 40;
        Assert.Equal(ErrorCode.DiskFull, Assert.Throws<HengeException>(() => Put(engine, "b", 2, new string('v', 500))).Code);
        Files.CapacityBytes = long.MaxValue;
        Put(engine, "c", 3, "y");
        Files.Crash(CrashMode.KeepAll, 0);
        using BitcaskEngine again = Open();
        Assert.Equal(["a=x", "c=y"], Scan(again));
    }

    [Fact]
    public void What_a_full_disk_refused_does_not_come_back_behind_what_is_written_next()
    {
        var disk = new LateFullDisk(Files);
        var options = Options with { FileSystem = disk };
        var engine = BitcaskEngine.Open(options);
        Put(engine, "a", 1, "x");

        // All of it reaches the file before the disk says that it is full.
        disk.IsFull = true;
        var batch = new WriteBatch();
        batch.Put(Keyspace, "b"u8, new Core.Version(2), "x"u8);
        byte[] second = new byte[2000];
        batch.Put(Keyspace, "refused"u8, new Core.Version(2), second);
        Assert.Equal(ErrorCode.DiskFull, Assert.Throws<HengeException>(() => engine.Apply(batch)).Code);
        disk.IsFull = false;
        Files.Crash(CrashMode.KeepAll, 0);
        using BitcaskEngine again = Open();
        Assert.Equal(["a=x"], Scan(again));
    }

    [Fact]
    public void A_merge_waits_for_room_on_the_disk_and_then_goes_on()
    {
        using BitcaskEngine engine = Open();
        for (int i = 0; i < 400; i++)
        {
            Put(engine, $"k{i % 20}", (ulong)i + 1, new string('v', 100));
        }

        engine.SetHistoryFloor(new Core.Version(400));
        engine.Flush();
        Files.CapacityBytes = Files.UsedBytes;
        Scheduler.RunAll();
        Assert.Equal(0, engine.GetStatistics().Compactions);
        Assert.Equal(20, Scan(engine).Count);
        Files.CapacityBytes = long.MaxValue;
        Scheduler.ReleaseLater();
        Scheduler.RunAll();
        Assert.True(engine.GetStatistics().Compactions > 0);
        Assert.Equal(20, Scan(engine).Count);
    }

    [Fact]
    public void A_value_that_the_disk_cannot_read_is_reported_with_file_and_offset()
    {
        using BitcaskEngine engine = Open();
        Put(engine, "a", 1, "x");
        engine.DeclareKeyspaces([Keyspace, 2]);
        Files.Faults = static operation =>
            operation.Kind == FileOperationKind.Read && BitcaskFiles.IsSegment(Path.GetFileName(operation.Path), out _)
                ? FaultDecision.Fail
                : FaultDecision.None;
        HengeException error = Assert.Throws<HengeException>(() => Get(engine, "a"));
        Assert.Equal(ErrorCode.Corruption, error.Code);
        Assert.Contains(SegmentNames[0], error.Message, StringComparison.Ordinal);
        Files.Faults = null;
        Assert.Equal("x", Get(engine, "a"));
        var damage = new List<(uint, string)>();
        engine.TakeDamage((keyspace, found) => damage.Add((keyspace, found.Message)));
        Assert.Equal([(Keyspace, error.Message)], damage);
        damage.Clear();
        engine.TakeDamage((keyspace, found) => damage.Add((keyspace, found.Message)));
        Assert.Empty(damage);
    }

    [Fact]
    public void A_second_opener_is_told_that_the_directory_is_locked()
    {
        using BitcaskEngine engine = Open();
        Assert.Equal(ErrorCode.Locked, Assert.Throws<HengeException>(() => Open()).Code);
    }

    /// <summary>A disk that takes a write, and then says that it is full.</summary>
    private sealed class LateFullDisk(IFileSystem inner) : IFileSystem
    {
        public bool IsFull { get; set; }

        public IFile Open(string path, FileOpenMode mode) => new LateFile(this, inner.Open(path, mode));

        public bool FileExists(string path) => inner.FileExists(path);

        public bool DirectoryExists(string path) => inner.DirectoryExists(path);

        public void Delete(string path) => inner.Delete(path);

        public void Rename(string from, string to) => inner.Rename(from, to);

        public void Link(string existing, string newName) => inner.Link(existing, newName);

        public void CreateDirectory(string path) => inner.CreateDirectory(path);

        public void DeleteDirectory(string path) => inner.DeleteDirectory(path);

        public void SyncDirectory(string path) => inner.SyncDirectory(path);

        public IReadOnlyList<string> List(string path) => inner.List(path);

        public IDisposable Lock(string path) => inner.Lock(path);

        public long AvailableBytes(string path) => inner.AvailableBytes(path);
    }

    private sealed class LateFile(LateFullDisk disk, IFile inner) : IFile
    {
        public string Path => inner.Path;

        public long Length => inner.Length;

        public int Read(long offset, Span<byte> buffer) => inner.Read(offset, buffer);

        public void Write(long offset, ReadOnlySpan<byte> data)
        {
            inner.Write(offset, data);
            if (disk.IsFull)
            {
                throw new DiskFullException("The disk is full, it says.");
            }
        }

        public void Write(long offset, IReadOnlyList<ReadOnlyMemory<byte>> data) => inner.Write(offset, data);

        public void Sync() => inner.Sync();

        public void Preallocate(long length) => inner.Preallocate(length);

        public void Truncate(long length) => inner.Truncate(length);

        public void Dispose() => inner.Dispose();
    }
}
