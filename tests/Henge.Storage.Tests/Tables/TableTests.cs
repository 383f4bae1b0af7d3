using Henge.Core;
using Henge.Storage.Lsm;
using Henge.Storage.Lsm.Cache;
using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.Tables;
using Henge.Testing.Files;
using Version = Henge.Core.Version;

namespace Henge.Storage.Tests.Tables;

public sealed unsafe class TableTests
{
    public static TheoryData<int> Seeds
    {
        get
        {
            TheoryData<int> seeds = [];
            int count = int.TryParse(Environment.GetEnvironmentVariable("HENGE_TEST_SEEDS"), out int wanted) ? wanted : 24;
            for (int seed = 1; seed <= count; seed++)
            {
                seeds.Add(seed);
            }

            return seeds;
        }
    }

    internal static MemoryFile Write(SortedDictionary<byte[], byte[]> model, TableOptions options, out TableProperties properties)
    {
        MemoryFile file = new();
        using TableWriter writer = new(file, options);
        foreach ((byte[] key, byte[] value) in model)
        {
            writer.Add(key, value);
        }

        long estimate = writer.EstimatedBytes;
        properties = writer.Finish();
        Assert.InRange(properties.FileBytes, estimate / 2, estimate + 1000);
        Assert.Equal(file.Length, properties.FileBytes);

        // At its end, and a few times on the way when it is large, so that the disk never has much to do before a log's sync.
        Assert.InRange(file.Syncs, 1, 1 + (file.Length >> 20));
        return file;
    }

    internal static TableOptions RandomOptions(Random random) => new()
    {
        BlockBytes = random.Next(4) switch { 0 => 1, 1 => random.Next(1, 300), _ => 4096 },
        RestartInterval = random.Next(3) switch { 0 => 1, 1 => random.Next(1, 9), _ => 16 },
        BloomBitsPerKey = random.Next(4) * 5,
        Codec = (BlockCodec)random.Next(2),
        WriteBufferBytes = random.Next(2) == 0 ? 4096 : 1 << 20,
    };

    private static BlockCache RandomCache(Random random) => new(random.Next(3) switch { 0 => 0, 1 => 5000, _ => 1 << 20 });

