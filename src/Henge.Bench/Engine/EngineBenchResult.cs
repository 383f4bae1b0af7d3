namespace Henge.Bench.Engine;

/// <summary>What one workload of <see cref="EngineBench"/> measured.</summary>
public sealed record EngineBenchResult
{
    /// <summary>The workload's name.</summary>
    public required string Name { get; init; }

    /// <summary>Operations done (for readseq: entries).</summary>
    public required long Operations { get; init; }

    /// <summary>Seconds they took.</summary>
    public required double Seconds { get; init; }

    /// <summary>Reads that found something.</summary>
    public required long Found { get; init; }

    /// <summary>Operations in a second, all threads together.</summary>
    public double OperationsPerSecond => Operations / Seconds;

    /// <summary>Median latency in microseconds.</summary>
    public required double P50Micros { get; init; }

    /// <summary>95th percentile of latency in microseconds.</summary>
    public required double P95Micros { get; init; }

    /// <summary>99th percentile of latency in microseconds.</summary>
    public required double P99Micros { get; init; }

    /// <summary>99.9th percentile of latency in microseconds.</summary>
    public required double P999Micros { get; init; }

    /// <summary>Longest latency in microseconds.</summary>
    public required double MaxMicros { get; init; }

    /// <summary>Managed bytes that the whole process allocated for each operation.</summary>
    public double AllocatedBytesPerOperation { get; init; }

    /// <summary>Garbage collections during the workload.</summary>
    public int Collections { get; init; }

    /// <summary>Milliseconds for which all threads were stopped by them.</summary>
    public double GcPauseMs { get; init; }

    /// <summary>Bytes that flushes and compactions wrote for each byte that came in; 0 for reads.</summary>
    public double WriteAmplification { get; init; }

    /// <summary>Bytes of the engine's files when it was over.</summary>
    public long DiskBytes { get; init; }

    /// <summary>Bytes of keys and values that a workload wrote; 0 for reads.</summary>
    public long LogicalBytes { get; init; }

    /// <summary>Bytes of memory that the process had before it.</summary>
    public long ResidentBytesBefore { get; init; }

    /// <summary>Bytes of memory that the process had then.</summary>
    public long ResidentBytes { get; init; }
}
