using Henge.Core;
using Henge.Storage.Files;
using Henge.Storage.Logs;
using Henge.Storage.Lsm.Background;

namespace Henge.Storage.Bitcask.Settings;

/// <summary>
/// How a <see cref="BitcaskEngine"/> works. Everything can be shrunk, so that tests meet the rare paths often. Immutable.
/// </summary>
public sealed record BitcaskOptions
{
    /// <summary>Where the engine's files are. Made when missing.</summary>
    public required string Directory { get; init; }

    /// <summary>The disk; the machine's own by default.</summary>
    public IFileSystem? FileSystem { get; init; }

    /// <summary>
    /// Who runs syncs and merges; by default the engine has two threads of its own. The engine disposes of the default one only.
    /// </summary>
    public IBackgroundScheduler? Scheduler { get; init; }

    /// <summary>
    /// False: <see cref="IStorageEngine.Apply"/> makes a batch durable when asked to. True: it never waits for a sync; the owner has a log,
    /// and replays from <see cref="IStorageEngine.GetDurablePosition"/> after a restart.
    /// </summary>
    public bool OwnerHasLog { get; init; }

    /// <summary>
    /// The memory for the index, in bytes: about 80 for each version of a key, and the key. From seven eighths on
    /// <see cref="IStorageEngine.Pressure"/> asks writers to go slower, and at all of it to stop; without an owner's log, batches with
    /// values are then refused. While a keyspace's index is rebuilt, a second copy of it comes on top.
    /// </summary>
    public long MemoryBytes { get; init; } = 1L << 30;

    /// <summary>
    /// A segment is sealed at about this size: 4 KiB to 1 GiB. Only sealed segments are merged. A larger batch gets a segment of its size.
    /// </summary>
    public long SegmentBytes { get; init; } = 64L << 20;

    /// <summary>A segment is merged when less than this share of its bytes is live: 1 to 99.</summary>
    public int MergeBelowLivePercent { get; init; } = 50;

    /// <summary>The most bytes that merges write in a second; 0 for no limit.</summary>
    public long MergeBytesPerSecond { get; init; }

    /// <summary>
    /// False: a sealed segment that is missing, or cannot be opened, is an error of <see cref="BitcaskEngine.Open"/>. True: where its hint
    /// file tells what is in it, the engine opens, and each read of a value that lies in it fails with
    /// <see cref="ErrorCode.Corruption"/>; for owners that can replace what is lost (<see cref="IStorageEngine.TakeDamage"/>).
    /// </summary>
    public bool OpenDamagedSegments { get; init; }

    /// <summary>The longest key in bytes. A longer one gets <see cref="ErrorCode.TooLarge"/>.</summary>
    public int MaxKeyBytes { get; init; } = 32 << 10;

    /// <summary>The longest value in bytes. A longer one gets <see cref="ErrorCode.TooLarge"/>.</summary>
    public int MaxValueBytes { get; init; } = 256 << 20;

    /// <summary>The clock; only rates of merges come from it.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>
    /// Gets a line for each thing that an operator may want to know (recoveries, cut tails, full disks). Called on any thread.
    /// </summary>
    public Action<string>? Log { get; init; }

    /// <summary>
    /// Gives the salts of segments (see <see cref="SegmentedLogOptions.NewSalt"/>); simulations pass a seeded one.
    /// </summary>
    public Func<ulong> NewSalt { get; init; } = new SegmentedLogOptions().NewSalt;

    /// <summary>
    /// Entries that a background job looks at between two points at which it can be held. Small in tests.
    /// </summary>
    internal int StepEntries { get; init; } = 1024;

    /// <summary>Bugs on purpose.</summary>
    internal BitcaskBugs Bugs { get; init; }

    /// <summary>So many bytes that were not synced yet are synced in the background, so that sealing a segment finds few of them.</summary>
    internal long SyncAheadBytes => Math.Max(4096, SegmentBytes / 16);

    /// <summary>Throws <see cref="ErrorCode.Misconfigured"/> naming the first setting that makes no sense.</summary>
    internal void Validate()
    {
        Check(Directory.Length > 0, nameof(Directory), "must not be empty");
        Check(MemoryBytes > 0, nameof(MemoryBytes), "must be above 0");
        Check(SegmentBytes is >= 4096 and <= LogFormat.MaxSegmentBytes, nameof(SegmentBytes), "must be between 4 KiB and 1 GiB");
        Check(MergeBelowLivePercent is > 0 and < 100, nameof(MergeBelowLivePercent), "must be between 1 and 99");
        Check(MergeBytesPerSecond >= 0, nameof(MergeBytesPerSecond), "must not be negative");
        Check(MaxKeyBytes is > 0 and <= 64 << 10, nameof(MaxKeyBytes), "must be between 1 and 64 KiB");
        Check(MaxValueBytes is > 0 and <= 512 << 20, nameof(MaxValueBytes), "must be between 1 and 512 MiB");
    }

    private static void Check(bool good, string setting, string rule)
    {
        if (!good)
        {
            throw new HengeException(ErrorCode.Misconfigured, $"The engine's setting {setting} {rule}.");
        }
    }
}
