using Henge.Core;
using Henge.Storage;
using Henge.Storage.Bitcask.Settings;
using Henge.Storage.Inspection;
using Henge.Storage.Lsm.Background;
using Henge.Storage.Lsm.Settings;
using Henge.Testing.Files;

namespace Henge.Storage.Tests;

/// <summary>Random operations on an engine and on the model, with random, shrunken options: both must always answer the same.</summary>
public sealed class EngineModelTests
{
    private static int Seeds(int usual) =>
        int.TryParse(Environment.GetEnvironmentVariable("HENGE_TEST_SEEDS"), out int seeds) ? seeds : usual;

    [Fact]
    public void The_lsm_engine_answers_as_the_model_does()
    {
        for (int seed = 0; seed < Seeds(60); seed++)
        {
            using var run = new Run(seed, EngineKind.Lsm);
            run.Go();
        }
    }

    [Fact]
    public void The_memory_engine_answers_as_the_model_does()
    {
        for (int seed = 0; seed < Seeds(20); seed++)
        {
            using var run = new Run(seed, EngineKind.Memory);
            run.Go();
        }
    }

    [Fact]
    public void The_bitcask_engine_answers_as_the_model_does()
    {
        for (int seed = 0; seed < Seeds(60); seed++)
        {
            using var run = new Run(seed, EngineKind.Bitcask);
            run.Go();
        }
    }

    [Fact]
    public void The_rocksdb_engine_answers_as_the_model_does()
    {
        for (int seed = 0; seed < Seeds(20); seed++)
        {
            string root = Directory.CreateTempSubdirectory("henge-model").FullName;
            try
            {
                using var run = new Run(seed, EngineKind.RocksDbIn(root));
                run.Go();
            }
            finally
            {
                Directory.Delete(root, recursive: true);
            }
        }
    }

    /// <summary>
    /// Bugs on purpose: the model's run must notice each of them, or it proves nothing about what happens beside background work.
    /// </summary>
    [Theory]
    [InlineData((int)StorageBugs.WriteUncheckedEdits, 60)]
    [InlineData((int)StorageBugs.OutputsForgetLaterDrops, 60)]
    public void The_models_run_finds_bugs_that_were_put_in(int bug, int seeds)
    {
        bool found = false;
        for (int seed = 0; seed < seeds && !found; seed++)
        {
            using var run = new Run(seed, EngineKind.LsmWith((StorageBugs)bug));
            try
            {
                run.Go();
            }
            catch (InvalidOperationException)
            {
                found = true;
            }
        }

        Assert.True(found, $"{(StorageBugs)bug} was not found within {seeds} seeds.");
    }

    [Theory]
    [InlineData((int)BitcaskBugs.DropTombstonesTooEarly, 60)]
    [InlineData((int)BitcaskBugs.DeleteUnderReaders, 60)]
    [InlineData((int)BitcaskBugs.OutputsForgetLaterDrops, 300)]
    public void The_models_run_finds_bugs_that_were_put_into_the_bitcask_engine(int bug, int seeds)
    {
        bool found = false;
        for (int seed = 0; seed < seeds && !found; seed++)
        {
            using var run = new Run(seed, EngineKind.BitcaskWith((BitcaskBugs)bug));
            try
            {
                run.Go();
            }
            catch (InvalidOperationException)
            {
                found = true;
            }
        }

        Assert.True(found, $"{(BitcaskBugs)bug} was not found within {seeds} seeds.");
    }

    private sealed class Run : IDisposable
    {
        private static readonly uint[] Keyspaces = [3, 4, 0x8000_0003];
        private readonly int _seed;
        private readonly EngineKind _kind;
        private readonly Random _random;
        private readonly SimulatedFileSystem _files = new();
        private readonly InlineScheduler _scheduler;
        private readonly bool _log;
        private readonly Dictionary<uint, ulong> _versions = [];
        private readonly List<Held> _held = [];
        private readonly EngineModel _model = new();
        private readonly int _keySpread;
        private IStorageEngine _engine;
        private ulong _floor;
        private ulong _position;

