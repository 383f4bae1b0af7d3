using System.Buffers.Text;
using System.IO.Hashing;
using Henge.Core;

namespace Henge.Bench.Load;

/// <summary>How keys are chosen.</summary>
public enum KeyDistributionKind
{
    /// <summary>Each as likely as any other.</summary>
    Uniform,
    /// <summary>A few far more often than the rest (Zipf's law, theta 0.99), spread over the key space.</summary>
    Zipfian,
    /// <summary>One after another.</summary>
    Sequential,
    /// <summary>As zipfian, with the keys inserted last the most likely.</summary>
    Latest,
}

/// <summary>
/// Chooses key numbers. One for each worker; the counters of inserted and sequential keys are shared. Not thread-safe by itself.
/// </summary>
/// <remarks>
/// The zipfian generator is that of Gray et al., "Quickly Generating Billion-Record Synthetic Databases" (SIGMOD 1994), as YCSB uses it.
/// </remarks>
public sealed class KeyDistribution
{
    private const double Theta = 0.99;
    private readonly KeyDistributionKind _kind;
    private readonly KeyCounter _counter;
    private readonly Random _random;
    private readonly double _zetaN, _alpha, _eta;
    private readonly long _zipfItems;

    /// <summary>Creates a chooser over the counter's keys.</summary>
    public KeyDistribution(KeyDistributionKind kind, KeyCounter counter, int seed)
    {
        _kind = kind;
        _counter = counter;
        _random = new Random(seed);
        _zipfItems = Math.Max(2, counter.Initial);
        if (kind is KeyDistributionKind.Zipfian or KeyDistributionKind.Latest)
        {
            _zetaN = counter.Zeta(_zipfItems, Theta);
            _alpha = 1 / (1 - Theta);
            _eta = (1 - Math.Pow(2.0 / _zipfItems, 1 - Theta)) / (1 - KeyCounter.SumZeta(2, Theta) / _zetaN);
        }
    }

    /// <summary>The worker's own randomness, for choosing operations.</summary>
    public double NextShare() => _random.NextDouble();

    /// <summary>The number of an existing key.</summary>
    public long Next() => _kind switch
    {
        KeyDistributionKind.Uniform => _random.NextInt64(_counter.Count),
        KeyDistributionKind.Sequential => _counter.NextSequential(),
        KeyDistributionKind.Latest => Math.Max(0, _counter.Count - 1 - NextZipf()),
        _ => (long)(Scramble((ulong)NextZipf()) % (ulong)_counter.Count),
    };

    private long NextZipf()
    {
        double u = _random.NextDouble(),
            uz = u * _zetaN;
        return uz < 1 ? 0
            : uz < 1 + Math.Pow(0.5, Theta) ? 1
            : Math.Min(_zipfItems - 1, (long)(_zipfItems * Math.Pow(_eta * u - _eta + 1, _alpha)));
    }

    private static ulong Scramble(ulong value)
    {
        Span<byte> bytes = stackalloc byte[8];
        BitConverter.TryWriteBytes(bytes, value);
        return XxHash64.HashToUInt64(bytes);
    }
}

/// <summary>How many keys there are, shared by all workers. Thread-safe.</summary>
public sealed class KeyCounter(long initial)
{
    private long _count = Math.Max(1, initial);
    private long _sequential = -1;
    private double _zeta;

    /// <summary>Keys there were at the start.</summary>
    public long Initial { get; } = Math.Max(1, initial);

    /// <summary>Keys there are.</summary>
    public long Count => Volatile.Read(ref _count);

    /// <summary>The number for a new key.</summary>
    public long NextInsert() => Interlocked.Increment(ref _count) - 1;

    /// <summary>The next number in order, round and round.</summary>
    public long NextSequential() => Interlocked.Increment(ref _sequential) % Initial;

    /// <summary>The sum that Zipf's law is divided by; computed once for all workers.</summary>
    public double Zeta(long items, double theta)
    {
        lock (this)
        {
            return _zeta != 0 ? _zeta : _zeta = SumZeta(items, theta);
        }
    }

    internal static double SumZeta(long items, double theta)
    {
        // Beyond ten million the tail is smooth enough for its integral.
        long exact = Math.Min(items, 10_000_000);
        double sum = 0;
        for (long i = 1; i <= exact; i++)
        {
            sum += 1 / Math.Pow(i, theta);
        }

        return items == exact ? sum : sum + (Math.Pow(items, 1 - theta) - Math.Pow(exact, 1 - theta)) / (1 - theta);
    }
}

/// <summary>Turns key numbers into keys: <c>key:000000000042</c>. Pure functions.</summary>
public static class BenchKeys
{
    /// <summary>Bytes of a key.</summary>
    public const int Length = 16;

    /// <summary>Writes a key.</summary>
    public static void Write(long number, Span<byte> destination)
    {
        "key:"u8.CopyTo(destination);
        Utf8Formatter.TryFormat(number, destination[4..], out _, new System.Buffers.StandardFormat('D', 12));
    }

    /// <summary>A key as a new array.</summary>
    public static byte[] Create(long number)
    {
        var key = new byte[Length];
        Write(number, key);
        return key;
    }
}
