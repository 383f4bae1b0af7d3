using Henge.Core;

namespace Henge.Bench.Load;

/// <summary>What a worker does next.</summary>
public enum LoadAction : byte
{
    /// <summary>Read one key.</summary>
    Read,
    /// <summary>Overwrite one key.</summary>
    Update,
    /// <summary>Write a new key.</summary>
    Insert,
    /// <summary>Read a short range.</summary>
    Scan,
    /// <summary>Read one key, then write it.</summary>
    ReadModifyWrite,
}

/// <summary>Shares of operations and the distribution of keys.</summary>
public sealed record Workload
{
    /// <summary>Its name.</summary>
    public required string Name { get; init; }

    /// <summary>Share of reads.</summary>
    public double Read { get; init; }

    /// <summary>Share of updates.</summary>
    public double Update { get; init; }

    /// <summary>Share of inserts.</summary>
    public double Insert { get; init; }

    /// <summary>Share of scans.</summary>
    public double Scan { get; init; }

    /// <summary>Share of read-modify-writes.</summary>
    public double ReadModifyWrite { get; init; }

    /// <summary>True when there are reads of any kind.</summary>
    public bool Reads => Read + Scan + ReadModifyWrite > 0;

    /// <summary>How keys are chosen.</summary>
    public KeyDistributionKind Distribution { get; init; }

    /// <summary>Longest range of a scan, in keys.</summary>
    public int ScanLength { get; init; } = 100;

    /// <summary>Reads and updates in a ratio.</summary>
    public static Workload FromRatio(double readRatio, KeyDistributionKind distribution) =>
        new() { Name = $"{readRatio:P0} reads", Read = readRatio, Update = 1 - readRatio, Distribution = distribution };

    /// <summary>A workload of the Yahoo! Cloud Serving Benchmark (Cooper et al., SoCC 2010), A to F. Throws for other names.</summary>
    public static Workload Ycsb(string name) => name.ToUpperInvariant() switch
    {
        "A" => new() { Name = "YCSB A", Read = 0.5, Update = 0.5, Distribution = KeyDistributionKind.Zipfian },
        "B" => new() { Name = "YCSB B", Read = 0.95, Update = 0.05, Distribution = KeyDistributionKind.Zipfian },
        "C" => new() { Name = "YCSB C", Read = 1, Distribution = KeyDistributionKind.Zipfian },
        "D" => new() { Name = "YCSB D", Read = 0.95, Insert = 0.05, Distribution = KeyDistributionKind.Latest },
        "E" => new() { Name = "YCSB E", Scan = 0.95, Insert = 0.05, Distribution = KeyDistributionKind.Zipfian },
        "F" => new() { Name = "YCSB F", Read = 0.5, ReadModifyWrite = 0.5, Distribution = KeyDistributionKind.Zipfian },
        _ => throw new HengeException(ErrorCode.InvalidArgument, $"There is no workload '{name}'; the names are A, B, C, D, E and F."),
    };

    /// <summary>The action for a random share between 0 and 1.</summary>
    public LoadAction Choose(double share) =>
        (share -= Read) < 0 ? LoadAction.Read
        : (share -= Update) < 0 ? LoadAction.Update
        : (share -= Insert) < 0 ? LoadAction.Insert
        : share - Scan < 0 ? LoadAction.Scan
        : ReadModifyWrite > 0 ? LoadAction.ReadModifyWrite
        : Read > 0 ? LoadAction.Read : LoadAction.Update;
}
