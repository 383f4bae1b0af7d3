using HdrHistogram;

namespace Henge.Bench.Load;

/// <summary>
/// Counts latencies in nanoseconds up to an hour by an HdrHistogram of two digits: every percentile is right to within 1%, in 37 KB. The
/// mean and the longest are exact. Not thread-safe: each worker has its own, and <see cref="Add"/> merges them.
/// </summary>
public sealed class LatencyHistogram
{
    // An hour; what took longer is counted as an hour.
    private const long TopNs = 3_600_000_000_000;
    private readonly LongHistogram _counts = new(TopNs, 2);
    private double _sumNs;

    /// <summary>How many latencies were recorded.</summary>
    public long Count => _counts.TotalCount;

    /// <summary>The longest, in nanoseconds.</summary>
    public long MaxNs { get; private set; }

    /// <summary>The mean, in nanoseconds; 0 when empty.</summary>
    public double MeanNs => Count == 0 ? 0 : _sumNs / Count;

    /// <summary>Records one latency.</summary>
    public void Record(long ns)
    {
        ns = Math.Max(ns, 0);
        _counts.RecordValue(Math.Min(ns, TopNs));
        _sumNs += ns;
        MaxNs = Math.Max(MaxNs, ns);
    }

    /// <summary>Takes in what another has recorded.</summary>
    public void Add(LatencyHistogram other)
    {
        _counts.Add(other._counts);
        _sumNs += other._sumNs;
        MaxNs = Math.Max(MaxNs, other.MaxNs);
    }

    /// <summary>The latency that a share of all (0 to 1) did not exceed, in nanoseconds; 0 when empty.</summary>
    public long Percentile(double share) => Count == 0 ? 0 : Math.Min(_counts.GetValueAtPercentile(share * 100), MaxNs);
}
