using Henge.Storage.Lsm;
using Henge.Storage.Lsm.Background;
using Henge.Storage.Lsm.Settings;
using Henge.Testing.Files;

namespace Henge.Storage.Tests;

/// <summary>Options so small that rare paths are common.</summary>
internal static class TinyOptions
{
    public static LsmOptions Create(SimulatedFileSystem files, IBackgroundScheduler? scheduler = null) => new()
    {
        Directory = "/db",
        FileSystem = files,
        Scheduler = scheduler,
        MemoryBytes = 256 << 10,
        MemTableBytes = 8 << 10,
        BlockBytes = 256,
        RestartInterval = 2,
        TargetTableBytes = 4 << 10,
        LevelBaseBytes = 8 << 10,
        LevelMultiplier = 3,
        L0CompactionTrigger = 2,
        L0SlowDownTrigger = 4,
        L0StopTrigger = 6,
        ManifestRollBytes = 4 << 10,
        LogSegmentBytes = 64 << 10,
        NewLogSalt = new SeededSalt(7).Next,
    };

    /// <summary>Random options: from one entry in a block and no cache to roomy ones.</summary>
    public static LsmOptions Random(Random random, SimulatedFileSystem files, IBackgroundScheduler scheduler, bool log) =>
        Create(files, scheduler) with
        {
            WriteAheadLog = log,
            MemoryBytes = random.Next(4) == 0 ? 1 : 1 << random.Next(12, 20),
            MemTableBytes = 1 << random.Next(9, 15),
            MaxSealedMemTables = random.Next(1, 4),
            BlockBytes = random.Next(3) == 0 ? 1 : 1 << random.Next(6, 13),
            RestartInterval = random.Next(1, 20),
            BloomBitsPerKey = random.Next(3) == 0 ? 0 : 10,
            Compress = random.Next(4) == 0,
            TargetTableBytes = 1 << random.Next(8, 16),
            LevelBaseBytes = 1 << random.Next(9, 17),
            LevelMultiplier = random.Next(2, 11),
            L0CompactionTrigger = random.Next(1, 5),
            StepEntries = 1 << random.Next(0, 8),
            ManifestRollBytes = 1 << random.Next(8, 16),
            NewLogSalt = new SeededSalt(random.Next()).Next,
        };
}
