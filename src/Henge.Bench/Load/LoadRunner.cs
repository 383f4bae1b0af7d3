using System.Diagnostics;
using Henge.Core;

namespace Henge.Bench.Load;

/// <summary>What is under way, for a progress bar.</summary>
public readonly record struct LoadProgress(string Phase, double Share, long Operations, double OperationsPerSecond, long Errors);

/// <summary>Puts a load on a target and measures it. One run for each instance.</summary>
public sealed class LoadRunner(ILoadTarget target, LoadOptions options)
{
    private const int SampleMs = 250;
    private readonly List<LoadWorker> _workers = [];
    private readonly List<ThroughputSample> _samples = [];
    private readonly ClusterChanges _changes = new(target);

    /// <summary>
    /// Runs preload, warm-up and measurement. Errors of single operations are counted; only a target that cannot be reached at all throws.
    /// </summary>
    public async Task<LoadResult> RunAsync(IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        options.Validate();
        DateTimeOffset date = DateTimeOffset.UtcNow;
        var counter = new KeyCounter(options.Keys);
        try
        {
            if (options.Preload)
            {
                await PreloadAsync(progress, cancellationToken);
            }

            for (int i = 0; i < options.Concurrency; i++)
            {
                ILoadConnection connection = await target.ConnectAsync(i, cancellationToken);
                _workers.Add(new LoadWorker(connection, options, counter, i));
            }

            using var clock = new LoadClock();
            using CancellationTokenRegistration cancelled = cancellationToken.Register(clock.Stop);
            var pace = new LoadPace(options, clock);
            Task[] lanes =
            [
                .. _workers.SelectMany(w =>
                    Enumerable
                        .Range(0, w.Lanes)
                        .Select(lane => Task.Run(() => w.RunAsync(pace, lane, cancellationToken), CancellationToken.None))),
            ];
            await WarmUpAsync(pace, progress, cancellationToken);
            long started = Stopwatch.GetTimestamp();
            TimeSpan serverCpu = ServerCpu();
            await SampleAsync(pace, lanes, started, progress, cancellationToken);
            TimeSpan elapsed = Stopwatch.GetElapsedTime(started, pace.EndedAt != 0 ? pace.EndedAt : Stopwatch.GetTimestamp());
            await Task.WhenAll(lanes);
            TimeSpan cpu = ServerCpu() - serverCpu;
            await _changes.EndAsync(elapsed.TotalSeconds, cancellationToken);
            return LoadResult.Create(target.Name, options, _workers, _samples, elapsed, cpu) with
            {
                Date = date,
                Changes = _changes.Noted,
            };
        }
        finally
        {
            foreach (LoadWorker worker in _workers)
            {
                await worker.DisposeAsync();
            }
        }
    }

    /// <summary>Processes whose CPU time is to be told beside the figures; set by who knows them.</summary>
    public IReadOnlyList<int> ServerProcesses { get; init; } = [];

    private TimeSpan ServerCpu()
    {
        TimeSpan sum = TimeSpan.Zero;
        foreach (int id in ServerProcesses)
        {
            try
            {
                using var process = Process.GetProcessById(id);
                sum += process.TotalProcessorTime;
            }
            catch (Exception gone) when (gone is ArgumentException or InvalidOperationException)
            {
                // The process ended during the run; what it used is no longer told.
                continue;
            }
        }

        return sum;
    }

    private async Task WarmUpAsync(LoadPace pace, IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        if (options.WarmUp > TimeSpan.Zero)
        {
            progress?.Report(new LoadProgress("warm-up", 0, 0, 0, 0));
            await Task.Delay(options.WarmUp, cancellationToken);
        }

        pace.BeginMeasuring();
    }

