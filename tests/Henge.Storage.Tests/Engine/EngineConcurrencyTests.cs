using System.Buffers.Binary;
using Henge.Core;
using Henge.Storage;
using Henge.Storage.Bitcask;
using Henge.Storage.Inspection;
using Henge.Storage.Lsm;
using Henge.Storage.Tests.Conformance;
using Henge.Testing.Files;

namespace Henge.Storage.Tests;

/// <summary>Writers, readers, flushes and compactions on threads of their own.</summary>
public sealed class EngineConcurrencyTests
{
    [Theory]
    [InlineData("lsm", true)]
    [InlineData("lsm", false)]
    [InlineData("bitcask", true)]
    [InlineData("bitcask", false)]
    public void Readers_beside_writers_flushes_and_compactions_see_whole_batches_only(string name, bool log)
    {
        var files = new SimulatedFileSystem();
        using IStorageEngine engine = Open(name, files, log);
        const int Writers = 3;
        const int Batches = 600;
        long done = 0;
        var threads = new List<Thread>();
        var errors = new List<Exception>();
        for (int w = 0; w < Writers; w++)
        {
            uint keyspace = (uint)w + 1;
            threads.Add(Start(errors, () => Write(engine, keyspace, Batches), () => Interlocked.Increment(ref done)));
        }

        for (int r = 0; r < 2; r++)
        {
            int seed = r;
            threads.Add(Start(errors, () =>
            {
                var random = new Random(seed);
                while (Interlocked.Read(ref done) < Writers)
                {
                    CheckScan(engine, (uint)random.Next(Writers) + 1, random.Next(2) == 0);
                    CheckSnapshot(engine, Writers);
                }
            }));
        }

        threads.ForEach(static thread => thread.Join());
        Assert.Empty(errors);
        for (uint keyspace = 1; keyspace <= Writers; keyspace++)
        {
            Assert.Equal((ulong)Batches, CheckScan(engine, keyspace, backward: false));
            Assert.Equal((ulong)Batches, engine.GetPosition(keyspace));
        }

        engine.Dispose();
        Assert.Empty(StorageVerifier.Verify(files, "/db").Problems);
    }

    [Fact]
    public void Many_writers_share_one_sync()
    {
        var files = new SimulatedFileSystem();
        using LsmEngine engine = LsmEngine.Open(
            TinyOptions.Create(files) with
            {
                MemTableBytes = 1 << 20,
                MemoryBytes = 64 << 20,
                LogSegmentBytes = 1 << 20,
            });
        const int Writers = 8;
        const int Each = 300;

        // Each sync takes until every writer that has something left is in its group or waits behind it. So the next group holds all that
        // wait, and each writer gets on with every other sync at least.
        int left = Writers;
        files.Faults = operation =>
        {
            if (operation.Kind == FileOperationKind.Sync)
            {
                Assert.True(
                    SpinWait.SpinUntil(() => engine.CommitsUnderWay == Volatile.Read(ref left), TimeSpan.FromMinutes(2)),
                    "The writers did not gather behind a sync.");
            }

            return FaultDecision.None;
        };
        long before = files.Statistics.Syncs;
        var errors = new List<Exception>();
        List<Thread> threads = [.. Enumerable.Range(0, Writers).Select(w => Start(errors, () =>
        {
            var batch = new WriteBatch();
            for (int i = 0; i < Each; i++)
            {
                batch.Clear();
                byte[] key = [(byte)w, (byte)(i >> 8), (byte)i];
                batch.Put(1, key, default, key);
                engine.Write(batch);
            }
        }, () => Interlocked.Decrement(ref left)))];
        threads.ForEach(static thread => thread.Join());
        files.Faults = null;
        Assert.Empty(errors);
        Assert.InRange(files.Statistics.Syncs - before, Each, (2 * Each) + 1);
        using EngineIterator iterator = engine.CreateIterator(
            new IteratorOptions { Keyspace = 1, Point = new ReadPoint(Core.Version.Max, 0) });
        int count = 0;
        for (iterator.SeekToFirst(); iterator.Valid; iterator.Next())
        {
            count++;
        }

        Assert.Equal(Writers * Each, count);
    }

