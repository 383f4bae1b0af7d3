using System.Text;
using Henge.Core;
using Henge.Storage;
using Henge.Testing;

namespace Henge.Storage.Tests.Conformance;

/// <summary>What every engine promises by <see cref="IStorageEngine"/>. Derived classes say how one is opened.</summary>
public abstract class EngineConformance
{
    private const uint Keyspace = 7;
    private const uint SystemKeyspace = 0x8000_0007;

    protected abstract IStorageEngine Open();

    /// <summary>What 200 iterator steps may allocate: something only where they cross tables.</summary>
    protected virtual long StepAllocationLimitBytes => 0;

    [Fact]
    public void A_missing_key_is_not_found()
    {
        using IStorageEngine engine = Open();
        Assert.Null(Get(engine, "a"));
    }

    [Fact]
    public void What_was_put_is_read_with_its_version()
    {
        using IStorageEngine engine = Open();
        Put(engine, "a", 10, "one");
        Assert.True(engine.TryGet(Keyspace, "a"u8, new ReadPoint(Core.Version.Max, 0), out PinnedValue value));
        using (value)
        {
            Assert.Equal("one", Encoding.UTF8.GetString(value.Span));
            Assert.Equal(new Core.Version(10), value.Version);
            Assert.Equal(0, value.ExpiresAtMs);
        }
    }

    [Fact]
    public void A_key_written_at_two_versions_is_read_at_the_first()
    {
        using IStorageEngine engine = Open();
        Put(engine, "a", 10, "one");
        Put(engine, "a", 20, "two");
        Assert.Null(Get(engine, "a", 9));
        Assert.Equal("one", Get(engine, "a", 10));
        Assert.Equal("one", Get(engine, "a", 19));
        Assert.Equal("two", Get(engine, "a", 20));
        Assert.Equal("two", Get(engine, "a"));
    }

    [Fact]
    public void A_deleted_key_is_gone_from_its_tombstone_on_and_there_before()
    {
        using IStorageEngine engine = Open();
        Put(engine, "a", 10, "one");
        Delete(engine, "a", 20);
        Assert.Null(Get(engine, "a"));
        Assert.Equal("one", Get(engine, "a", 19));
        Put(engine, "a", 30, "three");
        Assert.Equal("three", Get(engine, "a"));
        Assert.Null(Get(engine, "a", 25));
    }

    [Fact]
    public void Empty_keys_and_empty_values_are_keys_and_values()
    {
        using IStorageEngine engine = Open();
        Put(engine, "", 10, "of nothing");
        Put(engine, "a", 11, "");
        Assert.Equal("of nothing", Get(engine, ""));
        Assert.Equal("", Get(engine, "a"));
        Assert.Equal(["=of nothing", "a="], Scan(engine));
    }

    [Fact]
    public void A_key_that_is_the_beginning_of_another_comes_first()
    {
        using IStorageEngine engine = Open();
        Put(engine, "ab", 10, "2");
        Put(engine, "a", 11, "1");
        Put(engine, "a\u00ff", 12, "3");
        Put(engine, "b", 13, "4");
        Assert.Equal(["a=1", "ab=2", "a\u00ff=3", "b=4"], Scan(engine));
        Assert.Equal(["b=4", "a\u00ff=3", "ab=2", "a=1"], ScanBackward(engine));
    }

    [Fact]
    public void Keyspaces_do_not_see_each_other()
    {
        using IStorageEngine engine = Open();
        var batch = new WriteBatch();
        batch.Put(1, "k"u8, new Core.Version(1), "one"u8);
        batch.Put(2, "k"u8, new Core.Version(2), "two"u8);
        batch.Put(uint.MaxValue, "k"u8, new Core.Version(3), "last"u8);
        engine.Apply(batch);
        Assert.Equal("one", Get(engine, "k", keyspace: 1));
        Assert.Equal("two", Get(engine, "k", keyspace: 2));
        Assert.Equal("last", Get(engine, "k", keyspace: uint.MaxValue));
        Assert.Null(Get(engine, "k", keyspace: 3));
        Assert.Equal(["k=one"], Scan(engine, keyspace: 1));
        Assert.Equal(["k=two"], ScanBackward(engine, keyspace: 2));
        Assert.Equal(["k=last"], Scan(engine, keyspace: uint.MaxValue));
        Assert.Equal(["k=last"], ScanBackward(engine, keyspace: uint.MaxValue));
    }

