using System.Buffers.Binary;
using Henge.Storage.Lsm;
using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.MemTables;
using Version = Henge.Core.Version;

namespace Henge.Storage.Tests.MemTables;

public sealed unsafe class MemTableConcurrencyTests
{
    private const int Writers = 4;
    private const int EntriesEach = 15_000;

    [Theory]
    [InlineData(1, true)]
    [InlineData(2, false)]
    public void Writers_lose_nothing_and_readers_see_order_always(int seed, bool sharedRange)
    {
        MemTable table = new(1 << 20);
        int[] written = new int[Writers];
        Exception? failure = null;
        List<Thread> threads = [];
        for (int w = 0; w < Writers; w++)
        {
            int writer = w;
            threads.Add(Start(() => Write(table, writer, seed, sharedRange, ref written[writer])));
        }

        for (int r = 0; r < 2; r++)
        {
            int reader = r;
            threads.Add(Start(() => Read(table, seed + reader, written)));
        }

        foreach (Thread thread in threads)
        {
            thread.Join();
        }

        Assert.Null(failure);
        Assert.Equal(Writers * EntriesEach, table.EntryCount);
        using InternalIterator iterator = table.CreateIterator();
        int count = 0;
        for (iterator.SeekToFirst(); iterator.Valid; iterator.Next())
        {
            count++;
        }

        Assert.Equal(Writers * EntriesEach, count);
        CheckAllFound(table, sharedRange, written, seed);
        table.Release();

        Thread Start(Action action)
        {
            Thread thread = new(() =>
            {
                try
                {
                    action();
                }
                catch (Exception e)
                {
                    failure = e;
                }
            });
            thread.Start();
            return thread;
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void A_read_finds_the_newest_version_that_was_added_before_it_whatever_the_order(int seed)
    {
        // Few keys, and few slots for where their newest entries stand, so that writers meet; versions of a key come in any order.
        const int Keys = 40;
        MemTable table = new(4096);
        long[] newest = new long[Keys];
        string? failure = null;
        Thread[] threads = new Thread[Writers];
        for (int w = 0; w < Writers; w++)
        {
            int writer = w;
            threads[w] = new Thread(() => Mix(new Random((seed * 100) + writer), writer));
        }

        Array.ForEach(threads, static thread => thread.Start());
        Array.ForEach(threads, static thread => thread.Join());
        Assert.Null(failure);
        table.Release();

        void Mix(Random random, int writer)
        {
            byte[] key = new byte[8];
            byte* buffer = stackalloc byte[LookupKey.BufferBytes(8)];
            for (int i = 0; i < EntriesEach && failure is null; i++)
            {
                int k = random.Next(Keys);
                BinaryPrimitives.WriteInt64BigEndian(key, k);
                long version = ((long)random.Next(1, i + 10) * Writers) + writer;
                if (random.Next(2) == 0)
                {
                    if (random.Next(2) == 0)
                    {
                        table.Add(EntryKind.Put, 1, key, new Version((ulong)version), key);
                    }
                    else
                    {
                        AddTwice(table, key, (ulong)version);
                    }

                    for (long seen = Volatile.Read(ref newest[k]); seen < version; seen = Volatile.Read(ref newest[k]))
                    {
                        Interlocked.CompareExchange(ref newest[k], version, seen);
                    }
                }

                long floor = Volatile.Read(ref newest[k]);
                LookupKey lookup = new(buffer, 1, key, Version.Max);
                long found = 0;
                if (table.TryGet(lookup, out FoundEntry entry))
                {
                    found = (long)entry.Version.Value;
                    entry.Unpin();
                }

                if (found < floor)
                {
                    failure = $"Key {k}: version {floor} was there, {found} was found.";
                }
            }
        }
    }

    /// <summary>In a group together with an older version of the same key.</summary>
    private static void AddTwice(MemTable table, byte[] key, ulong version)
    {
        MemTableGroup group = default;
        table.Add(ref group, EntryKind.Put, 1, key, new Version(version), key, 0);
        table.Add(ref group, EntryKind.Put, 1, key, new Version(version - Writers), key, 0);
        table.AddGroup(&group);
    }

    /// <summary>
    /// Entry <paramref name="i"/> of a writer: spread over the range (a bijection), or rising; writers interleave or stay apart.
    /// </summary>
    private static ulong KeyOf(int writer, int i, int seed, bool sharedRange) =>
        sharedRange
            ? ((((uint)i * 2654435761U) ^ (uint)seed) * (ulong)Writers) + (ulong)writer
            : ((ulong)writer << 32) + (uint)i;

    private static void Write(MemTable table, int writer, int seed, bool sharedRange, ref int written)
    {
        byte[] key = new byte[8];
        MemTableGroup group = default;
        for (int i = 0; i < EntriesEach; i++)
        {
            BinaryPrimitives.WriteUInt64BigEndian(key, KeyOf(writer, i, seed, sharedRange));
            if ((writer & 1) == 0)
            {
                table.Add(EntryKind.Put, 1, key, new Version((ulong)i + 1), key);
                Volatile.Write(ref written, i + 1);
                continue;
            }

            // Every second writer brings them in by groups, beside those that come one by one.
            table.Add(ref group, EntryKind.Put, 1, key, new Version((ulong)i + 1), key, 0);
            if (group.IsFull || i % 7 == 0 || i == EntriesEach - 1)
            {
                table.AddGroup(&group);
                Volatile.Write(ref written, i + 1);
            }
        }
    }

    private static void Read(MemTable table, int seed, int[] written)
    {
        Random random = new(seed);
        byte[] last = new byte[64];
        using InternalIterator iterator = table.CreateIterator();
        do
        {
            bool forward = random.Next(2) == 0;
            int lastLength = 0;
            long atLeast = Total(written);
            long count = 0;
            if (forward)
            {
                iterator.SeekToFirst();
            }
            else
            {
                iterator.SeekToLast();
            }

            while (iterator.Valid)
            {
                int order = lastLength == 0 ? 0 : InternalKey.Compare(last.AsSpan(0, lastLength), iterator.Key);
                Assert.True(lastLength == 0 || (forward ? order < 0 : order > 0));
                Assert.True(InternalKey.GetKey(iterator.Key).SequenceEqual(iterator.Value));
                lastLength = iterator.Key.Length;
                iterator.Key.CopyTo(last);
                count++;
                if (forward)
                {
                    iterator.Next();
                }
                else
                {
                    iterator.Prev();
                }
            }

            // What was there before the walk began is passed by it.
            Assert.True(count >= atLeast, $"{count} seen, {atLeast} written before");
        }
        while (Total(written) < Writers * EntriesEach);
    }

    private static long Total(int[] written)
    {
        long sum = 0;
        for (int i = 0; i < written.Length; i++)
        {
            sum += Volatile.Read(ref written[i]);
        }

        return sum;
    }

    private static void CheckAllFound(MemTable table, bool sharedRange, int[] written, int seed)
    {
        byte[] key = new byte[8];
        byte* buffer = stackalloc byte[LookupKey.BufferBytes(8)];
        for (int writer = 0; writer < Writers; writer++)
        {
            for (int i = 0; i < written[writer]; i++)
            {
                BinaryPrimitives.WriteUInt64BigEndian(key, KeyOf(writer, i, seed, sharedRange));
                LookupKey lookup = new(buffer, 1, key, Version.Max);
                Assert.True(table.TryGet(lookup, out FoundEntry found));
                Assert.True(found.Span.SequenceEqual(key));
                found.Unpin();
            }
        }
    }

    [Fact]
    public void What_a_writer_has_added_is_found_by_any_reader_at_once()
    {
        MemTable table = new(256 << 10);
        int written = 0;
        const int Count = 30_000;
        Exception? failure = null;
        Thread reader = new(() =>
        {
            try
            {
                byte[] key = new byte[8];
                byte* buffer = stackalloc byte[LookupKey.BufferBytes(8)];
                Random random = new(3);
                for (int seen = 0; seen < Count;)
                {
                    seen = Volatile.Read(ref written);
                    if (seen > 0)
                    {
                        int i = random.Next(4) == 0 ? random.Next(seen) : seen - 1;
                        BinaryPrimitives.WriteUInt64BigEndian(key, (uint)i * 2654435761U);
                        LookupKey lookup = new(buffer, 1, key, Version.Max);
                        Assert.True(table.TryGet(lookup, out FoundEntry found), $"entry {i}");
                        Assert.Equal((ulong)i + 1, found.Version.Value);
                        found.Unpin();
                    }
                }
            }
            catch (Exception e)
            {
                failure = e;
            }
        });
        reader.Start();
        byte[] key = new byte[8];
        MemTableGroup group = default;
        for (int i = 0; i < Count; i++)
        {
            BinaryPrimitives.WriteUInt64BigEndian(key, (uint)i * 2654435761U);
            if ((i & 512) == 0 && group.Nodes.Count == 0)
            {
                table.Add(EntryKind.Put, 1, key, new Version((ulong)i + 1), key);
                Volatile.Write(ref written, i + 1);
                continue;
            }

            table.Add(ref group, EntryKind.Put, 1, key, new Version((ulong)i + 1), key, 0);
            if (group.IsFull || i % 7 == 0 || i == Count - 1)
            {
                table.AddGroup(&group);
                Volatile.Write(ref written, i + 1);
            }
        }

        reader.Join();
        Assert.Null(failure);
        table.Release();
    }

    [Fact]
    public void Threads_that_add_the_same_entries_leave_each_once()
    {
        MemTable table = new(256 << 10);
        Thread[] threads = new Thread[4];
        for (int t = 0; t < threads.Length; t++)
        {
            threads[t] = new Thread(() =>
            {
                byte[] key = new byte[8];
                for (uint i = 0; i < 5000; i++)
                {
                    BinaryPrimitives.WriteUInt64BigEndian(key, i * 2654435761U);
                    table.Add(EntryKind.Put, 1, key, new Version(1), key);
                }
            });
            threads[t].Start();
        }

        foreach (Thread thread in threads)
        {
            thread.Join();
        }

        Assert.Equal(5000, table.EntryCount);
        using InternalIterator iterator = table.CreateIterator();
        int count = 0;
        for (iterator.SeekToFirst(); iterator.Valid; iterator.Next())
        {
            count++;
        }

        Assert.Equal(5000, count);
        table.Release();
    }
}