    [Theory]
    [MemberData(nameof(Seeds))]
    public void A_table_agrees_with_a_sorted_dictionary_whatever_its_options(int seed)
    {
        Random random = new(seed);
        SortedDictionary<byte[], byte[]> model = Entries.RandomModel(random, random.Next(1, 1500), random.Next(5) == 0 ? 9000 : 40);
        MemoryFile file = Write(model, RandomOptions(random), out TableProperties written);
        using BlockCache cache = RandomCache(random);
        TableReader table = TableReader.Open(file, cache);
        byte[][] keys = [.. model.Keys];
        Assert.Equal(
            written with
            {
                SmallestKey = table.Properties.SmallestKey,
                LargestKey = table.Properties.LargestKey,
            },
            table.Properties);
        Assert.Equal(keys[0], table.Properties.SmallestKey);
        Assert.Equal(keys[^1], table.Properties.LargestKey);
        Assert.Equal(keys.Length, table.Properties.EntryCount);
        Assert.Equal(keys.Count(k => InternalKey.GetKind(k) == EntryKind.Delete), table.Properties.TombstoneCount);
        Assert.Equal(keys.Count(k => InternalKey.GetKind(k) == EntryKind.PutExpiring), table.Properties.ExpiringCount);
        Assert.Equal(keys.Skip(1).Where((k, i) => InternalKey.SamePrefix(k, keys[i])).Count(), table.Properties.GarbageCount);
        Assert.Equal(keys.Min(k => InternalKey.GetVersion(k).Value), table.Properties.MinVersion.Value);
        Assert.Equal(keys.Max(k => InternalKey.GetVersion(k).Value), table.Properties.MaxVersion.Value);
        table.Verify();
        for (int round = 0; round < 3; round++)
        {
            TableReadOptions options = new()
            {
                FillCache = random.Next(2) == 0,
                Sequential = random.Next(2) == 0,
                ReadaheadBytes = random.Next(3) * 3000,
            };
            using InternalIterator iterator = table.CreateIterator(options);
            Entries.CheckWalks(iterator, model, random);
        }

        byte* buffer = stackalloc byte[LookupKey.BufferBytes(Entries.MaxKeyBytes)];
        for (int i = 0; i < 2000; i++)
        {
            byte[] near = keys[random.Next(keys.Length)];
            byte[] key = random.Next(2) == 0 ? Entries.RandomKey(random) : InternalKey.GetKey(near).ToArray();
            uint keyspace = (uint)random.Next(3);
            Version at = random.Next(3) switch { 0 => InternalKey.GetVersion(near), 1 => Version.Max, _ => new((ulong)random.Next(42)) };
            LookupKey lookup = new(buffer, keyspace, key, at);
            Entries.CheckFound(table.TryGet(lookup, out FoundEntry found), found, model, keys, keyspace, key, at);
        }

        StringWriter dump = new();
        table.Dump(dump);
        Assert.Contains(InternalKey.Describe(keys[^1]), dump.ToString());
        table.Release();
        Assert.True(file.Disposed);
        Assert.Equal(0, cache.UsedBytes);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void Every_flipped_byte_is_noticed(int codec)
    {
        Random random = new(5);
        SortedDictionary<byte[], byte[]> model = Entries.RandomModel(random, 30);
        byte[] good = Write(model, new TableOptions { BlockBytes = 200, Codec = (BlockCodec)codec }, out _).Bytes;
        using BlockCache cache = new(1 << 20);
        int noticed = 0;
        for (int at = 0; at < good.Length; at++)
        {
            byte[] bad = [.. good];
            bad[at] ^= (byte)(1 << random.Next(8));
            noticed += IsNoticed(bad, cache, model, random) ? 1 : 0;
        }

        Assert.Equal(good.Length, noticed);
    }

    [Fact]
    public void A_table_cut_anywhere_is_refused()
    {
        SortedDictionary<byte[], byte[]> model = Entries.RandomModel(new Random(6), 30);
        byte[] good = Write(model, new TableOptions { BlockBytes = 100 }, out _).Bytes;
        using BlockCache cache = new(1 << 20);
        for (int length = 0; length < good.Length; length++)
        {
            HengeException error = Assert.Throws<HengeException>(() => TableReader.Open(new MemoryFile(good[..length]), cache));
            Assert.Equal(ErrorCode.Corruption, error.Code);
        }
    }

    [Theory]
    [MemberData(nameof(Seeds))]
    public void A_table_of_random_damage_never_gives_wrong_data(int seed)
    {
        Random random = new(seed);
        SortedDictionary<byte[], byte[]> model = Entries.RandomModel(random, 200);
        byte[] good = Write(model, RandomOptions(random), out _).Bytes;
        using BlockCache cache = new(1 << 20);
        for (int round = 0; round < 30; round++)
        {
            byte[] bad = [.. good];
            for (int i = random.Next(1, 6); i > 0; i--)
            {
                int from = random.Next(bad.Length), length = Math.Min(random.Next(1, 40), bad.Length - from);
                int other = random.Next(bad.Length - length + 1);
                if (random.Next(2) == 0)
                {
                    random.NextBytes(bad.AsSpan(from, length));
                }
                else
                {
                    good.AsSpan(other, length).CopyTo(bad.AsSpan(from));
                }
            }

            bool same = bad.AsSpan().SequenceEqual(good);
            Assert.NotEqual(same, IsNoticed(bad, cache, model, random));
        }
    }

    /// <summary>True when damage was reported; data that is read before that (or without that) must be right.</summary>
    private static bool IsNoticed(byte[] bytes, BlockCache cache, SortedDictionary<byte[], byte[]> model, Random random)
    {
        TableReader table;
        MemoryFile file = new(bytes);
        try
        {
            table = TableReader.Open(file, cache);
        }
        catch (HengeException e) when (e.Code == ErrorCode.Corruption)
        {
            Assert.Contains(file.Path, e.Message);
            Assert.Contains("offset", e.Message);
            Assert.True(file.Disposed);
            return true;
        }

        bool noticed = false;
        try
        {
            using InternalIterator iterator = table.CreateIterator(
                new TableReadOptions { FillCache = random.Next(2) == 0, Sequential = random.Next(2) == 0 });
            try
            {
                Entries.CheckWalks(iterator, model, random, seeks: 3);
            }
            catch (HengeException e) when (e.Code == ErrorCode.Corruption)
            {
                noticed = true;
                Assert.False(iterator.Valid);
            }

            byte[][] keys = [.. model.Keys];
            byte* buffer = stackalloc byte[LookupKey.BufferBytes(Entries.MaxKeyBytes)];
            foreach (byte[] key in keys)
            {
                Version at = InternalKey.GetVersion(key);
                LookupKey lookup = new(buffer, InternalKey.GetKeyspace(key), InternalKey.GetKey(key), at);
                bool found;
                FoundEntry entry;
                try
                {
                    found = table.TryGet(lookup, out entry);
                }
                catch (HengeException e) when (e.Code == ErrorCode.Corruption)
                {
                    noticed = true;
                    continue;
                }

                Entries.CheckFound(found, entry, model, keys, InternalKey.GetKeyspace(key), InternalKey.GetKey(key), at);
            }

            HengeException? damage = null;
            try
            {
                table.Verify();
            }
            catch (HengeException e) when (e.Code == ErrorCode.Corruption)
            {
                damage = e;
            }

            Assert.Equal(noticed, damage is not null);
            return noticed;
        }
        finally
        {
            table.Release();
        }
    }

    [Fact]
    public void An_unknown_format_version_is_refused_with_the_way_out()
    {
        byte[] bytes = Write(Entries.RandomModel(new Random(1), 10), TableOptions.Default, out _).Bytes;
        bytes[8] = 9;
        System.Buffers.Binary.BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(12), Crc32C.Compute(bytes.AsSpan(0, 12)));
        using BlockCache cache = new(0);
        HengeException error = Assert.Throws<HengeException>(() => TableReader.Open(new MemoryFile(bytes), cache));
        Assert.Equal(ErrorCode.UnsupportedFormat, error.Code);
        Assert.Contains("version 9", error.Message);
    }

