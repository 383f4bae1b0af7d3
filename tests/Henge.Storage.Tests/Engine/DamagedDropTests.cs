using Henge.Core;
using Henge.Storage.Files;
using Henge.Storage.Lsm;
using Henge.Storage.Lsm.Background;
using Henge.Storage.Lsm.Cache;
using Henge.Storage.Lsm.Settings;
using Henge.Storage.Lsm.Tables;
using Henge.Testing.Files;

namespace Henge.Storage.Tests;

/// <summary>Blocks that are damaged beside range drops, and tables that cannot be opened (docs/decisions/0165, 0166).</summary>
public sealed class DamagedDropTests
{
    private static readonly uint[] Keyspaces = [1, 2, 7, 0x8000_0001, 0x8000_0002];
    private readonly SimulatedFileSystem _disk = new();

    [Fact]
    public void A_compaction_gets_past_damaged_blocks_that_hold_only_what_was_dropped_and_loses_nothing_else()
    {
        for (int block = 0; ; block++)
        {
            var disk = new SimulatedFileSystem();
            var scheduler = new InlineScheduler();
            using LsmEngine engine = Open(disk, scheduler);
            engine.DeclareKeyspaces(Keyspaces);
            Fill(engine);
            if (Damage(disk, block) is not { } _)
            {
                Assert.True(block > 10);
                return;
            }

            // What a node does: whatever may lie in the damaged block is dropped, and comes back from elsewhere.
            Assert.ThrowsAny<HengeException>(() => ReadAll(engine));
            var damaged = new HashSet<uint>();
            engine.TakeDamage((keyspace, error) =>
            {
                Assert.Equal(ErrorCode.Corruption, error.Code);
                damaged.Add(keyspace);
            });
            Assert.NotEmpty(damaged);
            foreach (uint keyspace in damaged)
            {
                engine.DropRange(keyspace, default, default);
            }

            engine.Compact();
            scheduler.RunAll();
            engine.TakeDamage((_, _) => Assert.Fail("nothing that is left is damaged"));
            Dictionary<(uint, string), int> left = ReadAll(engine);
            Dictionary<(uint, string), int> expected = Expected().Where(item => !damaged.Contains(item.Key.Item1)).ToDictionary();
            Assert.Equal(expected.OrderBy(static i => i.Key), left.OrderBy(static i => i.Key));
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_table_that_cannot_be_opened_is_refused_read_by_read_and_hides_nothing_older(bool isMissing)
    {
        string name;
        using (LsmEngine engine = Open(_disk, new InlineScheduler()))
        {
            Put(engine, 1, "a", 1, 10);
            Put(engine, 1, "b", 1, 11);
            engine.Flush();
            Put(engine, 1, "b", 2, 12);
            Put(engine, 1, "c", 2, 13);
            engine.Flush();
            Put(engine, 1, "c", 3, 14);
            Put(engine, 2, "x", 3, 15);
            engine.Flush();
            name = _disk
                .List("/engine")
                .Where(static file => file.EndsWith(".sst", StringComparison.Ordinal))
                .Order(StringComparer.Ordinal)
                .ElementAt(1);
        }

        if (isMissing)
        {
            _disk.Delete("/engine/" + name);
        }
        else
        {
            using IFile file = _disk.Open("/engine/" + name, FileOpenMode.Read);
            _disk.FlipBit("/engine/" + name, (int)file.Length - 20, 2);
        }

        Assert.Equal(
            ErrorCode.Corruption,
            Assert.Throws<HengeException>(() => Open(_disk, new InlineScheduler(), openDamaged: false)).Code);
        using LsmEngine again = Open(_disk, new InlineScheduler());
        again.DeclareKeyspaces([1, 2]);
        var damaged = new List<uint>();
        again.TakeDamage((keyspace, _) => damaged.Add(keyspace));
        Assert.Equal([1u], damaged);

        // What lies in front of it or beside it is found; the old value of what it holds is not.
        Assert.Equal(3, Get(again, 1, "c"));
        Assert.Equal(3, Get(again, 2, "x"));
        Assert.Equal(1, Get(again, 1, "a"));
        HengeException error = Assert.Throws<HengeException>(() => Get(again, 1, "b"));
        Assert.Equal(ErrorCode.Corruption, error.Code);
        Assert.Contains(name, error.Message, StringComparison.Ordinal);
        Assert.Throws<HengeException>(() => Get(again, 1, "bb"));

        // It goes like any other table.
        again.DropRange(1, default, default);
        again.Compact();
        Assert.Equal(0, Get(again, 1, "b"));
        Assert.Equal(3, Get(again, 2, "x"));
    }

    private static LsmEngine Open(SimulatedFileSystem disk, InlineScheduler scheduler, bool openDamaged = true) =>
        LsmEngine.Open(
            new LsmOptions
            {
                Directory = "/engine",
                FileSystem = disk,
                Scheduler = scheduler,
                WriteAheadLog = false,
                MemoryBytes = 4 << 20,
                MemTableBytes = 1 << 20,
                BlockBytes = 256,
                OpenDamagedTables = openDamaged,
            });

    // Keyspaces end within blocks, at their ends, and over several with the versions of one key, the empty one among them.
    private static void Fill(LsmEngine engine)
    {
        foreach (((uint keyspace, string key), int version) in Expected())
        {
            for (int v = 1; v <= version; v++)
            {
                Put(engine, keyspace, key, v, (ulong)v);
            }
        }

        engine.Flush();
    }

    private static Dictionary<(uint, string), int> Expected()
    {
        var expected = new Dictionary<(uint, string), int>();
        foreach (uint keyspace in Keyspaces)
        {
            expected[(keyspace, "")] = 12;
            for (int i = 0; i < 9; i++)
            {
                expected[(keyspace, $"key{i}")] = 1 + (i % 3);
            }
        }

        return expected;
    }

    private static void Put(LsmEngine engine, uint keyspace, string key, int value, ulong version)
    {
        var batch = new WriteBatch();
        batch.Put(keyspace, System.Text.Encoding.UTF8.GetBytes(key), new Core.Version(version), new byte[40 + value]);
        engine.Apply(batch);
    }

    private static int Get(LsmEngine engine, uint keyspace, string key)
    {
        if (!engine.TryGet(keyspace, System.Text.Encoding.UTF8.GetBytes(key), ReadPoint.AsOf(Core.Version.Max), out PinnedValue value))
        {
            return 0;
        }

        using (value)
        {
            return value.Span.Length - 40;
        }
    }

    private static Dictionary<(uint, string), int> ReadAll(LsmEngine engine)
    {
        var all = new Dictionary<(uint, string), int>();
        foreach (uint keyspace in Keyspaces)
        {
            using EngineIterator entries = engine.CreateIterator(
                new IteratorOptions { Keyspace = keyspace, Point = ReadPoint.AsOf(Core.Version.Max) });
            for (entries.SeekToFirst(); entries.Valid; entries.Next())
            {
                all.Add((keyspace, System.Text.Encoding.UTF8.GetString(entries.Key)), entries.Value.Length - 40);
            }
        }

        return all;
    }

    private static string? Damage(SimulatedFileSystem disk, int block)
    {
        string path = "/engine/" + disk.List("/engine").Single(static file => file.EndsWith(".sst", StringComparison.Ordinal));
        using var cache = new BlockCache(1 << 20);
        TableReader table = TableReader.Open(disk.Open(path, FileOpenMode.Read), cache);
        string? found = null;
        if (block < table.Index.Count)
        {
            disk.FlipBit(path, (int)table.Index.Block(block).Offset + 10, 3);
            found = path;
        }

        table.Release();
        return found;
    }
}
