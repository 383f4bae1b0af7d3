using System.Buffers.Binary;
using Henge.Core;
using Henge.Storage;
using Henge.Storage.Bitcask.Settings;
using Henge.Storage.Inspection;
using Henge.Storage.Lsm.Background;
using Henge.Testing.Files;

namespace Henge.Storage.Tests;

/// <summary>
/// The machine stops at a random I/O, again and again: after each start every acknowledged batch is there, none is there in part, and the
/// engine never refuses to start.
/// </summary>
public sealed class EngineCrashTests
{
    private static int Seeds(int usual) =>
        int.TryParse(Environment.GetEnvironmentVariable("HENGE_TEST_SEEDS"), out int seeds) ? seeds : usual;

    /// <summary>The engines by their names, for theories.</summary>
    public static TheoryData<string> Engines => ["lsm", "bitcask"];

    [Theory]
    [MemberData(nameof(Engines))]
    public void With_its_own_log_nothing_acknowledged_is_lost(string engine)
    {
        int rounds = 0;
        for (int seed = 0; seed < Seeds(60); seed++)
        {
            using var run = new Run(seed, KindOf(engine), log: true);
            rounds += run.Go();
        }

        Assert.True(rounds >= Seeds(60));
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Without_a_log_exactly_what_the_durable_position_says_is_there(string engine)
    {
        for (int seed = 0; seed < Seeds(60); seed++)
        {
            using var run = new Run(seed, KindOf(engine), log: false);
            run.Go();
        }
    }

    /// <summary>A bug on purpose: the crashes must bring it to light, or they prove nothing.</summary>
    [Fact]
    public void Crashes_find_a_bug_that_was_put_into_the_bitcask_engine()
    {
        bool found = false;
        for (int seed = 0; seed < 300 && !found; seed++)
        {
            using var run = new Run(seed, EngineKind.BitcaskWith(BitcaskBugs.OutputsForgetLaterDrops), log: true);
            try
            {
                run.Go();
            }
            catch (InvalidOperationException)
            {
                found = true;
            }
        }

        Assert.True(found, "It was not found within 300 seeds.");
    }

    private static EngineKind KindOf(string engine) => engine == "lsm" ? EngineKind.Lsm : EngineKind.Bitcask;

    private sealed class Run : IDisposable
    {
        private const uint Keyspace = 1;
        private const uint Counter = 0x8000_0001;
        private const uint Stream = 4;
        private readonly int _seed;
        private readonly EngineKind _kind;
        private readonly bool _log;
        private readonly Random _random;
        private readonly SimulatedFileSystem _files = new();
        private readonly List<Step> _history = [];
        private InlineScheduler _scheduler = new();
        private IStorageEngine? _engine;
        private ulong _version;
        private ulong _floor;
        private int _acknowledged;

        public Run(int seed, EngineKind kind, bool log)
        {
            _seed = seed;
            _kind = kind;
            _log = log;
            _random = new Random(seed);
        }

        public void Dispose() => _scheduler.Dispose();

        public int Go()
        {
            int round = 0;
            try
            {
                for (; round < 12; round++)
                {
                    _files.CrashAt = _files.OperationCount + _random.Next(1, _random.Next(3) == 0 ? 20 : _kind.MostOperations);
                    Live();
                    var mode = (CrashMode)_random.Next(3);
                    _files.Crash(mode, _random.Next());
                    if (_random.Next(3) == 0)
                    {
                        // A second crash while it recovers from the first.
                        _files.CrashAt = _files.OperationCount + _random.Next(1, 40);
                        TryOpen();
                        Close();
                        _files.Crash((CrashMode)_random.Next(3), _random.Next());
                    }

                    Assert.True(TryOpen());
                    Check();
                    Close();
                    Assert.Empty(StorageVerifier.Verify(_files, "/db").Problems);
                }

                return round;
            }
            catch (Exception error)
            {
                throw new InvalidOperationException($"Seed {_seed}, round {round}: {error.Message}", error);
            }
        }

        // Runs until the crash; false when it came before the engine was open.
        private bool TryOpen()
        {
            _scheduler = new InlineScheduler(_random.Next);
            try
            {
                _engine = _kind.Open(_random, _files, _scheduler, _log);
                _engine.SetHistoryFloor(new Core.Version(_floor));
                return true;
            }
            catch (IOException) when (_files.IsDown)
            {
                _engine = null;
                return false;
            }
        }

        private void Close()
        {
            _engine?.Dispose();
            _engine = null;
        }

        private void Live()
        {
            try
            {
                if (!TryOpen())
                {
                    return;
                }

                Replay();
                for (int i = 0; i < 200 && !_files.IsDown; i++)
                {
                    Do();
                }
            }
            catch (Exception) when (_files.IsDown)
            {
                // What was under way when the machine stopped has no result.
            }
            finally
            {
                Close();
            }
        }

        private void Do()
        {
            switch (_random.Next(20))
            {
                case 0:
                    _engine!.Flush();
                    Synced();
                    break;
                case 1:
                    _engine!.RequestFlush();
                    break;
                case < 7:
                    for (int i = _random.Next(1, _kind.MostSteps); i > 0; i--)
                    {
                        _scheduler.TryRunOne();
                    }

                    break;
                case 7 when _random.Next(3) == 0:
                    EngineKind.Compact(_engine!);
                    Synced();
                    break;
                case 8 when _random.Next(2) == 0:
                    Drop();
                    break;
                case 9:
                    _floor = Math.Max(_floor, _version / 2);
                    _engine!.SetHistoryFloor(new Core.Version(_floor));
                    break;
                default:
                    Write();
                    break;
            }
        }

        private void Write()
        {
            var batch = new WriteBatch();
            _version += (ulong)_random.Next(1, 3000);
            int count = _random.Next(1, 8);
            foreach (int number in Enumerable.Range(0, 60).OrderBy(_ => _random.Next()).Take(count))
            {
                byte[] key = [(byte)(number / 8), (byte)number];
                if (_random.Next(4) == 0)
                {
                    batch.Delete(Keyspace, key, new Core.Version(_version));
                }
                else
                {
                    byte[] value = new byte[_random.Next(12) == 0 ? _random.Next(2000) : _random.Next(60)];
                    _random.NextBytes(value);
                    batch.Put(Keyspace, key, new Core.Version(_version), value);
                }
            }

            // The number of the step, by which a later start knows how far it got.
            byte[] number8 = new byte[8];
            BinaryPrimitives.WriteInt64LittleEndian(number8, _history.Count + 1);
            batch.Put(Counter, "step"u8, new Core.Version(_version), number8);
            batch.SetPosition(Stream, (ulong)_history.Count + 1);
            _history.Add(new Step(batch.Encoded.ToArray(), batch.Count, [], []));
            bool sync = _random.Next(3) == 0;
            _engine!.Apply(batch, sync);
            if (_log && sync)
            {
                Synced();
            }
        }

        private void Drop()
        {
            byte[] lower = _random.Next(3) == 0 ? [] : [(byte)_random.Next(8), (byte)_random.Next(64)];
            byte[] upper = _random.Next(3) == 0 ? [] : [(byte)_random.Next(8), (byte)_random.Next(64)];
            if (upper.Length > 0 && lower.AsSpan().SequenceCompareTo(upper) >= 0)
            {
                return;
            }

            if (!_log)
            {
                // So that what is applied again after a crash comes after the drop, as it did the first time.
                _engine!.Flush();
                Synced();
            }

            var step = new Step(null, 0, lower, upper);
            _history.Add(step);
            _engine!.DropRange(Keyspace, lower, upper);
            step.IsDurable = true;
        }

        private void Synced() => _acknowledged = _history.Count;

        // Which prefix of the history is there? All of the acknowledged one, at least; then everything must be as after that prefix, with
        // the drops that are durable by themselves.
        private void Check()
        {
            int reached;
            if (_log)
            {
                reached = 0;
                if (_engine!.TryGet(Counter, "step"u8, new ReadPoint(Core.Version.Max, 0), out PinnedValue value))
                {
                    using (value)
                    {
                        reached = (int)BinaryPrimitives.ReadInt64LittleEndian(value.Span);
                    }
                }

                Assert.True(
                    (int)_engine.GetPosition(Stream) == reached,
                    $"The position is {_engine.GetPosition(Stream)}, and the data says {reached}.");
            }
            else
            {
                reached = (int)_engine!.GetDurablePosition(Stream);
            }

            int lastWrite = _history.Take(_acknowledged).ToList().FindLastIndex(static step => step.Count > 0) + 1;
            Assert.True(reached >= lastWrite, $"Acknowledged up to {lastWrite}, and only {reached} is there.");

            List<string> found = Contents();
            if (Expected(reached, undecided: true) is var with && !with.SequenceEqual(found))
            {
                Assert.Equal(Expected(reached, undecided: false), found);
                for (int i = 0; i < _history.Count; i++)
                {
                    _history[i] = _history[i] is { Batch: null, IsDurable: false } ? Step.Nothing : _history[i];
                }
            }

            foreach (Step step in _history.Where(static step => step.Batch is null))
            {
                step.IsDurable = true;
            }

            Forget(reached);
        }

        private List<string> Expected(int reached, bool undecided)
        {
            var model = new EngineModel();
            for (int i = 0; i < _history.Count; i++)
            {
                Step step = _history[i];
                if (step.Batch is { } batch && i < reached)
                {
                    model.Apply(batch);
                }
                else if (step.Batch is null && (step.IsDurable || undecided))
                {
                    model.DropRange(Keyspace, step.Lower, step.Upper);
                }
            }

            return model.Scan(Keyspace, [], [], new ReadPoint(Core.Version.Max, 0));
        }

        private List<string> Contents()
        {
            using EngineIterator iterator = _engine!.CreateIterator(
                new IteratorOptions { Keyspace = Keyspace, Point = new ReadPoint(Core.Version.Max, 0) });
            var found = new List<string>();
            for (iterator.SeekToFirst(); iterator.Valid; iterator.Next())
            {
                found.Add(EngineModel.Show(iterator.Key, iterator.Version, iterator.Kind, iterator.Value, iterator.ExpiresAtMs));
            }

            return found;
        }

        // With the engine's own log, what was lost never was. Without, the owner has it and applies it again (see Replay).
        private void Forget(int reached)
        {
            if (_log)
            {
                for (int i = reached; i < _history.Count; i++)
                {
                    if (_history[i].Batch is not null)
                    {
                        _history[i] = Step.Nothing;
                    }
                }

                _acknowledged = _history.Count;
            }
        }

        private void Replay()
        {
            if (_log)
            {
                return;
            }

            var batch = new WriteBatch();
            for (int i = (int)_engine!.GetDurablePosition(Stream); i < _history.Count; i++)
            {
                Step step = _history[i];
                if (step.Batch is { } encoded)
                {
                    batch.Load(encoded, step.Count);
                    _engine.Apply(batch);
                }
                else
                {
                    _engine.DropRange(Keyspace, step.Lower, step.Upper);
                }
            }
        }

        private sealed record Step(byte[]? Batch, int Count, byte[] Lower, byte[] Upper)
        {
            public static Step Nothing { get; } = new([], 0, [], []);

            public bool IsDurable { get; set; }
        }
    }
}
