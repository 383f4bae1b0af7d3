using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace Henge.Server.Metrics;

/// <summary>
/// Durations of one kind of operation: counts by bucket, striped by processor, so that recording takes no lock, shares no cache line and
/// allocates nothing, and takes many operations of one batch at once. What listens to the meter itself (an OTLP exporter, dotnet-counters)
/// gets every duration through the histogram instrument, and only then is that paid for (docs/decisions/0101-metrics.md). Thread-safe.
/// </summary>
internal sealed class DurationRecorder
{
    // Buckets and the sum, padded to whole cache lines.
    private const int StripeLongs = 24;

    private static readonly double[] Seconds =
    [
        0.0001,
        0.00025,
        0.0005,
        0.001,
        0.0025,
        0.005,
        0.01,
        0.025,
        0.05,
        0.1,
        0.25,
        0.5,
        1,
        2.5,
        5,
        10,
    ];
    private static readonly long[] Ticks = [.. Seconds.Select(static s => (long)(s * Stopwatch.Frequency))];
    private static readonly int Stripes = (int)
        System.Numerics.BitOperations.RoundUpToPowerOf2((uint)Math.Clamp(Environment.ProcessorCount, 1, 16));

    private readonly Histogram<double>? _instrument;
    private readonly KeyValuePair<string, object?>[] _tags;
    private long[]? _counts;

    /// <summary>Creates a recorder that also records into an instrument, if it has a listener.</summary>
    public DurationRecorder(Histogram<double>? instrument, params KeyValuePair<string, object?>[] tags)
    {
        _instrument = instrument;
        _tags = tags;
    }

    /// <summary>Upper ends of the buckets, in seconds, inclusive; above the last there is one more.</summary>
    public static IReadOnlyList<double> BucketSeconds => Seconds;

    /// <summary>What tells it apart from others of the same instrument.</summary>
    public ReadOnlySpan<KeyValuePair<string, object?>> Tags => _tags;

    /// <summary>Counts operations that began at a timestamp and end now.</summary>
    public void RecordSince(long startTimestamp, int operations = 1) => Record(Stopwatch.GetTimestamp() - startTimestamp, operations);

    /// <summary>Counts operations of the same duration, in ticks of <see cref="Stopwatch"/>.</summary>
    public void Record(long elapsedTicks, int operations = 1)
    {
        elapsedTicks = Math.Max(0, elapsedTicks);
        int bucket = 0;
        long[] ends = Ticks;
        while (bucket < ends.Length && elapsedTicks > ends[bucket])
        {
            bucket++;
        }

        // Most kinds never occur, so their memory is not taken before they do.
        long[] counts = _counts ?? Allocate();
        int stripe = (Thread.GetCurrentProcessorId() & (Stripes - 1)) * StripeLongs;
        Interlocked.Add(ref counts[stripe + bucket], operations);
        Interlocked.Add(ref counts[stripe + StripeLongs - 1], elapsedTicks * operations);
        if (_instrument is { Enabled: true } instrument)
        {
            double seconds = (double)elapsedTicks / Stopwatch.Frequency;
            for (int i = 0; i < operations; i++)
            {
                instrument.Record(seconds, _tags);
            }
        }
    }

    /// <summary>Reads the counts of all buckets (not summed up), the one above the last included; false when there are none.</summary>
    public bool TryRead(Span<long> buckets, out long count, out double sumSeconds)
    {
        buckets.Clear();
        (count, sumSeconds) = (0, 0);
        if (Volatile.Read(ref _counts) is not { } counts)
        {
            return false;
        }

        long ticks = 0;
        for (int stripe = 0; stripe < Stripes; stripe++)
        {
            for (int bucket = 0; bucket <= Seconds.Length; bucket++)
            {
                long value = Volatile.Read(ref counts[(stripe * StripeLongs) + bucket]);
                buckets[bucket] += value;
                count += value;
            }

            ticks += Volatile.Read(ref counts[(stripe * StripeLongs) + StripeLongs - 1]);
        }

        sumSeconds = (double)ticks / Stopwatch.Frequency;
        return count > 0;
    }

    private long[] Allocate()
    {
        long[] made = new long[Stripes * StripeLongs];
        return Interlocked.CompareExchange(ref _counts, made, null) ?? made;
    }
}
