using Henge.Core;
using Henge.Storage.Lsm;
using Henge.Storage.Lsm.Background;
using Henge.Storage.Lsm.Settings;
using Henge.Testing.Files;

namespace Henge.Storage.Tests;

/// <summary>Sectors that the disk cannot read, and what becomes of an engine whose damage nobody mends.</summary>
public sealed class UnreadableBlockTests : IDisposable
{
    private const int L0Stop = 3;
    private readonly SimulatedFileSystem _disk = new();
    private readonly InlineScheduler _scheduler = new();

    public void Dispose() => _scheduler.Dispose();

    [Fact]
    public void A_block_that_the_disk_cannot_read_is_damage_with_file_offset_and_reason()
    {
        using (LsmEngine engine = Open())
        {
            Put(engine, 1, "a", 1);
            engine.Flush();
        }

        using LsmEngine again = Open();
        again.DeclareKeyspaces([1, 2]);
        string table = FailReads();
        HengeException error = Assert.Throws<HengeException>(() => Get(again, 1, "a"));
        Assert.Equal(ErrorCode.Corruption, error.Code);
        Assert.Contains(table, error.Message, StringComparison.Ordinal);
        Assert.IsAssignableFrom<IOException>(error.InnerException);

        // By an iterator as well, which reads several blocks at once.
        Assert.Equal(
            ErrorCode.Corruption,
            Assert.Throws<HengeException>(() =>
            {
                using EngineIterator entries = again.CreateIterator(
                    new IteratorOptions { Keyspace = 1, Point = ReadPoint.AsOf(Core.Version.Max) });
                entries.SeekToFirst();
            }).Code);

        // The owner is told, and a disk that has recovered is read again.
        var damaged = new List<uint>();
        again.TakeDamage((keyspace, _) => damaged.Add(keyspace));
        Assert.Equal([1u], damaged.Distinct());
        _disk.Faults = null;
        Assert.True(Get(again, 1, "a"));
    }

    [Fact]
    public void A_table_that_the_disk_cannot_read_when_it_is_opened_counts_as_damaged_as_a_whole()
    {
        using (LsmEngine engine = Open())
        {
            Put(engine, 1, "a", 1);
            engine.Flush();
        }

        FailReads();
        using LsmEngine again = Open();
        again.DeclareKeyspaces([1, 2]);
        var damaged = new List<uint>();
        again.TakeDamage((keyspace, _) => damaged.Add(keyspace));
        Assert.Equal([1u], damaged);
        Assert.Equal(ErrorCode.Corruption, Assert.Throws<HengeException>(() => Get(again, 1, "a")).Code);
    }

    [Fact]
    public void While_nobody_mends_the_damage_L0_grows_up_to_a_bound_and_only_what_mends_it_is_to_be_written()
    {
        using LsmEngine engine = Open();
        engine.DeclareKeyspaces([1, 2, 3]);
        Put(engine, 1, "a", 1);
        Put(engine, 3, "c", 2);
        engine.Flush();
        string table = FailReads();
        ulong version = 3;
        while (engine.Pressure != WritePressure.Stop)
        {
            Assert.True(version < 100, "L0 grows without a bound");
            Assert.Null(engine.StopReason);
            Put(engine, 2, "b", version++);
            engine.Flush();
            _scheduler.RunAll();
        }

        Assert.True(version > L0Stop * 2, "an owner that mends the damage needs room");
        Assert.Contains(table, engine.StopReason, StringComparison.Ordinal);

        // As a node does: what is damaged goes, and comes back from elsewhere.
        HashSet<uint> damaged = [];
        engine.TakeDamage((keyspace, _) => damaged.Add(keyspace));
        Assert.Equal([1u, 2u, 3u], damaged.Order());
        foreach (uint keyspace in damaged)
        {
            engine.DropRange(keyspace, default, default);
        }

        Put(engine, 1, "a", version++);
        Put(engine, 2, "b", version++);
        engine.Flush();
        _scheduler.RunAll();
        Assert.NotEqual(WritePressure.Stop, engine.Pressure);
        Assert.Null(engine.StopReason);
        Assert.True(Get(engine, 1, "a"));
        Assert.True(Get(engine, 2, "b"));
    }

    // Of the one table that there is.
    private string FailReads()
    {
        string name = Assert.Single(_disk.List("/engine"), static name => name.EndsWith(".sst", StringComparison.Ordinal));
        _disk.Faults = operation =>
            operation.Kind == FileOperationKind.Read && operation.Path.EndsWith(name, StringComparison.Ordinal)
                ? FaultDecision.Fail
                : FaultDecision.None;
        return name;
    }

    private LsmEngine Open() =>
        LsmEngine.Open(new LsmOptions
        {
            Directory = "/engine",
            FileSystem = _disk,
            Scheduler = _scheduler,
            WriteAheadLog = false,
            MemoryBytes = 4 << 20,
            MemTableBytes = 1 << 20,
            L0CompactionTrigger = 2,
            L0SlowDownTrigger = 2,
            L0StopTrigger = L0Stop,
            OpenDamagedTables = true,
        });

    private static void Put(LsmEngine engine, uint keyspace, string key, ulong version)
    {
        var batch = new WriteBatch();
        batch.Put(keyspace, System.Text.Encoding.UTF8.GetBytes(key), new Core.Version(version), new byte[40]);
        engine.Apply(batch);
    }

    private static bool Get(LsmEngine engine, uint keyspace, string key)
    {
        bool found = engine.TryGet(
            keyspace,
            System.Text.Encoding.UTF8.GetBytes(key),
            ReadPoint.AsOf(Core.Version.Max),
            out PinnedValue value);
        value.Dispose();
        return found;
    }
}