    [Fact]
    public void An_engine_can_be_closed_in_the_middle_of_background_work()
    {
        for (int round = 0; round < 8; round++)
        {
            var files = new SimulatedFileSystem();
            LsmEngine engine = LsmEngine.Open(TinyOptions.Create(files));
            Write(engine, 1, 100 + round * 20);
            engine.Dispose();
            Assert.Throws<ObjectDisposedException>(() => engine.CreateSnapshot());
            using LsmEngine again = LsmEngine.Open(TinyOptions.Create(files));
            Assert.Equal((ulong)(100 + round * 20), CheckScan(again, 1, backward: false));
        }
    }

    [Fact]
    public void The_bitcask_engine_can_be_closed_in_the_middle_of_background_work()
    {
        for (int round = 0; round < 8; round++)
        {
            var files = new SimulatedFileSystem();
            BitcaskEngine engine = BitcaskEngine.Open(TinyBitcask.Create(files));
            Write(engine, 1, 400 + round * 20);
            engine.Dispose();
            Assert.Throws<ObjectDisposedException>(() => engine.CreateSnapshot());
            Assert.Throws<ObjectDisposedException>(() => engine.Apply(new WriteBatch()));
            using BitcaskEngine again = BitcaskEngine.Open(TinyBitcask.Create(files));
            Assert.Equal((ulong)(400 + round * 20), CheckScan(again, 1, backward: false));
        }
    }

    private static IStorageEngine Open(string name, SimulatedFileSystem files, bool log) => name == "lsm"
        ? LsmEngine.Open(
            TinyOptions.Create(files) with
            {
                WriteAheadLog = log,
                MemTableBytes = 32 << 10,
                MemoryBytes = 1 << 20,
            })
        : BitcaskEngine.Open(TinyBitcask.Create(files) with { OwnerHasLog = !log, SegmentBytes = 32 << 10 });

    // Each batch gives all ten keys the same value: a reader that sees two values has seen half a batch.
    private static void Write(IStorageEngine engine, uint keyspace, int batches)
    {
        var batch = new WriteBatch();
        byte[] value = new byte[60];
        for (int i = 1; i <= batches; i++)
        {
            BinaryPrimitives.WriteInt32LittleEndian(value, i);
            batch.Clear();
            for (int k = 0; k < 10; k++)
            {
                batch.Put(keyspace, [(byte)k, (byte)(k * 7)], new Core.Version((ulong)i), value);
            }

            batch.Put(keyspace | 0x8000_0000, "last"u8, new Core.Version((ulong)i), value);
            batch.SetPosition(keyspace, (ulong)i);
            engine.Apply(batch, sync: false);
            if (i % 100 == 0)
            {
                engine.SetHistoryFloor(new Core.Version((ulong)Math.Max(0, i - 400)));
            }
        }
    }

    private static ulong CheckScan(IStorageEngine engine, uint keyspace, bool backward)
    {
        using EngineIterator iterator = engine.CreateIterator(
            new IteratorOptions { Keyspace = keyspace, Point = new ReadPoint(Core.Version.Max, 0) });
        return Check(iterator, backward);
    }

    private static void CheckSnapshot(IStorageEngine engine, int keyspaces)
    {
        using IEngineSnapshot snapshot = engine.CreateSnapshot();
        for (uint keyspace = 1; keyspace <= keyspaces; keyspace++)
        {
            var options = new IteratorOptions { Keyspace = keyspace, Point = new ReadPoint(Core.Version.Max, 0) };
            using EngineIterator iterator = snapshot.CreateIterator(options);
            ulong seen = Check(iterator, backward: false);

            // Batches over two keyspaces are whole as well.
            bool found = snapshot.TryGet(keyspace | 0x8000_0000, "last"u8, new ReadPoint(Core.Version.Max, 0), out PinnedValue value);
            Assert.Equal(seen != 0, found);
            if (found)
            {
                using (value)
                {
                    Assert.Equal(seen, value.Version.Value);
                }
            }
        }
    }

    private static ulong Check(EngineIterator iterator, bool backward)
    {
        ulong version = 0;
        int count = 0;
        for (iterator.ToFirst(backward); iterator.Valid; iterator.Step(backward))
        {
            Assert.True(version == 0 || version == iterator.Version.Value, $"Saw versions {version} and {iterator.Version} at once.");
            version = iterator.Version.Value;
            Assert.Equal((int)version, BinaryPrimitives.ReadInt32LittleEndian(iterator.Value));
            count++;
        }

        Assert.True(count is 0 or 10, $"Saw {count} keys.");
        return version;
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