    private async Task SampleAsync(
        LoadPace pace,
        Task[] lanes,
        long started,
        IProgress<LoadProgress>? progress,
        CancellationToken cancellationToken)
    {
        Task all = Task.WhenAll(lanes);
        long readsBefore = 0, writesBefore = 0;
        TimeSpan at = TimeSpan.Zero;
        while (!all.IsCompleted)
        {
            await Task.WhenAny(all, Task.Delay(SampleMs, cancellationToken));
            cancellationToken.ThrowIfCancellationRequested();
            TimeSpan now = Stopwatch.GetElapsedTime(started);
            _changes.Look(now.TotalSeconds, cancellationToken);
            long reads = _workers.Sum(w => w.Reads.Count), writes = _workers.Sum(w => w.Writes.Count), operations = reads + writes;
            long errors = _workers.Sum(w => w.Errors);
            double seconds = Math.Max(0.001, (now - at).TotalSeconds), rate = (operations - readsBefore - writesBefore) / seconds;
            _samples.Add(new ThroughputSample(now.TotalSeconds, rate, (reads - readsBefore) / seconds, (writes - writesBefore) / seconds));
            double share = options.Operations > 0 ? (double)operations / options.Operations : now / options.Duration;
            progress?.Report(new LoadProgress("run", Math.Min(1, share), operations, rate, errors));
            (readsBefore, writesBefore, at) = (reads, writes, now);
            if (options.Operations == 0 && now >= options.Duration)
            {
                pace.Stop();
            }
        }

        await all;
    }

    private async Task PreloadAsync(IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        long next = -1, done = 0, started = Stopwatch.GetTimestamp();
        async Task LaneAsync(int lane)
        {
            await using ILoadConnection connection = await target.ConnectAsync(lane, cancellationToken);
            var value = new byte[options.ValueBytes];
            new Random(options.Seed + lane).NextBytes(value);
            long number;
            while ((number = Interlocked.Increment(ref next)) < options.Keys)
            {
                await connection.PutAsync(BenchKeys.Create(number), value, cancellationToken);
                Interlocked.Increment(ref done);
            }
        }

        Task all = Task.WhenAll(
            Enumerable
                .Range(0, Math.Clamp(options.Concurrency * options.Pipeline, 64, 1024))
                .Select(lane => Task.Run(() => LaneAsync(lane), cancellationToken)));
        while (!all.IsCompleted)
        {
            await Task.WhenAny(all, Task.Delay(SampleMs, cancellationToken));
            long count = Volatile.Read(ref done);
            progress?.Report(
                new LoadProgress(
                    "preload",
                    (double)count / options.Keys,
                    count,
                    count / Math.Max(0.001, Stopwatch.GetElapsedTime(started).TotalSeconds),
                    0));
        }

        await all;
    }
}

/// <summary>When operations are due, and which are measured. Shared by all workers; thread-safe.</summary>
internal sealed class LoadPace(LoadOptions options, LoadClock clock)
{
    private readonly long _startedAt = Stopwatch.GetTimestamp();
    private long _issued;
    private long _measured;
    private volatile bool _measuring;
    private volatile bool _stopped;
    private long _endedAt;

    /// <summary>What wakes lanes when their operations are due.</summary>
    public LoadClock Clock => clock;

    /// <summary>When the last measured operation was given out; 0 if none was yet.</summary>
    public long EndedAt => Volatile.Read(ref _endedAt);

    public void BeginMeasuring() => _measuring = true;

    public void Stop()
    {
        _stopped = true;
        Volatile.Write(ref _endedAt, Stopwatch.GetTimestamp());
        clock.Stop();
    }

    /// <summary>Gives out the next operation: when it is due (0: now) and whether it is measured. False: it is over.</summary>
    public bool TryNext(out long dueAt, out bool measured)
    {
        dueAt = 0;
        measured = _measuring;
        if (_stopped)
        {
            return false;
        }

        if (measured && options.Operations > 0 && Interlocked.Increment(ref _measured) > options.Operations)
        {
            return false;
        }

        if (options.Rate > 0)
        {
            long number = Interlocked.Increment(ref _issued);
            dueAt = _startedAt + (long)(number / options.Rate * Stopwatch.Frequency);
        }

        return true;
    }
}

/// <summary>Throughput around one moment: of all operations, and of reads and writes apart.</summary>
public readonly record struct ThroughputSample(
    double Seconds,
    double OperationsPerSecond,
    double ReadsPerSecond = 0,
    double WritesPerSecond = 0);
