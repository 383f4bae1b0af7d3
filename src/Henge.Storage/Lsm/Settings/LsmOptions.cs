using Henge.Core;
using Henge.Storage.Files;
using Henge.Storage.Lsm.Background;
using Henge.Storage.Lsm.Tables;

namespace Henge.Storage.Lsm.Settings;

/// <summary>
/// How an <see cref="LsmEngine"/> works. Everything can be shrunk, so that tests meet the rare paths often. Immutable.
/// </summary>
public sealed record LsmOptions
{
    /// <summary>Where the engine's files are. Made when missing.</summary>
    public required string Directory { get; init; }

    /// <summary>The disk; the machine's own by default.</summary>
    public IFileSystem? FileSystem { get; init; }

    /// <summary>
    /// Who runs flushes and compactions; by default the engine has two threads of its own. The engine disposes of the default one only.
    /// </summary>
    public IBackgroundScheduler? Scheduler { get; init; }

    /// <summary>
    /// True: the engine keeps a log of its own, and <see cref="IStorageEngine.Apply"/> makes a batch durable. False: the owner has a log,
    /// and replays from <see cref="IStorageEngine.GetDurablePosition"/> after a restart.
    /// </summary>
    public bool WriteAheadLog { get; init; } = true;

    /// <summary>
    /// False: a table that is missing, or cannot be opened, is an error of <see cref="LsmEngine.Open"/>. True: the engine opens without it,
    /// and each read that would have to look into it fails with <see cref="ErrorCode.Corruption"/>; for owners that can replace what is
    /// lost (<see cref="IStorageEngine.TakeDamage"/>). The manifest must be whole either way.
    /// </summary>
    public bool OpenDamagedTables { get; init; }

    /// <summary>
    /// The memory of the whole engine in bytes: half of it at most for memtables, the rest for the block cache. Indexes and filters of
    /// open tables (about 1.3% of the tables' bytes) come on top.
    /// </summary>
    public long MemoryBytes { get; init; } = 512L << 20;

    /// <summary>A memtable is sealed and flushed at this size. Not more than an eighth of <see cref="MemoryBytes"/> is used.</summary>
    public long MemTableBytes { get; init; } = 64L << 20;

    /// <summary>Sealed memtables that may wait for their flush before writers block.</summary>
    public int MaxSealedMemTables { get; init; } = 3;

    /// <summary>Target size of a data block before compression.</summary>
    public int BlockBytes { get; init; } = 4096;

    /// <summary>Entries between two restart points of a data block.</summary>
    public int RestartInterval { get; init; } = 16;

    /// <summary>Bits of Bloom filter for each key; 0 for no filter.</summary>
    public int BloomBitsPerKey { get; init; } = 10;

    /// <summary>True to compress data blocks (Brotli, fast). Costs much processor time for each block; off by default.</summary>
    public bool Compress { get; init; }

    /// <summary>A compaction begins a new table at this size.</summary>
    public long TargetTableBytes { get; init; } = 32L << 20;

    /// <summary>
    /// The most bytes that the first level below L0 should hold. Default 256 MiB: as much as L0 holds when it is compacted, so that what
    /// comes down is not moved on at once.
    /// </summary>
    public long LevelBaseBytes { get; init; } = 256L << 20;

    /// <summary>How much larger each level is than the one above it.</summary>
    public int LevelMultiplier { get; init; } = 10;

    /// <summary>Tables in L0 from which on they are compacted.</summary>
    public int L0CompactionTrigger { get; init; } = 4;

    /// <summary>Tables in L0 from which on <see cref="IStorageEngine.Pressure"/> asks writers to go slower.</summary>
    public int L0SlowDownTrigger { get; init; } = 12;

    /// <summary>
    /// Tables in L0 at which writers block. Where damage keeps compactions from going on and <see cref="OpenDamagedTables"/> is set, they
    /// do not, and <see cref="IStorageEngine.Pressure"/> asks for it at five times as many.
    /// </summary>
    public int L0StopTrigger { get; init; } = 20;

    /// <summary>
    /// The most bytes that compactions write in a second; 0 for no limit. Flushes are not limited, since writers wait for them.
    /// </summary>
    public long CompactionBytesPerSecond { get; init; }