        public Run(int seed, EngineKind kind)
        {
            _seed = seed;
            _kind = kind;
            _random = new Random(seed);
            _scheduler = new InlineScheduler(_random.Next);
            _log = _random.Next(2) == 0;
            _keySpread = 1 << _random.Next(2, 9);
            _engine = Open();
        }

        public void Go()
        {
            int step = 0;
            try
            {
                for (; step < 400; step++)
                {
                    Step();
                }

                CheckAll();
                _held.ForEach(static held => held.Dispose());
                _engine.Dispose();
                if (_kind.HasFiles && _kind.Root.Length == 0)
                {
                    Assert.Empty(StorageVerifier.Verify(_files, "/db").Problems);
                }
            }
            catch (Exception error)
            {
                throw new InvalidOperationException($"Seed {_seed}, step {step}: {error.Message}", error);
            }
        }

        public void Dispose() => _scheduler.Dispose();

        private IStorageEngine Open() => _kind.Open(_random, _files, _scheduler, _log);

        private void Step()
        {
            int dice = _random.Next(100);
            if (dice < 50)
            {
                Apply();
            }
            else if (dice < 65)
            {
                CheckGet();
            }
            else if (dice < 73)
            {
                CheckScan(_engine.CreateIterator, _model, _floor, _versions);
            }
            else if (dice < 78)
            {
                CheckWalk();
            }
            else if (dice < 86)
            {
                // Some steps of background work; mostly it stands in the middle of something when the next operation comes.
                for (int i = _random.Next(1, _kind.MostSteps); i > 0; i--)
                {
                    _scheduler.TryRunOne();
                }
            }
            else if (dice < 89)
            {
                _engine.Flush();
            }
            else if (dice < 91)
            {
                RaiseFloor();
            }
            else if (dice < 93)
            {
                DropRange();
            }
            else if (dice < 95)
            {
                Hold();
            }
            else if (dice < 97 && _held.Count > 0)
            {
                CheckHeld();
            }
            else if (dice < 98 && _kind.HasFiles)
            {
                EngineKind.Compact(_engine);
            }
            else if (dice < 99 && _kind.HasFiles)
            {
                Checkpoint();
            }
            else if (_kind.HasFiles)
            {
                Reopen();
            }
        }

        private void Apply()
        {
            var batch = new WriteBatch(16);
            int count = _random.Next(1, _random.Next(2) == 0 ? 3 : 20);
            var seen = new HashSet<(uint, string)>();
            uint keyspace = Keyspaces[_random.Next(Keyspaces.Length)];
            ulong version = _versions.GetValueOrDefault(keyspace) + (ulong)_random.Next(1, 10_000);
            _versions[keyspace] = version;
            for (int i = 0; i < count; i++)
            {
                byte[] key = Key();
                if (!seen.Add((keyspace, Convert.ToHexString(key))))
                {
                    continue;
                }

                int dice = _random.Next(10);
                if (dice < 3)
                {
                    batch.Delete(keyspace, key, new Core.Version(version));
                }
                else
                {
                    long expires =
                        dice == 3 && keyspace < 0x8000_0000 ? (long)(version >> Core.Version.CounterBits) + _random.Next(1, 30) : 0;
                    byte[] value = new byte[_random.Next(30) == 0 ? _random.Next(3000) : _random.Next(40)];
                    _random.NextBytes(value);
                    batch.Put(keyspace, key, new Core.Version(version), value, expires);
                }
            }

            batch.SetPosition(9, ++_position);
            _engine.Apply(batch, sync: _random.Next(3) == 0);
            _model.Apply(batch.Encoded);
            Assert.Equal(_position, _engine.GetPosition(9));
        }

        private byte[] Key()
        {
            int number = _random.Next(_keySpread);

            // Of different lengths, some the beginning of others.
            byte[] key = new byte[number % 4];
            for (int i = 0; i < key.Length; i++)
            {
                key[i] = (byte)((number / 4 * 37) >> (i * 3));
            }

            return key;
        }