    [Fact]
    public void An_expired_value_is_invisible_from_its_moment_on_and_hides_older_ones()
    {
        using IStorageEngine engine = Open();
        Put(engine, "a", 10, "old");
        Put(engine, "a", 20, "brief", expiresAtMs: 5000);
        Assert.Equal("brief", Get(engine, "a", nowMs: 4999));
        Assert.Null(Get(engine, "a", nowMs: 5000));
        Assert.Equal("old", Get(engine, "a", 15, nowMs: 9000));
        Assert.Equal(["a=brief"], Scan(engine, nowMs: 4999));
        Assert.Empty(Scan(engine, nowMs: 5000));
        Assert.Empty(ScanBackward(engine, nowMs: 5000));
    }

    [Fact]
    public void All_versions_come_newest_first_with_tombstones_and_expired_ones()
    {
        using IStorageEngine engine = Open();
        Put(engine, "a", 10, "one");
        Delete(engine, "a", 20);
        Put(engine, "a", 30, "three", expiresAtMs: 1);
        Put(engine, "b", 40, "four");
        string[] expected = ["a@30 PutExpiring three 1", "a@20 Delete  0", "a@10 Put one 0", "b@40 Put four 0"];
        Assert.Equal(expected, History(engine, default));
        Assert.Equal(expected.Reverse(), History(engine, default, backward: true));
        Assert.Equal(["a@30 PutExpiring three 1", "a@20 Delete  0", "b@40 Put four 0"], History(engine, new Core.Version(20)));
        Assert.Equal(["a@20 Delete  0"], History(engine, new Core.Version(11), at: new Core.Version(29)));
    }

    [Fact]
    public void Bounds_are_kept_both_ways()
    {
        using IStorageEngine engine = Open();
        foreach (string key in (string[])["a", "b", "c", "d", "e"])
        {
            Put(engine, key, (ulong)key[0], key);
        }

        using EngineIterator iterator = engine.CreateIterator(Options(lower: "b", upper: "d"));
        iterator.SeekToFirst();
        Assert.Equal("b", KeyOf(iterator));
        iterator.Prev();
        Assert.False(iterator.Valid);
        iterator.SeekToLast();
        Assert.Equal("c", KeyOf(iterator));
        iterator.Next();
        Assert.False(iterator.Valid);
        iterator.Seek("a"u8);
        Assert.Equal("b", KeyOf(iterator));
        iterator.Seek("d"u8);
        Assert.False(iterator.Valid);
        iterator.SeekForPrev("z"u8);
        Assert.Equal("c", KeyOf(iterator));
        iterator.SeekForPrev("a"u8);
        Assert.False(iterator.Valid);
    }

    [Fact]
    public void An_iterator_turns_around_anywhere()
    {
        using IStorageEngine engine = Open();
        for (int i = 0; i < 20; i++)
        {
            Put(engine, $"k{i:00}", (ulong)i * 2 + 1, "old");
            Put(engine, $"k{i:00}", (ulong)i * 2 + 2, "new");
        }

        using EngineIterator iterator = engine.CreateIterator(Options());
        for (int i = 1; i < 19; i++)
        {
            iterator.Seek(Encoding.UTF8.GetBytes($"k{i:00}"));
            iterator.Next();
            Assert.Equal($"k{i + 1:00}", KeyOf(iterator));
            iterator.Prev();
            Assert.Equal($"k{i:00}", KeyOf(iterator));
            Assert.Equal("new", Encoding.UTF8.GetString(iterator.Value));
            iterator.Prev();
            Assert.Equal($"k{i - 1:00}", KeyOf(iterator));
            iterator.Next();
            Assert.Equal($"k{i:00}", KeyOf(iterator));
        }
    }

    [Fact]
    public void An_iterator_sees_what_was_there_when_it_was_made()
    {
        using IStorageEngine engine = Open();
        Put(engine, "a", 10, "one");
        Put(engine, "c", 11, "three");
        using EngineIterator iterator = engine.CreateIterator(Options());
        Put(engine, "a", 12, "later");
        Put(engine, "b", 13, "later");
        Delete(engine, "c", 14);
        iterator.SeekToFirst();
        Assert.Equal("a", KeyOf(iterator));
        Assert.Equal("one", Encoding.UTF8.GetString(iterator.Value));
        iterator.Next();
        Assert.Equal("c", KeyOf(iterator));
        iterator.Next();
        Assert.False(iterator.Valid);
    }

