using System.Buffers.Binary;
using Henge.Storage.Bitcask;
using Henge.Storage.Bitcask.Settings;
using Henge.Storage.Files;
using Henge.Storage.Lsm.Background;
using Henge.Storage.Lsm.Cache;
using Henge.Storage.Tests.Tables;
using Henge.Testing;
using Henge.Testing.Files;

namespace Henge.Storage.Tests.Bitcask;

/// <summary>What keys cost in memory, and that all of it comes back. Alone, because off-heap bytes are counted for the process.</summary>
[Collection(nameof(MemoryUse))]
public sealed class BitcaskMemoryTests(ITestOutputHelper output)
{
    private const uint Keyspace = 1;

    [Theory]
    [InlineData(8)]
    [InlineData(16)]
    [InlineData(64)]
    public void A_key_takes_about_eighty_bytes_and_itself(int keyBytes)
    {
        const int Keys = 100_000;
        var files = new SimulatedFileSystem();
        using var scheduler = new InlineScheduler();
        BitcaskOptions options = new()
        {
            Directory = "/db",
            FileSystem = files,
            Scheduler = scheduler,
            SegmentBytes = 4 << 20,
        };
        using (var engine = BitcaskEngine.Open(options))
        {
            Fill(engine, Keys, keyBytes);
            engine.Writer.SealActive();

            // Hints: by them the next start knows how large the index will be.
            scheduler.RunAll();
        }

        using var again = BitcaskEngine.Open(options);
        double taken = (double)again.GetStatistics().MemTableBytes / Keys;
        output.WriteLine($"{keyBytes} bytes of key: {taken:F1} bytes of memory for each, {taken - keyBytes:F1} beside it");
        Assert.InRange(taken, keyBytes + 70, keyBytes + 90);
    }

    [Fact]
    public void Reads_from_the_machines_own_disk_allocate_nothing()
    {
        string directory = System.IO.Directory.CreateTempSubdirectory("henge-bitcask").FullName;
        try
        {
            using (var engine = BitcaskEngine.Open(new BitcaskOptions { Directory = directory, FileSystem = PosixFileSystem.Instance }))
            {
                Fill(engine, 1000, 16);
                byte[] key = new byte[16];
                byte[] missing = new byte[17];
                void Work()
                {
                    for (int i = 0; i < 100; i++)
                    {
                        BinaryPrimitives.WriteInt32BigEndian(key, i);
                        Assert.True(engine.TryGet(Keyspace, key, new ReadPoint(Core.Version.Max, 0), out PinnedValue value));
                        value.Dispose();
                        Assert.False(engine.TryGet(Keyspace, missing, new ReadPoint(Core.Version.Max, 0), out _));
                    }
                }

                Assert.Equal(0, Allocations.Fewest(Work));
            }
        }
        finally
        {
            System.IO.Directory.Delete(directory, recursive: true);
        }
    }

    [Fact]
    public void Writes_to_the_machines_own_disk_allocate_nothing()
    {
        string directory = System.IO.Directory.CreateTempSubdirectory("henge-bitcask").FullName;
        try
        {
            using var scheduler = new InlineScheduler();
            using (var engine = BitcaskEngine.Open(new BitcaskOptions
            {
                Directory = directory,
                FileSystem = PosixFileSystem.Instance,
                Scheduler = scheduler,
                OwnerHasLog = true,
            }))
            {
                Fill(engine, 1000, 16);
                scheduler.RunAll();
                var batch = new WriteBatch();
                byte[] key = new byte[16];
                ulong version = 10_000;
                void Work()
                {
                    // Less than a chunk of the index's arena, which is an object, so that most attempts need none.
                    for (int i = 0; i < 5; i++)
                    {
                        batch.Clear();
                        for (int j = 0; j < 10; j++)
                        {
                            BinaryPrimitives.WriteInt32BigEndian(key, (i * 10) + j);
                            batch.Put(Keyspace, key, new Core.Version(++version), "other"u8);
                        }

                        batch.SetPosition(1, version);
                        engine.Apply(batch);
                    }
                }

                Assert.Equal(0, Allocations.Fewest(Work));
            }
        }
        finally
        {
            System.IO.Directory.Delete(directory, recursive: true);
        }
    }

    [Fact]
    public void All_off_heap_memory_comes_back()
    {
        long before = OffHeap.LiveBytes;
        for (int round = 0; round < 4; round++)
        {
            var files = new SimulatedFileSystem();
            using var scheduler = new InlineScheduler();
            using (var engine = BitcaskEngine.Open(TinyBitcask.Create(files, scheduler)))
            {
                Fill(engine, 4000, 16);
                IEngineSnapshot snapshot = engine.CreateSnapshot();
                engine.DropRange(Keyspace, default, [1]);
                Fill(engine, 100, 8);
                engine.SetHistoryFloor(new Core.Version(1_000_000));
                engine.Flush();
                engine.Compact();

                // Some of a job that is given up.
                for (int i = 0; i < round * 3; i++)
                {
                    scheduler.TryStep(BackgroundKind.Compaction, out _);
                }

                snapshot.Dispose();
                engine.DropRange(Keyspace, default, default);
            }
        }

        // Chunks that lists have left are kept for the next ones, up to a bound, and counted as taken.
        Assert.InRange(OffHeap.LiveBytes - before, -(64 << 20), 0);
    }

    private static void Fill(BitcaskEngine engine, int keys, int keyBytes)
    {
        var batch = new WriteBatch();
        byte[] key = new byte[keyBytes];
        for (int i = 0; i < keys;)
        {
            batch.Clear();
            for (int j = 0; j < 100 && i < keys; j++, i++)
            {
                BinaryPrimitives.WriteInt32BigEndian(key, i);
                batch.Put(Keyspace, key, new Core.Version((ulong)i + 1), "value"u8);
            }

            engine.Apply(batch, sync: false);
        }
    }
}
