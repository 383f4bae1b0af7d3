using System.Diagnostics;

namespace Henge.Bench.Load;

/// <summary>One connection and the lanes that keep operations under way on it.</summary>
internal sealed class LoadWorker(ILoadConnection connection, LoadOptions options, KeyCounter counter, int number) : IAsyncDisposable
{
    private const int ErrorKinds = 8;
    private readonly Lock _gate = new();
    private readonly Dictionary<string, long> _errors = [];
    private long _errorCount;

    /// <summary>Lanes of this worker.</summary>
    public int Lanes { get; } = options.Pipeline;

    /// <summary>Errors so far.</summary>
    public long Errors => Volatile.Read(ref _errorCount);

    /// <summary>Latencies of reads and scans.</summary>
    public LatencyHistogram Reads { get; } = new();

    /// <summary>Latencies of writes.</summary>
    public LatencyHistogram Writes { get; } = new();

    /// <summary>Reads that found nothing.</summary>
    public long Missing { get; private set; }

    /// <summary>Errors by message.</summary>
    public IReadOnlyDictionary<string, long> ErrorMessages => _errors;

    /// <summary>Works until the pace says that it is over.</summary>
    public async Task RunAsync(LoadPace pace, int lane, CancellationToken cancellationToken)
    {
        var keys = new KeyDistribution(options.Workload.Distribution, counter, options.Seed + number * 1000 + lane);
        var key = new byte[BenchKeys.Length];
        var value = new byte[options.ValueBytes];
        var alarm = new LoadAlarm(pace.Clock);
        new Random(options.Seed + number).NextBytes(value);
        while (pace.TryNext(out long dueAt, out bool measured) && !cancellationToken.IsCancellationRequested)
        {
            if (dueAt != 0)
            {
                await alarm.UntilAsync(dueAt);
                if (dueAt > Stopwatch.GetTimestamp())
                {
                    // Woken before its time: the run is over.
                    return;
                }
            }

            LoadAction action = options.Workload.Choose(keys.NextShare());
            BenchKeys.Write(action == LoadAction.Insert ? counter.NextInsert() : keys.Next(), key);
            long start = dueAt != 0 ? dueAt : Stopwatch.GetTimestamp();
            try
            {
                bool found = await DoAsync(action, key, value, keys, cancellationToken);
                if (measured)
                {
                    Count(action, found, start);
                }
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception error)
            {
                if (measured)
                {
                    CountError(error.Message);
                }

                // A target that is down answers at once; without a breath the loop would only count errors.
                await Task.Delay(10, CancellationToken.None);
            }
        }
    }

    public ValueTask DisposeAsync() => connection.DisposeAsync();

    private async ValueTask<bool> DoAsync(
        LoadAction action,
        byte[] key,
        byte[] value,
        KeyDistribution keys,
        CancellationToken cancellationToken)
    {
        switch (action)
        {
            case LoadAction.Read:
                return await connection.GetAsync(key, cancellationToken);
            case LoadAction.Scan:
                return await connection.ScanAsync(key, 1 + (int)(keys.NextShare() * options.Workload.ScanLength), cancellationToken) > 0;
            case LoadAction.ReadModifyWrite:
                bool found = await connection.GetAsync(key, cancellationToken);
                await connection.PutAsync(key, value, cancellationToken);
                return found;
            default:
                await connection.PutAsync(key, value, cancellationToken);
                return true;
        }
    }

    private void Count(LoadAction action, bool found, long start)
    {
        long ns = (long)(Stopwatch.GetElapsedTime(start).TotalMilliseconds * 1e6);
        lock (_gate)
        {
            (action is LoadAction.Read or LoadAction.Scan ? Reads : Writes).Record(ns);
            Missing += found ? 0 : 1;
        }
    }

    private void CountError(string message)
    {
        lock (_gate)
        {
            _errorCount++;
            if (_errors.Count < ErrorKinds || _errors.ContainsKey(message))
            {
                _errors[message] = _errors.GetValueOrDefault(message) + 1;
            }
        }
    }
}