    [Fact]
    public void A_snapshot_does_not_change()
    {
        using IStorageEngine engine = Open();
        Put(engine, "a", 10, "one");
        PutSystem(engine, "s", 1, "first");
        using IEngineSnapshot snapshot = engine.CreateSnapshot();
        Put(engine, "a", 20, "two");
        Put(engine, "b", 21, "new");
        PutSystem(engine, "s", 2, "second");
        engine.SetHistoryFloor(new Core.Version(1000));
        engine.Flush();
        Assert.True(snapshot.TryGet(Keyspace, "a"u8, new ReadPoint(Core.Version.Max, 0), out PinnedValue value));
        using (value)
        {
            Assert.Equal("one", Encoding.UTF8.GetString(value.Span));
        }

        Assert.True(snapshot.TryGet(SystemKeyspace, "s"u8, new ReadPoint(Core.Version.Max, 0), out value));
        using (value)
        {
            Assert.Equal("first", Encoding.UTF8.GetString(value.Span));
        }

        Assert.False(snapshot.TryGet(Keyspace, "b"u8, new ReadPoint(Core.Version.Max, 0), out _));
        using EngineIterator iterator = snapshot.CreateIterator(Options());
        Assert.Equal(["a=one"], Collect(iterator));
    }

    [Fact]
    public void Positions_are_those_of_the_last_batch()
    {
        using IStorageEngine engine = Open();
        Assert.Equal(0UL, engine.GetPosition(5));
        var batch = new WriteBatch();
        batch.Put(Keyspace, "a"u8, new Core.Version(1), "x"u8);
        batch.SetPosition(5, 42);
        batch.SetPosition(6, 7);
        engine.Apply(batch);
        Assert.Equal(42UL, engine.GetPosition(5));
        Assert.Equal(7UL, engine.GetPosition(6));
        Assert.True(engine.GetDurablePosition(5) <= 42);
    }

    [Fact]
    public void A_dropped_range_is_gone_at_all_versions_and_can_be_written_again()
    {
        using IStorageEngine engine = Open();
        foreach (string key in (string[])["a", "b", "c", "d"])
        {
            Put(engine, key, (ulong)key[0], key);
        }

        engine.DropRange(Keyspace, "b"u8, "d"u8);
        Assert.Equal(["a=a", "d=d"], Scan(engine));
        Assert.Equal(["d=d", "a=a"], ScanBackward(engine));
        Assert.Null(Get(engine, "b", 'b'));
        Assert.Equal(2, History(engine, default).Count);

        // At a lower version than before: what was dropped does not come between.
        Put(engine, "b", 3, "again");
        Assert.Equal("again", Get(engine, "b"));
        engine.Flush();
        Assert.Equal(["a=a", "b=again", "d=d"], Scan(engine));
    }

    [Fact]
    public void Dropping_a_keyspace_leaves_its_neighbours()
    {
        using IStorageEngine engine = Open();
        Put(engine, "x", 1, "before", keyspace: Keyspace - 1);
        Put(engine, "x", 1, "in");
        Put(engine, "x", 1, "after", keyspace: Keyspace + 1);
        engine.DropRange(Keyspace, default, default);
        Assert.Empty(Scan(engine));
        Assert.Equal(["x=before"], Scan(engine, keyspace: Keyspace - 1));
        Assert.Equal(["x=after"], Scan(engine, keyspace: Keyspace + 1));
    }

    [Fact]
    public void History_at_and_above_the_floor_stays()
    {
        using IStorageEngine engine = Open();
        for (ulong version = 10; version <= 100; version += 10)
        {
            Put(engine, "a", version, $"v{version}");
        }

        engine.SetHistoryFloor(new Core.Version(55));
        engine.Flush();
        Assert.Equal("v50", Get(engine, "a", 55));
        Assert.Equal("v60", Get(engine, "a", 60));
        Assert.Equal("v100", Get(engine, "a"));
    }

    [Fact]
    public void A_malformed_batch_is_refused_whole()
    {
        using IStorageEngine engine = Open();
        var good = new WriteBatch();
        good.Put(Keyspace, "a"u8, new Core.Version(1), "x"u8);
        var batch = new WriteBatch();
        batch.Load(good.Encoded[..^1], 1);
        HengeException error = Assert.Throws<HengeException>(() => engine.Apply(batch));
        Assert.Equal(ErrorCode.InvalidArgument, error.Code);
        Assert.Null(Get(engine, "a"));
    }

    [Fact]
    public void Ten_thousand_keys_are_all_there_in_order_and_none_twice()
    {
        using IStorageEngine engine = Open();
        var batch = new WriteBatch();
        for (int i = 0; i < 10_000; i++)
        {
            batch.Clear();
            int key = (int)(i * 7919L % 10_007);
            batch.Put(
                Keyspace,
                Encoding.UTF8.GetBytes($"key{key:00000}"),
                new Core.Version((ulong)i + 1),
                Encoding.UTF8.GetBytes($"value{key}"));
            engine.Apply(batch, sync: false);
        }

        engine.Flush();
        using EngineIterator iterator = engine.CreateIterator(Options());
        string? previous = null;
        int count = 0;
        for (iterator.SeekToFirst(); iterator.Valid; iterator.Next(), count++)
        {
            string key = KeyOf(iterator);
            Assert.True(previous is null || string.CompareOrdinal(previous, key) < 0);
            previous = key;
        }

        Assert.Equal(10_000, count);
    }

