using System.Diagnostics;
using Henge.Bench.Load;
using Henge.Core;
using Henge.Storage;
using Henge.Storage.Lsm;
using Henge.Storage.Lsm.Settings;
using Henge.Storage.Memory;
using Henge.Storage.RocksDb;

namespace Henge.Bench.Engine;

/// <summary>
/// The workloads of RocksDB's db_bench on Henge's engines, under the same names and with the same parameters, so that both can be run in
/// turn and compared. As RocksDB, the engine is told to keep no history of overwritten keys.
/// </summary>
public sealed class EngineBench : IDisposable
{
    internal const uint Keyspace = 1;
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
                    (_engine as RocksDbEngine)?.Compact();
                    break;
                case "restart":
                    onResult(Restart());
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
        Open(fresh: name is "fillsync" or "fillseq" or "fillrandom");
        IStorageEngine engine = _engine!;
        int threads = _options.Threads;
        bool withWriter = name == "readwhilewriting";
        var workers = new EngineBenchWorker[threads + (withWriter ? 1 : 0)];
        for (int i = 0; i < workers.Length; i++)
        {
            workers[i] = new EngineBenchWorker(
                _options, _values, engine, i, _options.Seed + _threadsStarted++, name, isWriter: withWriter && i == threads);
        }

        GC.Collect();
        GC.WaitForPendingFinalizers();
        EngineStatistics before = engine.GetStatistics();
        long residentBefore = Environment.WorkingSet;
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
        foreach (EngineBenchWorker worker in workers.Take(threads))
        {
            histogram.Add(worker.Latencies);
            operations += worker.Operations;
            found += worker.Found;
        }

        long bytesIn = after.BytesIn - before.BytesIn;
        return Result(name, operations, seconds, found, histogram) with
        {
            LogicalBytes = bytesIn,
            ResidentBytesBefore = residentBefore,
            AllocatedBytesPerOperation = (double)allocated / Math.Max(1, operations),
            Collections = collections,
            GcPauseMs = pause.TotalMilliseconds,
            WriteAmplification = bytesIn == 0 ? 0 : (double)(after.BytesWritten - before.BytesWritten) / bytesIn,
        };
    }

    private static void RunWorkers(EngineBenchWorker[] workers, int readers)
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
        if ((fresh || !_options.UseExisting) && Directory.Exists(_options.Directory))
        {
            Directory.Delete(_options.Directory, recursive: true);
        }

        _engine = Create();
    }

    private IStorageEngine Create() => _options.Engine switch
    {
        "memory" => new MemoryEngine(),
        "rocksdb" => RocksDbEngine.Open(new RocksDbOptions
        {
            Directory = _options.Directory,
            MemoryBytes = _options.MemoryBytes,
            BloomBitsPerKey = _options.BloomBits,
            WriteAheadLog = !_options.DisableLog,
        }),
        _ => LsmEngine.Open(new LsmOptions
        {
            Directory = _options.Directory,
            MemoryBytes = _options.MemoryBytes,
            BloomBitsPerKey = _options.BloomBits,
            WriteAheadLog = !_options.DisableLog,
        }),
    };

    // Flushed, closed and opened again, to the first read.
    private EngineBenchResult Restart()
    {
        Open(fresh: false);
        if (_options.Engine == "memory")
        {
            throw new HengeException(ErrorCode.InvalidArgument, "The memory engine keeps nothing over a restart.");
        }

        _engine!.Flush();
        _engine.Dispose();
        _engine = null;
        GC.Collect();
        var clock = Stopwatch.StartNew();
        _engine = Create();
        bool found = _engine.TryGet(Keyspace, new byte[_options.KeyBytes], new ReadPoint(Core.Version.Max, 0), out PinnedValue value);
        double seconds = clock.Elapsed.TotalSeconds;
        if (found)
        {
            value.Dispose();
        }

        var histogram = new LatencyHistogram();
        histogram.Record((long)(seconds * 1e9));
        return Result("restart", 1, seconds, found ? 1 : 0, histogram);
    }

    private EngineBenchResult Result(string name, long operations, double seconds, long found, LatencyHistogram histogram) => new()
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
        DiskBytes = Directory.Exists(_options.Directory)
            ? new DirectoryInfo(_options.Directory).EnumerateFiles("*", SearchOption.AllDirectories).Sum(SizeOf)
            : 0,
        ResidentBytes = Environment.WorkingSet,
    };

    // Compactions delete files meanwhile.
    private static long SizeOf(FileInfo file)
    {
        try
        {
            return file.Length;
        }
        catch (FileNotFoundException)
        {
            return 0;
        }
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
}
