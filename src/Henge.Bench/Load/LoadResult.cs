using System.Text.Json;
using System.Text.Json.Serialization;

namespace Henge.Bench.Load;

/// <summary>Latencies of one kind of operation, in milliseconds.</summary>
public sealed record LatencySummary(long Count, double MeanMs, double P50Ms, double P95Ms, double P99Ms, double P999Ms, double MaxMs)
{
    /// <summary>The curve for a plot: share of operations and the latency that it did not exceed.</summary>
    public IReadOnlyList<double[]> Curve { get; init; } = [];

    internal static LatencySummary Create(LatencyHistogram histogram)
    {
        double[] shares = [0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99, 0.995, 0.999, 0.9995, 0.9999, 0.99999];
        double At(double share) => histogram.Percentile(share) / 1e6;
        return new LatencySummary(histogram.Count, histogram.MeanNs / 1e6, At(0.5), At(0.95), At(0.99), At(0.999), histogram.MaxNs / 1e6)
        {
            Curve = [.. shares.Where(s => histogram.Count > 0 && (1 - s) * histogram.Count >= 1).Select(s => new[] { s, At(s) })],
        };
    }
}

/// <summary>What a run measured.</summary>
public sealed record LoadResult
{
    /// <summary>What was under load.</summary>
    public required string Target { get; init; }

    /// <summary>The mix.</summary>
    public required string Workload { get; init; }

    /// <summary>Connections.</summary>
    public required int Concurrency { get; init; }

    /// <summary>Operations under way on each.</summary>
    public required int Pipeline { get; init; }

    /// <summary>Bytes of a value.</summary>
    public required int ValueBytes { get; init; }

    /// <summary>Operations a second that were asked for; 0: as fast as answers came.</summary>
    public double Rate { get; init; }

    /// <summary>When the run began.</summary>
    public DateTimeOffset Date { get; init; }

    /// <summary>The load generator's version, with its commit where the build knew it.</summary>
    public string HengeVersion { get; init; } = BenchMachine.Version;

    /// <summary>What it ran on: processor, cores, memory, system, runtime.</summary>
    public string Machine { get; init; } = BenchMachine.Description;

    /// <summary>Operations that were measured.</summary>
    public long Operations { get; init; }

    /// <summary>Seconds that they took.</summary>
    public double Seconds { get; init; }

    /// <summary>Operations a second.</summary>
    public double OperationsPerSecond { get; init; }

    /// <summary>Operations that failed (not among the measured ones).</summary>
    public long Errors { get; init; }

    /// <summary>Errors by message.</summary>
    public IReadOnlyDictionary<string, long> ErrorMessages { get; init; } = new Dictionary<string, long>();

    /// <summary>Reads that found nothing.</summary>
    public long Missing { get; init; }

    /// <summary>Reads and scans.</summary>
    public required LatencySummary Reads { get; init; }

    /// <summary>Writes.</summary>
    public required LatencySummary Writes { get; init; }

    /// <summary>All.</summary>
    public required LatencySummary All { get; init; }

    /// <summary>CPU seconds of the servers, where they run on this machine and are known; else 0.</summary>
    public double ServerCpuSeconds { get; init; }

    /// <summary>Throughput over time.</summary>
    public IReadOnlyList<ThroughputSample> Samples { get; init; } = [];

    /// <summary>What changed in the cluster meanwhile: nodes that joined or left, shards with other leaders or replicas.</summary>
    public IReadOnlyList<ClusterChange> Changes { get; init; } = [];

    internal static LoadResult Create(
        string target,
        LoadOptions options,
        IReadOnlyList<LoadWorker> workers,
        IReadOnlyList<ThroughputSample> samples,
        TimeSpan elapsed,
        TimeSpan serverCpu)
    {
        LatencyHistogram reads = new(), writes = new(), all = new();
        var errors = new SortedDictionary<string, long>(StringComparer.Ordinal);
        foreach (LoadWorker worker in workers)
        {
            reads.Add(worker.Reads);
            writes.Add(worker.Writes);
            foreach ((string message, long count) in worker.ErrorMessages)
            {
                errors[message] = errors.GetValueOrDefault(message) + count;
            }
        }

        all.Add(reads);
        all.Add(writes);
        return new LoadResult
        {
            Target = target,
            Workload = options.Workload.Name,
            Concurrency = options.Concurrency,
            Pipeline = options.Pipeline,
            ValueBytes = options.ValueBytes,
            Rate = options.Rate,
            Operations = all.Count,
            Seconds = elapsed.TotalSeconds,
            OperationsPerSecond = all.Count / Math.Max(1e-9, elapsed.TotalSeconds),
            Errors = workers.Sum(w => w.Errors),
            ErrorMessages = errors,
            Missing = workers.Sum(w => w.Missing),
            Reads = LatencySummary.Create(reads),
            Writes = LatencySummary.Create(writes),
            All = LatencySummary.Create(all),
            ServerCpuSeconds = serverCpu.TotalSeconds,
            Samples = [.. samples],
        };
    }

    /// <summary>The result as one JSON object.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, LoadJson.Default.LoadResult);
}

/// <summary>Generated at build time, so that nothing is reflected over at run time.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true)]
[JsonSerializable(typeof(LoadResult))]
internal sealed partial class LoadJson : JsonSerializerContext;
