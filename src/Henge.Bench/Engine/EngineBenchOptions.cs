using Henge.Core;

namespace Henge.Bench.Engine;

/// <summary>What a run of <see cref="EngineBench"/> does. Names and defaults are db_bench's where it has them. Immutable.</summary>
public sealed record EngineBenchOptions
{
    /// <summary>All workloads, in an order in which each finds the data that it needs.</summary>
    public static IReadOnlyList<string> AllBenchmarks { get; } =
        ["fillsync", "fillseq", "fillrandom", "overwrite", "readrandom", "readmissing", "seekrandom", "readseq", "readwhilewriting"];

    /// <summary>What there is besides: values of 64 KiB, values that soon end, many versions of a key and reads of old ones.</summary>
    public static IReadOnlyList<string> MoreBenchmarks { get; } = ["filllarge", "ttlchurn", "fillhistory", "readhistory", "restart"];

    /// <summary>The engines.</summary>
    public static IReadOnlyList<string> Engines { get; } = ["lsm", "memory", "rocksdb"];

    /// <summary>Where the engine's files go. Fill workloads begin with an empty directory: what is in it is deleted.</summary>
    public required string Directory { get; init; }

    /// <summary>The workloads to run, one after another.</summary>
    public IReadOnlyList<string> Benchmarks { get; init; } = AllBenchmarks;

    /// <summary>Keys.</summary>
    public long Num { get; init; } = 1_000_000;

    /// <summary>Reads for each thread; -1 for <see cref="Num"/>.</summary>
    public long Reads { get; init; } = -1;

    /// <summary>Writes for each thread; -1 for <see cref="Num"/>, or for fillsync a thousandth of it.</summary>
    public long Writes { get; init; } = -1;

    /// <summary>Bytes of a key, from 8 to 1024.</summary>
    public int KeyBytes { get; init; } = 16;

    /// <summary>Bytes of a value.</summary>
    public int ValueBytes { get; init; } = 100;

    /// <summary>Threads that run the workload at once.</summary>
    public int Threads { get; init; } = 1;

    /// <summary>Seed of keys and values.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>Steps after each seek of seekrandom.</summary>
    public int SeekNexts { get; init; } = 10;

    /// <summary>Memory of the engine in bytes, block cache and memtables together.</summary>
    public long MemoryBytes { get; init; } = 1L << 30;

    /// <summary>True to sync each write of every workload; fillsync does so in any case.</summary>
    public bool Sync { get; init; }

    /// <summary>True to write no log of the engine's own, as under Raft.</summary>
    public bool DisableLog { get; init; }

    /// <summary>Bits of Bloom filter for each key.</summary>
    public int BloomBits { get; init; } = 10;

    /// <summary>One of <see cref="Engines"/>.</summary>
    public string Engine { get; init; } = "lsm";

    /// <summary>Keeps what is in the directory for workloads that do not begin with an empty one.</summary>
    public bool UseExisting { get; init; }

    /// <summary>Throws <see cref="ErrorCode.InvalidArgument"/> naming the first option that makes no sense.</summary>
    public void Validate()
    {
        foreach (string name in Benchmarks)
        {
            Check(
                AllBenchmarks.Contains(name) || MoreBenchmarks.Contains(name) || name is "compact" or "stats" or "flush",
                $"There is no workload '{name}'. There are: {string.Join(", ", AllBenchmarks.Concat(MoreBenchmarks))}, compact, "
                    + "flush, stats.");
        }

        Check(Num is > 0 and <= 10_000_000_000, "--num must be between 1 and 10 billion.");
        Check(KeyBytes is >= 8 and <= 1024, "--key_size must be between 8 and 1024.");
        Check(ValueBytes is >= 0 and <= 1 << 20, "--value_size must be between 0 and 1 MiB.");
        Check(Threads is > 0 and <= 256, "--threads must be between 1 and 256.");
        Check(SeekNexts >= 0, "--seek_nexts must not be negative.");
        Check(Engines.Contains(Engine), $"--engine must be one of {string.Join(", ", Engines)}.");
    }

    private static void Check(bool good, string message)
    {
        if (!good)
        {
            throw new HengeException(ErrorCode.InvalidArgument, message);
        }
    }
}
