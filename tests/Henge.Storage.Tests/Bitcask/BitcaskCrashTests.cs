using System.Text;
using Henge.Storage.Bitcask;
using Henge.Storage.Inspection;
using Henge.Storage.Lsm.Background;
using Henge.Testing.Files;

namespace Henge.Storage.Tests.Bitcask;

/// <summary>
/// The machine stops at each single file operation of one long script, which meets everything that the engine writes: batches, sealed
/// segments, hints, merges, drops, checkpoints and starts.
/// </summary>
public sealed class BitcaskCrashTests
{
    private const uint Keyspace = 1;

    [Theory]
    [InlineData(CrashMode.KeepAll)]
    [InlineData(CrashMode.LoseAllUnsynced)]
    [InlineData(CrashMode.LoseRandomPart)]
    public void After_a_stop_at_any_file_operation_all_that_was_acknowledged_is_there(CrashMode mode)
    {
        var whole = new Script(crashAt: null);
        whole.Run();
        Assert.True(whole.Merges > 2, $"Only {whole.Merges} merges.");
        long operations = whole.Files.OperationCount;
        for (long at = 1; at <= operations; at++)
        {
            var script = new Script(at);
            script.Run();
            Assert.True(script.Files.IsDown);
            script.Files.Crash(mode, (int)at);
            using var scheduler = new InlineScheduler();
            using (var engine = BitcaskEngine.Open(TinyBitcask.Create(script.Files, scheduler)))
            {
                script.Check(engine, $"stopped at operation {at} of {operations}");
                scheduler.RunAll();
                engine.Compact();
                scheduler.RunAll();
                script.Check(engine, $"stopped at operation {at} of {operations}, after a merge");
            }

            Assert.Empty(StorageVerifier.Verify(script.Files, "/db").Problems);
        }
    }

    private sealed class Script(long? crashAt)
    {
        private readonly EngineModel _acknowledged = new();
        private EngineModel? _underWay;
        private ulong _version;

        public SimulatedFileSystem Files { get; } = new();

        public long Merges { get; private set; }

        public void Run()
        {
            Files.CrashAt = crashAt;
            try
            {
                for (int start = 0; start < 2; start++)
                {
                    using var scheduler = new InlineScheduler();
                    using var engine = BitcaskEngine.Open(TinyBitcask.Create(Files, scheduler));
                    Live(engine, scheduler, start);
                    Merges += engine.GetStatistics().Compactions;
                }
            }
            catch (IOException) when (Files.IsDown)
            {
                // What was under way has no result.
            }
        }

        /// <summary>What is there is what was acknowledged, or that with what was under way.</summary>
        public void Check(IStorageEngine engine, string when)
        {
            using EngineIterator iterator = engine.CreateIterator(
                new IteratorOptions { Keyspace = Keyspace, Point = new ReadPoint(Core.Version.Max, 0) });
            var found = new List<string>();
            for (iterator.SeekToFirst(); iterator.Valid; iterator.Next())
            {
                found.Add(EngineModel.Show(iterator.Key, iterator.Version, iterator.Kind, iterator.Value, iterator.ExpiresAtMs));
            }

            List<string> expected = Contents(_acknowledged);
            List<string>? other = _underWay is null ? null : Contents(_underWay);
            Assert.True(
                found.SequenceEqual(expected) || (other is not null && found.SequenceEqual(other)),
                $"{when}: found {string.Join(", ", found)}; acknowledged was {string.Join(", ", expected)}");
        }

        private void Live(BitcaskEngine engine, InlineScheduler scheduler, int start)
        {
            for (int i = 0; i < 24; i++)
            {
                Put(engine, i % 7, i);
                if (i % 3 == 0)
                {
                    scheduler.RunAll();
                }
            }

            Drop(engine, [2], [4]);
            Put(engine, 2, 100 + start);
            engine.SetHistoryFloor(new Core.Version(_version));
            engine.Flush();
            scheduler.RunAll();
            engine.Compact();
            engine.Checkpoint($"/copy{start}");
            Put(engine, 6, 200 + start);
            Drop(engine, [], []);
            for (int i = 0; i < 5; i++)
            {
                Put(engine, i, 300 + i);
            }

            engine.Compact();
            scheduler.RunAll();
        }

        private void Put(BitcaskEngine engine, int key, int number)
        {
            var batch = new WriteBatch();
            _version += 10;
            if (number % 5 == 4)
            {
                batch.Delete(Keyspace, [(byte)key], new Core.Version(_version));
            }
            else
            {
                byte[] value = Encoding.UTF8.GetBytes(number + new string('v', 700));
                batch.Put(Keyspace, [(byte)key], new Core.Version(_version), value);
                batch.Put(Keyspace, [(byte)key, 1], new Core.Version(_version), "second"u8);
            }

            Do(model => model.Apply(batch.Encoded), () => engine.Apply(batch));
        }

        private void Drop(BitcaskEngine engine, byte[] lower, byte[] upper) =>
            Do(model => model.DropRange(Keyspace, lower, upper), () => engine.DropRange(Keyspace, lower, upper));

        private void Do(Action<EngineModel> change, Action action)
        {
            _underWay = _acknowledged.Clone();
            change(_underWay);
            action();
            change(_acknowledged);
            _underWay = null;
        }

        private static List<string> Contents(EngineModel model) => model.Scan(Keyspace, [], [], new ReadPoint(Core.Version.Max, 0));
    }
}