        private ReadPoint Point(ulong floor, ulong newest)
        {
            ulong at =
                _random.Next(3) == 0
                    ? Core.Version.MaxValue
                    : floor + (ulong)_random.NextInt64((long)Math.Max(newest > floor ? newest - floor : 1, 1) + 2);
            long nowMs = (long)(floor >> Core.Version.CounterBits) + _random.Next(60);
            return new ReadPoint(new Core.Version(at), nowMs);
        }

        private void CheckGet()
        {
            uint keyspace = Keyspaces[_random.Next(Keyspaces.Length)];
            byte[] key = Key();
            ReadPoint point =
                keyspace >= 0x8000_0000 ? new ReadPoint(Core.Version.Max, 0) : Point(_floor, _versions.GetValueOrDefault(keyspace));
            var expected = _model.Get(keyspace, key, point);
            bool found = _engine.TryGet(keyspace, key, point, out PinnedValue value);
            Assert.Equal(expected is not null, found);
            if (expected is { } wanted)
            {
                using (value)
                {
                    Assert.Equal(wanted.Value, value.Span.ToArray());
                    Assert.Equal(wanted.Version, value.Version);
                    Assert.Equal(wanted.ExpiresAtMs, value.ExpiresAtMs);
                }
            }
        }

        private delegate EngineIterator IteratorFactory(in IteratorOptions options);

        private void CheckScan(IteratorFactory create, EngineModel model, ulong floor, Dictionary<uint, ulong> versions)
        {
            uint keyspace = Keyspaces[_random.Next(Keyspaces.Length)];
            bool system = keyspace >= 0x8000_0000;
            ReadPoint point = system ? new ReadPoint(Core.Version.Max, 0) : Point(floor, versions.GetValueOrDefault(keyspace));
            byte[] lower = _random.Next(2) == 0 ? [] : Key();
            byte[] upper = _random.Next(2) == 0 ? [] : Key();
            bool all = !system && _random.Next(3) == 0;
            var from = new Core.Version(floor + 1 + (ulong)_random.Next(20_000));
            using EngineIterator iterator = create(new IteratorOptions
            {
                Keyspace = keyspace,
                Point = point,
                Lower = lower,
                Upper = upper,
                AllVersions = all,
                From = all ? from : default,
                FillCache = _random.Next(2) == 0,
            });
            List<string> expected = all ? model.History(keyspace, lower, upper, point.At, from) : model.Scan(keyspace, lower, upper, point);
            var found = new List<string>();
            bool backward = _random.Next(2) == 0;
            if (backward)
            {
                for (iterator.SeekToLast(); iterator.Valid; iterator.Prev())
                {
                    found.Insert(0, Show(iterator));
                }
            }
            else
            {
                for (iterator.SeekToFirst(); iterator.Valid; iterator.Next())
                {
                    found.Add(Show(iterator));
                }
            }

            Assert.Equal(expected, found);
        }

        // Seeks and steps in any order, against a list and an index.
        private void CheckWalk()
        {
            uint keyspace = Keyspaces[_random.Next(2)];
            ReadPoint point = Point(_floor, _versions.GetValueOrDefault(keyspace));
            bool all = _random.Next(3) == 0;
            var from = new Core.Version(_floor + 1);
            using EngineIterator iterator = _engine.CreateIterator(
                new IteratorOptions
                {
                    Keyspace = keyspace,
                    Point = point,
                    AllVersions = all,
                    From = all ? from : default,
                });
            List<string> expected = all ? _model.History(keyspace, [], [], point.At, from) : _model.Scan(keyspace, [], [], point);
            int index = -1;
            for (int i = 0; i < 30; i++)
            {
                string sought = "";
                switch (_random.Next(index < 0 ? 4 : 10))
                {
                    case 0:
                        iterator.SeekToFirst();
                        index = expected.Count > 0 ? 0 : -1;
                        break;
                    case 1:
                        iterator.SeekToLast();
                        index = expected.Count - 1;
                        break;
                    case 2:
                        byte[] key = Key();
                        sought = Convert.ToHexString(key);
                        iterator.Seek(key);
                        index = expected.FindIndex(item => string.CompareOrdinal(item.Split('@')[0], sought) >= 0);
                        break;
                    case 3:
                        key = Key();
                        sought = Convert.ToHexString(key);
                        iterator.SeekForPrev(key);
                        index = expected.FindLastIndex(item => string.CompareOrdinal(item.Split('@')[0], sought) <= 0);
                        break;
                    case < 7:
                        iterator.Next();
                        index = index + 1 < expected.Count ? index + 1 : -1;
                        break;
                    default:
                        iterator.Prev();
                        index--;
                        break;
                }

                Assert.Equal(index >= 0, iterator.Valid);
                if (index >= 0)
                {
                    Assert.Equal(expected[index], Show(iterator));
                }
            }
        }

