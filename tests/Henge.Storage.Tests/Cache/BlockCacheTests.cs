using Henge.Storage.Lsm;
using Henge.Storage.Lsm.Cache;

namespace Henge.Storage.Tests.Cache;

public sealed unsafe class BlockCacheTests
{
    [Theory]
    [InlineData(0, 1000)]
    [InlineData(1, 1000)]
    [InlineData(10_000, 1000)]
    [InlineData(1_000_000, 100)]
    [InlineData(8_000_000, 4096)]
    [InlineData(8_000_000, 300_000)]
    public void The_cache_stays_within_its_capacity_and_gives_back_what_was_put_in(long capacity, int blockBytes)
    {
        Random random = new(1);
        using BlockCache cache = new(capacity);
        ulong file = cache.NewKeyRange();
        for (int i = 0; i < 20_000; i++)
        {
            ulong offset = (ulong)random.Next(3000);
            if (!cache.TryPin(file + offset, out PinnedBlock block))
            {
                int length = random.Next(1, blockBytes * 2);
                block = cache.Insert(file + offset, Fill(length, offset), length);
            }

            Check(block, offset);
            block.Unpin();
            Assert.InRange(cache.UsedBytes, 0, capacity);
            if (random.Next(50) == 0)
            {
                cache.Drop(file + (ulong)random.Next(3000));
            }
        }

        Assert.Equal(20_000, cache.Hits + cache.Misses);
    }

    [Fact]
    public void Blocks_of_one_table_are_not_those_of_another()
    {
        using BlockCache cache = new(1 << 20);
        ulong a = cache.NewKeyRange(), b = cache.NewKeyRange();
        Assert.NotEqual(a, b);
        cache.Insert(a + 7, Fill(100, 1), 100).Unpin();
        Assert.False(cache.TryPin(b + 7, out _));
        Assert.True(cache.TryPin(a + 7, out PinnedBlock block));
        block.Unpin();
    }

    [Fact]
    public void A_pinned_block_outlives_its_place_in_the_cache()
    {
        BlockCache cache = new(1 << 20);
        PinnedBlock block = cache.Insert(5, Fill(5000, 5), 5000);
        cache.Drop(5);
        Assert.False(cache.TryPin(5, out _));
        Check(block, 5);
        Assert.NotEqual(0, cache.UsedBytes);
        block.Unpin();
        Assert.Equal(0, cache.UsedBytes);

        block = cache.Insert(6, Fill(5000, 6), 5000);
        cache.Dispose();
        Check(block, 6);
        block.Unpin();
    }

    [Fact]
    public void When_all_is_pinned_new_blocks_are_served_without_being_kept()
    {
        using BlockCache cache = new(10_000);
        List<PinnedBlock> pinned = [];
        for (ulong i = 0; i < 20; i++)
        {
            pinned.Add(cache.Insert(i, Fill(1000, i), 1000));
        }

        Assert.InRange(cache.UsedBytes, 5000, 10_000);
        for (int i = 0; i < pinned.Count; i++)
        {
            Check(pinned[i], (ulong)i);
            pinned[i].Unpin();
        }

        Assert.InRange(cache.UsedBytes, 5000, 10_000);
    }

    [Fact]
    public void A_block_bigger_than_a_shard_is_served_without_being_kept()
    {
        using BlockCache cache = new(4 << 20);
        PinnedBlock block = cache.Insert(1, Fill(8 << 20, 1), 8 << 20);
        Check(block, 1);
        Assert.Equal(0, cache.UsedBytes);
        block.Unpin();
        Assert.False(cache.TryPin(1, out _));
    }

    [Fact]
    public void One_scan_does_not_push_out_what_is_used_often()
    {
        using BlockCache cache = new(4 << 20);
        int missed = 0;
        for (ulong i = 0; i < 20_000; i++)
        {
            // Between two blocks of the scan, a hot one of a hundred is asked for.
            ulong hot = 1_000_000 + (i % 100);
            if (!cache.TryPin(hot, out PinnedBlock block))
            {
                missed++;
                block = cache.Insert(hot, Fill(4096, hot), 4096);
            }

            block.Unpin();
            cache.Insert(i, Fill(4096, i), 4096).Unpin();
        }

        Assert.InRange(missed, 100, 200);
    }

    [Fact]
    public void Threads_that_pin_insert_and_drop_never_see_another_blocks_bytes()
    {
        BlockCache cache = new(64_000, 500);
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
                    List<(PinnedBlock Block, ulong Offset)> held = [];
                    for (int i = 0; i < 60_000; i++)
                    {
                        ulong offset = (ulong)random.Next(200);
                        if (!cache.TryPin(offset, out PinnedBlock block))
                        {
                            int length = 100 + ((int)offset * 5);
                            block = cache.Insert(offset, Fill(length, offset), length);
                        }

                        Check(block, offset);
                        held.Add((block, offset));
                        if (held.Count > random.Next(5))
                        {
                            int which = random.Next(held.Count);
                            Check(held[which].Block, held[which].Offset);
                            held[which].Block.Unpin();
                            held.RemoveAt(which);
                        }

                        if (random.Next(20) == 0)
                        {
                            cache.Drop((ulong)random.Next(200));
                        }
                    }

                    held.ForEach(static h => h.Block.Unpin());
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
        Assert.InRange(cache.UsedBytes, 1, 64_000);

        for (ulong offset = 0; offset < 200; offset++)
        {
            cache.Drop(offset);
        }

        Assert.Equal(0, cache.UsedBytes);
        cache.Dispose();
    }

    [Fact]
    public void A_block_that_is_dropped_while_a_thread_takes_it_is_freed_with_its_last_pin()
    {
        // The block is always new, so that readers have its mark to set, and it goes just then.
        BlockCache cache = new(64_000, 500);
        bool stop = false;
        Thread[] readers = new Thread[2];
        for (int t = 0; t < readers.Length; t++)
        {
            readers[t] = new Thread(() =>
            {
                while (!Volatile.Read(ref stop))
                {
                    if (cache.TryPin(1, out PinnedBlock block))
                    {
                        block.Unpin();
                    }
                }
            });
            readers[t].Start();
        }

        for (int i = 0; i < 500_000; i++)
        {
            cache.Insert(1, Fill(100, 1), 100).Unpin();
            cache.Drop(1);
        }

        Volatile.Write(ref stop, true);
        foreach (Thread reader in readers)
        {
            reader.Join();
        }

        Assert.Equal(0, cache.UsedBytes);
        cache.Dispose();
    }

    private static byte* Fill(int length, ulong offset)
    {
        byte* data = BlockMemory.Allocate(length);
        new Span<byte>(data, length).Fill((byte)(offset * 31));
        return data;
    }

    private static void Check(PinnedBlock block, ulong offset) =>
        Assert.False(new ReadOnlySpan<byte>(block.Data, block.Length).ContainsAnyExcept((byte)(offset * 31)));
}
