using System.Diagnostics;
using Henge.Bench.Load;
using Henge.Core;
using Henge.Storage;
using Henge.Storage.Lsm;
using Henge.Storage.Lsm.Settings;
using Henge.Storage.Memory;

namespace Henge.Bench.Engine;

/// <summary>
/// The workloads of RocksDB's db_bench on Henge's engines, under the same names and with the same parameters, so that both can be run in
/// turn and compared. As RocksDB, the engine is told to keep no history of overwritten keys.
/// </summary>
public sealed class EngineBench : IDisposable
{
    private const uint Keyspace = 1;
    private readonly EngineBenchOptions _options;
    private readonly byte[] _values;
    private IStorageEngine? _engine;
    private int _threadsStarted;

    /// <summary>Prepares a run.</summary>
    /// <exception cref="HengeException"><see cref="ErrorCode.InvalidArgument"/>: an option makes no sense.</exception>
    public EngineBench(EngineBenchOptions options)
    {
        options.Validate();
        _options = options;

        // As in db_bench, values are cut from one piece of text that compresses to about a half.
        var random = new Random(options.Seed);
        _values = new byte[(1 << 20) + options.ValueBytes];
        for (int i = 0; i < _values.Length; i += 100)
        {
            Span<byte> piece = _values.AsSpan(i, Math.Min(100, _values.Length - i));
            random.NextBytes(piece);
            piece[..(piece.Length / 2)].CopyTo(piece[(piece.Length - piece.Length / 2)..]);
        }
    }