    /// <summary>The manifest is written anew when it has grown to this.</summary>
    public long ManifestRollBytes { get; init; } = 1L << 20;

    /// <summary>Bytes of one segment of the engine's own log.</summary>
    public long LogSegmentBytes { get; init; } = 64L << 20;

    /// <summary>The longest key in bytes. A longer one gets <see cref="ErrorCode.TooLarge"/>.</summary>
    public int MaxKeyBytes { get; init; } = 32 << 10;

    /// <summary>The longest value in bytes. A longer one gets <see cref="ErrorCode.TooLarge"/>.</summary>
    public int MaxValueBytes { get; init; } = 256 << 20;

    /// <summary>The clock; only rates of compactions and the versions of <see cref="LsmEngine.Write"/> come from it.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>
    /// Gets a line for each thing that an operator may want to know (recoveries, cut tails, full disks). Called on any thread.
    /// </summary>
    public Action<string>? Log { get; init; }

    /// <summary>
    /// Gives the salts of the engine's own log (see <see cref="Logs.SegmentedLogOptions.NewSalt"/>); simulations pass a seeded one.
    /// </summary>
    public Func<ulong> NewLogSalt { get; init; } = new Logs.SegmentedLogOptions().NewSalt;

    /// <summary>
    /// So many eighths of its size are filled before a memtable is flushed: 1 to 8. Engines that take in the same writes and have different
    /// ones do not flush at the same moment. Default 8.
    /// </summary>
    public int MemTableEighths { get; init; } = 8;

    /// <summary>
    /// Entries that a background job writes between two points at which it can be held. Small in tests; 1,024 costs nothing that could be
    /// measured.
    /// </summary>
    internal int StepEntries { get; init; } = 1024;

    /// <summary>Bugs on purpose.</summary>
    internal StorageBugs Bugs { get; init; }

    internal long EffectiveMemTableBytes =>
        Math.Max(1, Math.Clamp(MemoryBytes / 8, Math.Min(MemTableBytes, 4096), MemTableBytes) * MemTableEighths / 8);

    internal long BlockCacheBytes =>
        Math.Max(0, MemoryBytes - Math.Min(MemoryBytes / 2, EffectiveMemTableBytes * (MaxSealedMemTables + 1)));

    internal TableOptions Tables => new()
    {
        BlockBytes = BlockBytes,
        RestartInterval = RestartInterval,
        BloomBitsPerKey = BloomBitsPerKey,
        Codec = Compress ? BlockCodec.Brotli : BlockCodec.None,
    };

    /// <summary>Throws <see cref="ErrorCode.Misconfigured"/> naming the first setting that makes no sense.</summary>
    internal void Validate()
    {
        Check(Directory.Length > 0, nameof(Directory), "must not be empty");
        Check(MemoryBytes > 0, nameof(MemoryBytes), "must be above 0");
        Check(MemTableBytes > 0, nameof(MemTableBytes), "must be above 0");
        Check(MemTableEighths is >= 1 and <= 8, nameof(MemTableEighths), "must be between 1 and 8");
        Check(MaxSealedMemTables > 0, nameof(MaxSealedMemTables), "must be at least 1");
        Check(BlockBytes is > 0 and <= 1 << 20, nameof(BlockBytes), "must be between 1 and 1 MiB");
        Check(RestartInterval is > 0 and <= 1024, nameof(RestartInterval), "must be between 1 and 1024");
        Check(BloomBitsPerKey is >= 0 and <= 64, nameof(BloomBitsPerKey), "must be between 0 and 64");
        Check(TargetTableBytes > 0, nameof(TargetTableBytes), "must be above 0");
        Check(LevelBaseBytes > 0, nameof(LevelBaseBytes), "must be above 0");
        Check(LevelMultiplier > 1, nameof(LevelMultiplier), "must be at least 2");
        Check(L0CompactionTrigger > 0, nameof(L0CompactionTrigger), "must be at least 1");
        Check(
            L0StopTrigger > L0CompactionTrigger,
            nameof(L0StopTrigger),
            "must be above L0CompactionTrigger, or writers would wait for ever");
        Check(CompactionBytesPerSecond >= 0, nameof(CompactionBytesPerSecond), "must not be negative");
        Check(LogSegmentBytes >= 4096, nameof(LogSegmentBytes), "must be at least 4096");
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
