using Henge.Storage.Lsm;
using Henge.Storage.Lsm.Cache;
using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.MemTables;
using Henge.Storage.Lsm.Tables;
using Henge.Testing;
using Henge.Testing.Files;
using Version = Henge.Core.Version;

namespace Henge.Storage.Tests.Tables;

/// <summary>Alone, because the count of off-heap bytes is one for the process.</summary>
[CollectionDefinition(nameof(MemoryUse), DisableParallelization = true)]
public sealed class MemoryUse;

[Collection(nameof(MemoryUse))]
public sealed unsafe class MemoryUseTests
{
    [Fact]
    public void All_off_heap_memory_comes_back()
    {
        long before = OffHeap.LiveBytes;
        Random random = new(11);
        byte* buffer = stackalloc byte[LookupKey.BufferBytes(1000)];
        for (int round = 0; round < 10; round++)
        {
            SortedDictionary<byte[], byte[]> model = Entries.RandomModel(random, 600, 500);
            BlockCache cache = new(random.Next(3) * 30_000);
            TableReader table = TableReader.Open(TableTests.Write(model, TableTests.RandomOptions(random), out _), cache);
            MemTable memTable = new(10_000);
            foreach ((byte[] key, byte[] value) in model)
            {
                memTable.Add(EntryKind.Put, 1, key, new Version(1), value);
            }

            InternalIterator inTable = table.CreateIterator(new TableReadOptions { FillCache = random.Next(2) == 0 });
            InternalIterator inMemory = memTable.CreateIterator();
            Entries.CheckWalks(inTable, model, random);
            inMemory.SeekToLast();
            inMemory.Prev();
            byte[] some = model.First(static e => InternalKey.GetKind(e.Key) != EntryKind.Delete).Key;
            LookupKey lookup = new(buffer, InternalKey.GetKeyspace(some), InternalKey.GetKey(some), InternalKey.GetVersion(some));
            bool found = table.TryGet(lookup, out FoundEntry entry);
            Assert.True(found);
            inTable.Dispose();
            inTable.Dispose();
            table.Release();
            memTable.Release();
            inMemory.Dispose();
            cache.Dispose();
            entry.Unpin();
        }

        Assert.Equal(before, OffHeap.LiveBytes);
    }

    [Fact]
    public void A_table_that_cannot_be_opened_or_read_leaves_no_memory_behind()
    {
        long before = OffHeap.LiveBytes;
        byte[] good = TableTests.Write(Entries.RandomModel(new Random(2), 100), new TableOptions { BlockBytes = 300 }, out _).Bytes;
        for (int at = 0; at < good.Length; at += 7)
        {
            byte[] bad = [.. good];
            bad[at] ^= 0x10;
            BlockCache cache = new(100_000);
            try
            {
                TableReader table = TableReader.Open(new MemoryFile(bad), cache);
                try
                {
                    table.Verify();
                }
                finally
                {
                    table.Release();
                }
            }
            catch (Core.HengeException)
            {
                cache.Dispose();
                continue;
            }

            Assert.Fail($"byte {at} was changed and nobody noticed");
        }

        Assert.Equal(before, OffHeap.LiveBytes);
    }

    [Fact]
    public void Gets_and_steps_allocate_nothing_on_the_managed_heap()
    {
        SortedDictionary<byte[], byte[]> model = Entries.RandomModel(new Random(3), 2000);
        using BlockCache cache = new(4 << 20);
        TableReader table = TableReader.Open(TableTests.Write(model, TableOptions.Default, out _), cache);
        MemTable memTable = new(1 << 20);
        byte[][] keys = [.. model.Keys];
        foreach (byte[] key in keys)
        {
            memTable.Add(InternalKey.GetKind(key), InternalKey.GetKeyspace(key), InternalKey.GetKey(key), InternalKey.GetVersion(key), key);
        }

        InternalIterator inTable = table.CreateIterator(new TableReadOptions { FillCache = true });
        InternalIterator cold = table.CreateIterator(new TableReadOptions { Sequential = true });
        InternalIterator inMemory = memTable.CreateIterator();
        long found = Use();
        long foundAgain = 0;
        long allocated = Allocations.Fewest(() => foundAgain = Use());
        Assert.Equal(found, foundAgain);
        inTable.Dispose();
        cold.Dispose();
        inMemory.Dispose();
        table.Release();
        memTable.Release();
        Assert.Equal(0, allocated);

        long Use()
        {
            long count = 0;
            byte* buffer = stackalloc byte[LookupKey.BufferBytes(Entries.MaxKeyBytes)];
            foreach (byte[] key in keys)
            {
                LookupKey lookup = new(buffer, InternalKey.GetKeyspace(key), InternalKey.GetKey(key), InternalKey.GetVersion(key));
                if (table.TryGet(lookup, out FoundEntry entry))
                {
                    count += entry.ValueLength;
                    entry.Unpin();
                }

                if (memTable.TryGet(lookup, out entry))
                {
                    count += entry.ValueLength;
                    entry.Unpin();
                }
            }

            count += Walk(inTable, keys) + Walk(inMemory, keys) + Walk(cold, keys);
            return count;
        }
    }

    private static long Walk(InternalIterator iterator, byte[][] keys)
    {
        long count = 0;
        for (iterator.SeekToFirst(); iterator.Valid; iterator.Next())
        {
            count += iterator.Key.Length + iterator.Value.Length;
        }

        for (iterator.SeekToLast(); iterator.Valid; iterator.Prev())
        {
            count += iterator.Key.Length;
        }

        foreach (byte[] key in keys)
        {
            iterator.Seek(key);
            iterator.SeekForPrev(key);
        }

        return count;
    }
}
