using Henge.Storage.Bitcask.Settings;
using Henge.Storage.Lsm.Background;
using Henge.Testing.Files;

namespace Henge.Storage.Tests;

/// <summary>Options of the bitcask engine so small that rare paths are common.</summary>
internal static class TinyBitcask
{
    public static BitcaskOptions Create(SimulatedFileSystem files, IBackgroundScheduler? scheduler = null) => new()
    {
        Directory = "/db",
        FileSystem = files,
        Scheduler = scheduler,
        SegmentBytes = 8 << 10,
        StepEntries = 16,
        NewSalt = new SeededSalt(7).Next,
    };

    /// <summary>Random options: from a segment for each batch to one for all.</summary>
    public static BitcaskOptions Random(Random random, SimulatedFileSystem files, IBackgroundScheduler scheduler, bool log) =>
        Create(files, scheduler) with
        {
            OwnerHasLog = !log,
            SegmentBytes = (4 << 10) + (1 << random.Next(7, 15)),
            MergeBelowLivePercent = random.Next(1, 100),
            StepEntries = 1 << random.Next(3, 9),
            NewSalt = new SeededSalt(random.Next()).Next,
        };
}