    /// <summary>Runs the workloads in order and hands out each result.</summary>
    public void Run(Action<EngineBenchResult> onResult, Action<string>? onNote = null)
    {
        foreach (string name in _options.Benchmarks)
        {
            switch (name)
            {
                case "stats":
                    Open(fresh: false);
                    onNote?.Invoke(Describe(_engine!.GetStatistics()));
                    break;
                case "flush":
                    Open(fresh: false);
                    _engine!.Flush();
                    break;
                case "compact":
                    Open(fresh: false);
                    (_engine as LsmEngine)?.Compact();
                    break;
                default:
                    onResult(RunOne(name));
                    break;
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _engine?.Dispose();
        _engine = null;
    }

    private EngineBenchResult RunOne(string name)
    {
        Open(fresh: name.StartsWith("fill", StringComparison.Ordinal));
        IStorageEngine engine = _engine!;
        int threads = _options.Threads;
        bool withWriter = name == "readwhilewriting";
        var workers = new Worker[threads + (withWriter ? 1 : 0)];
        for (int i = 0; i < workers.Length; i++)
        {
            workers[i] = new Worker(this, engine, i, name, isWriter: withWriter && i == threads);
        }

        GC.Collect();
        GC.WaitForPendingFinalizers();
        EngineStatistics before = engine.GetStatistics();
        long allocatedBefore = GC.GetTotalAllocatedBytes(precise: true);
        TimeSpan pauseBefore = GC.GetTotalPauseDuration();
        int collectionsBefore = GC.CollectionCount(0);
        var clock = Stopwatch.StartNew();
        RunWorkers(workers, threads);
        double seconds = clock.Elapsed.TotalSeconds;
        long allocated = GC.GetTotalAllocatedBytes(precise: true) - allocatedBefore;
        TimeSpan pause = GC.GetTotalPauseDuration() - pauseBefore;
        int collections = GC.CollectionCount(0) - collectionsBefore;
        EngineStatistics after = engine.GetStatistics();

        var histogram = new LatencyHistogram();
        long operations = 0;
        long found = 0;
        foreach (Worker worker in workers.Take(threads))
        {
            histogram.Add(worker.Latencies);
            operations += worker.Operations;
            found += worker.Found;
        }

        long bytesIn = after.BytesIn - before.BytesIn;
        return new EngineBenchResult
        {
            Name = name,
            Operations = operations,
            Seconds = seconds,
            Found = found,
            P50Micros = histogram.Percentile(0.5) / 1000.0,
            P95Micros = histogram.Percentile(0.95) / 1000.0,
            P99Micros = histogram.Percentile(0.99) / 1000.0,
            P999Micros = histogram.Percentile(0.999) / 1000.0,
            MaxMicros = histogram.MaxNs / 1000.0,
            AllocatedBytesPerOperation = (double)allocated / Math.Max(1, operations),
            Collections = collections,
            GcPauseMs = pause.TotalMilliseconds,
            WriteAmplification = bytesIn == 0 ? 0 : (double)(after.BytesWritten - before.BytesWritten) / bytesIn,
        };
    }

    private static void RunWorkers(Worker[] workers, int readers)
    {
        Thread[] threads = Array.ConvertAll(workers, static worker => new Thread(worker.Run) { IsBackground = true });
        Array.ForEach(threads, static thread => thread.Start());
        for (int i = 0; i < readers; i++)
        {
            threads[i].Join();
        }

        // A writer beside the readers ends with them.
        for (int i = readers; i < threads.Length; i++)
        {
            workers[i].Stop();
            threads[i].Join();
        }

        if (Array.Find(workers, static worker => worker.Error is not null) is { Error: { } error })
        {
            throw new HengeException(ErrorCode.Internal, $"The workload failed: {error.Message}", error);
        }
    }

    private void Open(bool fresh)
    {
        if (_engine is not null && !fresh)
        {
            return;
        }

        _engine?.Dispose();
        _engine = null;
        if (_options.Engine == "memory")
        {
            _engine = new MemoryEngine();
            return;
        }

        if ((fresh || !_options.UseExisting) && Directory.Exists(_options.Directory))
        {
            Directory.Delete(_options.Directory, recursive: true);
        }

        _engine = LsmEngine.Open(new LsmOptions
        {
            Directory = _options.Directory,
            MemoryBytes = _options.MemoryBytes,
            BloomBitsPerKey = _options.BloomBits,
            WriteAheadLog = !_options.DisableLog,
        });
    }

    private static string Describe(EngineStatistics statistics) =>
        $"entries {statistics.Entries:N0}, tables {statistics.TableBytes / 1048576.0:F1} MiB, memtables "
            + $"{statistics.MemTableBytes / 1048576.0:F1} MiB, "
        + $"cache {statistics.BlockCacheBytes / 1048576.0:F1} MiB ({statistics.BlockCacheHits:N0} hits, {statistics.BlockCacheMisses:N0} "
        + $"misses), "
        + $"flushes {statistics.Flushes}, compactions {statistics.Compactions}; "
        + string.Join(
            ", ",
            statistics
                .Levels.Where(static level => level.Tables > 0)
                .Select(static level => $"L{level.Level}: {level.Tables} tables, {level.Bytes / 1048576.0:F1} MiB"));

    private sealed class Worker(EngineBench bench, IStorageEngine engine, int index, string name, bool isWriter)
    {
        private readonly EngineBenchOptions _options = bench._options;
        private readonly byte[] _key = new byte[bench._options.KeyBytes];
        private readonly WriteBatch _batch = new(bench._options.ValueBytes + bench._options.KeyBytes + 64);
        private readonly LsmEngine? _lsm = engine as LsmEngine;

        // As in db_bench, each thread of each workload draws from a seed of its own: reads must not repeat the very order of the writes
        // before them.
        private ulong _random = (ulong)(bench._options.Seed + bench._threadsStarted++) * 0xD1342543DE82EF95 + 1;
        private ulong _version;
        private volatile bool _stop;

        public LatencyHistogram Latencies { get; } = new();

        public long Operations { get; private set; }

        public long Found { get; private set; }

        public Exception? Error { get; private set; }

        public void Stop() => _stop = true;

        public void Run()
        {
            try
            {
                long writes = _options.Writes < 0 ? _options.Num : _options.Writes;
                long reads = _options.Reads < 0 ? _options.Num : _options.Reads;
                switch (name)
                {
                    case "fillseq":
                        Write(writes, sequential: true, _options.Sync);
                        break;
                    case "fillrandom" or "overwrite":
                        Write(writes, sequential: false, _options.Sync);
                        break;
                    case "fillsync":
                        Write(_options.Writes < 0 ? Math.Max(1, _options.Num / 1000) : writes, sequential: false, sync: true);
                        break;
                    case "readwhilewriting" when isWriter:
                        Write(long.MaxValue, sequential: false, _options.Sync);
                        break;
                    case "readrandom" or "readwhilewriting":
                        Read(reads, missing: false);
                        break;
                    case "readmissing":
                        Read(reads, missing: true);
                        break;
                    case "seekrandom":
                        Seek(reads);
                        break;
                    case "readseq":
                        ReadSequentially(reads);
                        break;
                    default:
                        throw new HengeException(ErrorCode.InvalidArgument, $"There is no workload '{name}'.");
                }
            }
            catch (Exception error)
            {
                Error = error;
            }
        }

        private void Write(long count, bool sequential, bool sync)
        {
            long last = Stopwatch.GetTimestamp();
            for (long i = 0; i < count && !_stop; i++)
            {
                SetKey(sequential ? i : NextKey());
                ReadOnlySpan<byte> value = bench._values.AsSpan((int)(Next() & 0xFFFFF), _options.ValueBytes);
                _batch.Clear();
                if (_lsm is not null)
                {
                    _batch.Put(Keyspace, _key, Core.Version.Zero, value);
                    _version = _lsm.Write(_batch, sync).Value;
                }
                else
                {
                    _batch.Put(Keyspace + (uint)index, _key, new Core.Version(++_version), value);
                    engine.Apply(_batch, sync);
                }

                if ((i & 4095) == 0)
                {
                    engine.SetHistoryFloor(new Core.Version(_version));
                }

                last = Tick(last);
            }
        }

        private void Read(long count, bool missing)
        {
            var point = new ReadPoint(Core.Version.Max, 0);
            byte[] key = missing ? new byte[_key.Length + 1] : _key;
            long last = Stopwatch.GetTimestamp();
            for (long i = 0; i < count; i++)
            {
                SetKey(NextKey());
                if (missing)
                {
                    _key.CopyTo(key, 0);
                    key[^1] = (byte)'.';
                }

                if (engine.TryGet(Keyspace, key, point, out PinnedValue value))
                {
                    Found++;
                    value.Dispose();
                }

                last = Tick(last);
            }
        }

        private void Seek(long count)
        {
            long last = Stopwatch.GetTimestamp();
            for (long i = 0; i < count; i++)
            {
                SetKey(NextKey());
                using EngineIterator iterator = engine.CreateIterator(
                    new IteratorOptions
                    {
                        Keyspace = Keyspace,
                        Point = new ReadPoint(Core.Version.Max, 0),
                        FillCache = true,
                    });
                iterator.Seek(_key);
                if (iterator.Valid && iterator.Key.SequenceEqual(_key))
                {
                    Found++;
                }

                long bytes = 0;
                for (int n = 0; n < _options.SeekNexts && iterator.Valid; n++)
                {
                    bytes += iterator.Value.Length;
                    iterator.Next();
                }

                last = Tick(last);
            }
        }

        private void ReadSequentially(long count)
        {
            using EngineIterator iterator = engine.CreateIterator(
                new IteratorOptions
                {
                    Keyspace = Keyspace,
                    Point = new ReadPoint(Core.Version.Max, 0),
                    FillCache = true,
                });
            long bytes = 0;
            long i = 0;
            long last = Stopwatch.GetTimestamp();
            for (iterator.SeekToFirst(); iterator.Valid && i < count; iterator.Next())
            {
                bytes += iterator.Key.Length + iterator.Value.Length;

                // A look at the clock costs as much as a step: one for sixteen.
                if ((++i & 15) == 0)
                {
                    long now = Stopwatch.GetTimestamp();
                    Latencies.Record((now - last) * (1_000_000_000 / Stopwatch.Frequency) / 16);
                    last = now;
                }
            }

            Operations = i;
            Found = bytes == 0 ? 0 : i;
        }

        private long Tick(long last)
        {
            long now = Stopwatch.GetTimestamp();
            Latencies.Record((now - last) * (1_000_000_000 / Stopwatch.Frequency));
            Operations++;
            return now;
        }

        private long NextKey() => (long)(Next() % (ulong)_options.Num);

        // As in db_bench: the number big-endian, then zeros ('0').
        private void SetKey(long number)
        {
            System.Buffers.Binary.BinaryPrimitives.WriteInt64BigEndian(_key, number);
            _key.AsSpan(8).Fill((byte)'0');
        }

        // splitmix64 (Steele et al., 2014).
        private ulong Next()
        {
            ulong z = _random += 0x9E3779B97F4A7C15;
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
            z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
            return z ^ (z >> 31);
        }
    }
}
