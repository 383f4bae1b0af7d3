using Henge.Core;

namespace Henge.Storage.RocksDb;

/// <summary>How a <see cref="RocksDbEngine"/> works. The defaults are those of the LSM engine. Immutable.</summary>
public sealed record RocksDbOptions
{
    /// <summary>Where the engine's files are, on a disk of this machine. Made when missing.</summary>
    public required string Directory { get; init; }

    /// <summary>
    /// True: RocksDB keeps its log, and <see cref="IStorageEngine.Apply"/> makes a batch durable. False: the owner has a log, and replays
    /// from <see cref="IStorageEngine.GetDurablePosition"/> after a restart.
    /// </summary>
    public bool WriteAheadLog { get; init; } = true;

    /// <summary>
    /// The memory of the whole engine in bytes: half of it at most for memtables, the rest for the block cache. Indexes and filters of open
    /// tables come on top, as with the LSM engine.
    /// </summary>
    public long MemoryBytes { get; init; } = 512L << 20;

    /// <summary>A memtable is flushed at this size. Not more than an eighth of <see cref="MemoryBytes"/> is used.</summary>
    public long MemTableBytes { get; init; } = 64L << 20;

    /// <summary>Bits of Bloom filter for each key.</summary>
    public int BloomBitsPerKey { get; init; } = 10;

    /// <summary>Target size of a table.</summary>
    public long TargetTableBytes { get; init; } = 32L << 20;

    /// <summary>The most bytes that the first level below L0 should hold.</summary>
    public long LevelBaseBytes { get; init; } = 256L << 20;

    /// <summary>The longest key in bytes. A longer one gets <see cref="ErrorCode.TooLarge"/>.</summary>
    public int MaxKeyBytes { get; init; } = 32 << 10;

    /// <summary>The longest value in bytes. A longer one gets <see cref="ErrorCode.TooLarge"/>.</summary>
    public int MaxValueBytes { get; init; } = 256 << 20;

    /// <summary>
    /// Old versions are looked for when so many entries have been applied since the last time, or half as many as there are, whichever is
    /// more.
    /// </summary>
    public int SweepEntries { get; init; } = 1 << 18;

    internal long EffectiveMemTableBytes => Math.Max(64 << 10, Math.Clamp(MemoryBytes / 8, Math.Min(MemTableBytes, 4096), MemTableBytes));

    internal long BlockCacheBytes => Math.Max(0, MemoryBytes - Math.Min(MemoryBytes / 2, EffectiveMemTableBytes * MemTables));

    /// <summary>Memtables that there may be, the one that is written to included.</summary>
    internal static int MemTables => 4;

    /// <summary>Throws <see cref="ErrorCode.Misconfigured"/> naming the first setting that makes no sense.</summary>
    internal void Validate()
    {
        Check(Directory.Length > 0, nameof(Directory), "must not be empty");
        Check(MemoryBytes > 0, nameof(MemoryBytes), "must be above 0");
        Check(MemTableBytes > 0, nameof(MemTableBytes), "must be above 0");
        Check(BloomBitsPerKey is > 0 and <= 64, nameof(BloomBitsPerKey), "must be between 1 and 64");
        Check(TargetTableBytes > 0, nameof(TargetTableBytes), "must be above 0");
        Check(LevelBaseBytes > 0, nameof(LevelBaseBytes), "must be above 0");
        Check(SweepEntries > 0, nameof(SweepEntries), "must be above 0");
        Check(MaxKeyBytes is > 0 and <= 64 << 10, nameof(MaxKeyBytes), "must be between 1 and 64 KiB");
        Check(MaxValueBytes is > 0 and <= 1 << 30, nameof(MaxValueBytes), "must be between 1 and 1 GiB");
    }

    private static void Check(bool good, string setting, string rule)
    {
        if (!good)
        {
            throw new HengeException(ErrorCode.Misconfigured, $"The engine's setting {setting} {rule}.");
        }
    }
}