    [Fact]
    public void Blocks_without_newer_versions_are_not_read()
    {
        SortedDictionary<byte[], byte[]> model = new(Entries.Order);
        for (int i = 0; i < 1000; i++)
        {
            model[MemTables.MemTableTests.Key(1, [(byte)(i >> 8), (byte)i], i is >= 500 and < 510 ? 1000UL : (ulong)i / 2)] = new byte[100];
        }

        MemoryFile file = Write(model, TableOptions.Default, out _);
        using BlockCache cache = new(0);
        TableReader table = TableReader.Open(file, cache);
        int before = file.Reads;
        using (InternalIterator iterator = table.CreateIterator(new TableReadOptions { From = new Version(600) }))
        {
            foreach (bool forward in new[] { true, false })
            {
                int newer = 0;
                for (Move(iterator, forward, first: true); iterator.Valid; Move(iterator, forward, first: false))
                {
                    newer += InternalKey.GetVersion(iterator.Key).Value == 1000 ? 1 : 0;
                }

                Assert.Equal(10, newer);
            }

            iterator.Seek(MemTables.MemTableTests.Key(1, [0, 0], 5));
            Assert.True(iterator.Valid);
            iterator.SeekForPrev(MemTables.MemTableTests.Key(1, [0, 0], 5));
            Assert.False(iterator.Valid);
        }

        Assert.InRange(file.Reads - before, 2, 6);
        table.Release();

        static void Move(InternalIterator iterator, bool forward, bool first)
        {
            switch (forward, first)
            {
                case (true, true): iterator.SeekToFirst(); break;
                case (true, false): iterator.Next(); break;
                case (false, true): iterator.SeekToLast(); break;
                case (false, false): iterator.Prev(); break;
            }
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_pinned_value_outlives_iterator_and_table(bool fillCache)
    {
        SortedDictionary<byte[], byte[]> model = Entries.RandomModel(new Random(8), 500);
        BlockCache cache = new(1 << 20);
        TableReader table = TableReader.Open(Write(model, TableOptions.Default, out _), cache);
        InternalIterator iterator = table.CreateIterator(new TableReadOptions { FillCache = fillCache, Sequential = true });
        iterator.SeekToFirst();
        IPinOwner owner = iterator.Pin(out nint token);
        ReadOnlySpan<byte> value = iterator.Value;
        byte[] copy = value.ToArray();
        iterator.Next();
        Assert.True(iterator.Key.SequenceEqual(model.Keys.ElementAt(1)));
        iterator.Dispose();
        table.Release();
        Assert.True(value.SequenceEqual(copy));
        owner.Unpin(token);
        Assert.Equal(0, cache.UsedBytes);
        cache.Dispose();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3000)]
    [InlineData(1 << 20)]
    public void Threads_read_one_table_through_a_cache_that_evicts_all_the_time(int cacheBytes)
    {
        SortedDictionary<byte[], byte[]> model = Entries.RandomModel(new Random(12), 800);
        byte[][] keys = [.. model.Keys];
        BlockCache cache = new(cacheBytes, 300);
        TableReader table = TableReader.Open(Write(model, new TableOptions { BlockBytes = 300 }, out _), cache);
        Exception? failure = null;
        Thread[] threads = new Thread[4];
        for (int t = 0; t < threads.Length; t++)
        {
            int seed = t;
            threads[t] = new Thread(() =>
            {
                try
                {
                    Random random = new(seed);
                    byte* buffer = stackalloc byte[LookupKey.BufferBytes(Entries.MaxKeyBytes)];
                    using InternalIterator iterator = table.CreateIterator(new TableReadOptions { FillCache = seed % 2 == 0 });
                    Entries.CheckWalks(iterator, model, random, seeks: 100);
                    for (int i = 0; i < 4000; i++)
                    {
                        byte[] key = keys[random.Next(keys.Length)];
                        Version at = InternalKey.GetVersion(key);
                        LookupKey lookup = new(buffer, InternalKey.GetKeyspace(key), InternalKey.GetKey(key), at);
                        Entries.CheckFound(
                            table.TryGet(lookup, out FoundEntry found),
                            found,
                            model,
                            keys,
                            InternalKey.GetKeyspace(key),
                            InternalKey.GetKey(key),
                            at);
                    }
                }
                catch (Exception e)
                {
                    failure = e;
                }
            });
            threads[t].Start();
        }

        foreach (Thread thread in threads)
        {
            thread.Join();
        }

        Assert.Null(failure);
        table.Release();
        Assert.Equal(0, cache.UsedBytes);
        cache.Dispose();
    }
}