        private static string Show(EngineIterator iterator) =>
            EngineModel.Show(iterator.Key, iterator.Version, iterator.Kind, iterator.Value, iterator.ExpiresAtMs);

        private void RaiseFloor()
        {
            ulong newest = Math.Min(_versions.GetValueOrDefault(3u), _versions.GetValueOrDefault(4u));
            if (newest > _floor)
            {
                _floor += (ulong)_random.NextInt64((long)(newest - _floor));
                _engine.SetHistoryFloor(new Core.Version(_floor));
            }
        }

        private void DropRange()
        {
            uint keyspace = Keyspaces[_random.Next(Keyspaces.Length)];
            byte[] lower = _random.Next(3) == 0 ? [] : Key();
            byte[] upper = _random.Next(3) == 0 ? [] : Key();
            if (upper.Length > 0 && lower.AsSpan().SequenceCompareTo(upper) >= 0)
            {
                return;
            }

            _engine.DropRange(keyspace, lower, upper);
            _model.DropRange(keyspace, lower, upper);
        }

        private void Hold()
        {
            if (_held.Count < 3)
            {
                _held.Add(new Held(_engine.CreateSnapshot(), _model.Clone(), _floor, new Dictionary<uint, ulong>(_versions)));
            }
        }

        private void CheckHeld()
        {
            Held held = _held[_random.Next(_held.Count)];
            CheckScan(held.Snapshot.CreateIterator, held.Model, held.Floor, held.Versions);
            if (_random.Next(2) == 0)
            {
                held.Dispose();
                _held.Remove(held);
            }
        }

        private void Checkpoint()
        {
            string directory = $"/copy{_random.Next(1_000_000)}";
            _engine.Checkpoint(_kind.Root + directory);
            using IStorageEngine copy = _kind.Open(_random, _files, new InlineScheduler(), log: false, directory);
            Assert.Equal(_position, copy.GetDurablePosition(9));
            foreach (uint keyspace in Keyspaces)
            {
                CompareAll(copy, keyspace);
            }
        }

        private void Reopen()
        {
            _held.ForEach(static held => held.Dispose());
            _held.Clear();
            if (!_log)
            {
                _engine.Flush();
            }

            _engine.Dispose();
            _scheduler.Clear();
            if (_kind.Root.Length == 0)
            {
                Assert.Empty(StorageVerifier.Verify(_files, "/db").Problems);
            }

            _engine = Open();
            Assert.Equal(_position, _engine.GetPosition(9));
            _engine.SetHistoryFloor(new Core.Version(_floor));
        }

        private void CheckAll()
        {
            foreach (uint keyspace in Keyspaces)
            {
                CompareAll(_engine, keyspace);
            }
        }

        private void CompareAll(IStorageEngine engine, uint keyspace)
        {
            var point = new ReadPoint(Core.Version.Max, (long)(_floor >> Core.Version.CounterBits));
            using EngineIterator iterator = engine.CreateIterator(new IteratorOptions { Keyspace = keyspace, Point = point });
            var found = new List<string>();
            for (iterator.SeekToFirst(); iterator.Valid; iterator.Next())
            {
                found.Add(Show(iterator));
            }

            Assert.Equal(_model.Scan(keyspace, [], [], point), found);
        }
    }

    private sealed record Held(IEngineSnapshot Snapshot, EngineModel Model, ulong Floor, Dictionary<uint, ulong> Versions) : IDisposable
    {
        public void Dispose() => Snapshot.Dispose();
    }
}