    [Fact]
    public void Reads_and_iterator_steps_allocate_nothing()
    {
        using IStorageEngine engine = Open();
        for (int i = 0; i < 500; i++)
        {
            Put(engine, $"key{i:000}", (ulong)i + 1, "value");
        }

        if (engine.Name != "memory")
        {
            engine.Flush();
        }

        using EngineIterator iterator = engine.CreateIterator(Options());
        byte[] key = "key123"u8.ToArray();
        void Work()
        {
            for (int i = 0; i < 100; i++)
            {
                Assert.True(engine.TryGet(Keyspace, key, new ReadPoint(Core.Version.Max, 0), out PinnedValue value));
                value.Dispose();
            }

            iterator.Seek(key);
            for (int i = 0; i < 100; i++)
            {
                iterator.Next();
            }

            for (int i = 0; i < 100; i++)
            {
                iterator.Prev();
            }
        }

        Assert.InRange(Allocations.Fewest(Work), 0, StepAllocationLimitBytes);
    }

    protected static void Put(
        IStorageEngine engine,
        string key,
        ulong version,
        string value,
        long expiresAtMs = 0,
        uint keyspace = Keyspace)
    {
        var batch = new WriteBatch();
        batch.Put(keyspace, Encoding.UTF8.GetBytes(key), new Core.Version(version), Encoding.UTF8.GetBytes(value), expiresAtMs);
        engine.Apply(batch);
    }

    protected static void PutSystem(IStorageEngine engine, string key, ulong version, string value) =>
        Put(engine, key, version, value, keyspace: SystemKeyspace);

    protected static void Delete(IStorageEngine engine, string key, ulong version)
    {
        var batch = new WriteBatch();
        batch.Delete(Keyspace, Encoding.UTF8.GetBytes(key), new Core.Version(version));
        engine.Apply(batch);
    }

    protected static string? Get(
        IStorageEngine engine,
        string key,
        ulong at = Core.Version.MaxValue,
        long nowMs = 0,
        uint keyspace = Keyspace)
    {
        if (!engine.TryGet(keyspace, Encoding.UTF8.GetBytes(key), new ReadPoint(new Core.Version(at), nowMs), out PinnedValue value))
        {
            return null;
        }

        using (value)
        {
            return Encoding.UTF8.GetString(value.Span);
        }
    }

    protected static IteratorOptions Options(string lower = "", string upper = "", long nowMs = 0, uint keyspace = Keyspace) => new()
    {
        Keyspace = keyspace,
        Point = new ReadPoint(Core.Version.Max, nowMs),
        Lower = Encoding.UTF8.GetBytes(lower),
        Upper = Encoding.UTF8.GetBytes(upper),
        FillCache = true,
    };

    protected static string KeyOf(EngineIterator iterator) => Encoding.UTF8.GetString(iterator.Key);

    protected static List<string> Scan(IStorageEngine engine, long nowMs = 0, uint keyspace = Keyspace)
    {
        using EngineIterator iterator = engine.CreateIterator(Options(nowMs: nowMs, keyspace: keyspace));
        return Collect(iterator);
    }

    protected static List<string> ScanBackward(IStorageEngine engine, long nowMs = 0, uint keyspace = Keyspace)
    {
        using EngineIterator iterator = engine.CreateIterator(Options(nowMs: nowMs, keyspace: keyspace));
        var found = new List<string>();
        for (iterator.SeekToLast(); iterator.Valid; iterator.Prev())
        {
            found.Add($"{KeyOf(iterator)}={Encoding.UTF8.GetString(iterator.Value)}");
        }

        return found;
    }

    private static List<string> Collect(EngineIterator iterator)
    {
        var found = new List<string>();
        for (iterator.SeekToFirst(); iterator.Valid; iterator.Next())
        {
            found.Add($"{KeyOf(iterator)}={Encoding.UTF8.GetString(iterator.Value)}");
        }

        return found;
    }

    private static List<string> History(IStorageEngine engine, Core.Version from, Core.Version? at = null, bool backward = false)
    {
        using EngineIterator iterator = engine.CreateIterator(new IteratorOptions
        {
            Keyspace = Keyspace,
            Point = new ReadPoint(at ?? Core.Version.Max, 0),
            AllVersions = true,
            From = from,
        });
        var found = new List<string>();
        for (iterator.ToFirst(backward); iterator.Valid; iterator.Step(backward))
        {
            found.Add(
                $"{KeyOf(iterator)}@{iterator.Version} {iterator.Kind} {Encoding.UTF8.GetString(iterator.Value)} {iterator.ExpiresAtMs}");
        }

        return found;
    }
}
