using System.Buffers.Binary;
using Henge.Storage.Bitcask;
using Henge.Storage.Inspection;
using Henge.Testing.Files;

namespace Henge.Storage.Tests.Bitcask;

/// <summary>Reads of values beside merges that take their files away, on threads of their own.</summary>
public sealed class BitcaskConcurrencyTests
{
    private const int Keys = 64;
    private const int Rounds = 200;

    [Fact]
    public void Readers_find_every_key_whatever_merges_and_drops_do()
    {
        var files = new SimulatedFileSystem();
        using var engine = BitcaskEngine.Open(TinyBitcask.Create(files) with { SegmentBytes = 16 << 10, MergeBelowLivePercent = 80 });
        var batch = new WriteBatch();
        Write(engine, batch, 1);
        bool done = false;
        var errors = new List<Exception>();
        List<Thread> readers = [.. Enumerable.Range(0, 3).Select(seed => Start(errors, () =>
        {
            var random = new Random(seed);
            while (!Volatile.Read(ref done))
            {
                Read(engine, random);
            }
        }))];
        Thread dropper = Start(errors, () =>
        {
            // Another keyspace comes and goes, whole and in part.
            var own = new WriteBatch();
            for (ulong i = 1; !Volatile.Read(ref done); i++)
            {
                own.Clear();
                own.Put(2, [1], new Core.Version(i), new byte[500]);
                own.Put(2, [2], new Core.Version(i), new byte[500]);
                engine.Apply(own, sync: false);
                engine.DropRange(2, default, i % 2 == 0 ? default : [2]);
                Assert.False(engine.TryGet(2, [1], new ReadPoint(Core.Version.Max, 0), out _));
            }
        });
        for (int round = 2; round <= Rounds; round++)
        {
            Write(engine, batch, round);
            engine.SetHistoryFloor(new Core.Version((ulong)round));
            engine.Flush();
        }

        engine.Compact();
        Volatile.Write(ref done, true);
        readers.ForEach(static thread => thread.Join());
        dropper.Join();
        Assert.Empty(errors);
        Assert.True(engine.GetStatistics().Compactions > 5, $"Only {engine.GetStatistics().Compactions} merges.");
        engine.Dispose();
        Assert.Empty(StorageVerifier.Verify(files, "/db").Problems);
    }

    [Fact]
    public void Many_writers_share_one_sync()
    {
        var files = new SimulatedFileSystem();
        using var engine = BitcaskEngine.Open(TinyBitcask.Create(files) with { SegmentBytes = 8 << 20 });
        const int Writers = 8;
        const int Each = 200;

        // Each sync takes until every writer that has something left is in its group or waits behind it.
        int left = Writers;
        files.Faults = operation =>
        {
            if (operation.Kind == FileOperationKind.Sync)
            {
                Assert.True(
                    SpinWait.SpinUntil(() => engine.Writer.UnderWay == Volatile.Read(ref left), TimeSpan.FromMinutes(2)),
                    "The writers did not gather behind a sync.");
            }

            return FaultDecision.None;
        };
        long before = files.Statistics.Syncs;
        var errors = new List<Exception>();
        List<Thread> threads = [.. Enumerable.Range(0, Writers).Select(w => Start(
            errors,
            () =>
            {
                var batch = new WriteBatch();
                for (int i = 0; i < Each; i++)
                {
                    batch.Clear();
                    batch.Put((uint)w, [(byte)(i >> 8), (byte)i], new Core.Version((ulong)i + 1), [1]);
                    engine.Apply(batch);
                }
            },
            () => Interlocked.Decrement(ref left)))];
        threads.ForEach(static thread => thread.Join());
        files.Faults = null;
        Assert.Empty(errors);
        Assert.InRange(files.Statistics.Syncs - before, Each, (2 * Each) + 1);
        Assert.Equal(Writers * Each, engine.GetStatistics().Entries);
    }

    private static void Write(BitcaskEngine engine, WriteBatch batch, int round)
    {
        byte[] value = new byte[200];
        for (int key = 0; key < Keys; key++)
        {
            batch.Clear();
            BinaryPrimitives.WriteInt32LittleEndian(value, key);
            BinaryPrimitives.WriteInt32LittleEndian(value.AsSpan(4), round);
            batch.Put(1, [(byte)key], new Core.Version((ulong)round), value);
            engine.Apply(batch, sync: false);
        }
    }

    private static void Read(BitcaskEngine engine, Random random)
    {
        for (int i = 0; i < 50; i++)
        {
            int key = random.Next(Keys);
            Assert.True(engine.TryGet(1, [(byte)key], new ReadPoint(Core.Version.Max, 0), out PinnedValue value));
            using (value)
            {
                Check(key, value.Span, value.Version);
            }
        }

        using IEngineSnapshot snapshot = engine.CreateSnapshot();
        using EngineIterator iterator = snapshot.CreateIterator(new IteratorOptions
        {
            Keyspace = 1,
            Point = new ReadPoint(Core.Version.Max, 0),
        });
        int count = 0;
        bool backward = random.Next(2) == 0;
        for (Conformance.IteratorSteps.ToFirst(iterator, backward); iterator.Valid; Conformance.IteratorSteps.Step(iterator, backward))
        {
            Check(iterator.Key[0], iterator.Value, iterator.Version);
            count++;
        }

        Assert.Equal(Keys, count);
    }

    private static void Check(int key, ReadOnlySpan<byte> value, Core.Version version)
    {
        Assert.Equal(key, BinaryPrimitives.ReadInt32LittleEndian(value));
        Assert.Equal((int)version.Value, BinaryPrimitives.ReadInt32LittleEndian(value[4..]));
    }

    private static Thread Start(List<Exception> errors, Action work, Action? after = null)
    {
        var thread = new Thread(() =>
        {
            try
            {
                work();
            }
            catch (Exception error)
            {
                lock (errors)
                {
                    errors.Add(error);
                }
            }
            finally
            {
                after?.Invoke();
            }
        });
        thread.Start();
        return thread;
    }
}
