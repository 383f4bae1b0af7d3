using Henge.Storage.Bitcask;
using Henge.Storage.Bitcask.Settings;
using Henge.Storage.Lsm;
using Henge.Storage.Lsm.Background;
using Henge.Storage.Lsm.Settings;
using Henge.Storage.Memory;
using Henge.Storage.RocksDb;
using Henge.Testing.Files;

namespace Henge.Storage.Tests;

/// <summary>An engine that the shared tests run: how it is opened with random, shrunken options.</summary>
internal sealed class EngineKind
{
    private readonly Func<Random, SimulatedFileSystem, IBackgroundScheduler, bool, string, IStorageEngine> _open;

    private EngineKind(bool hasFiles, Func<Random, SimulatedFileSystem, IBackgroundScheduler, bool, string, IStorageEngine> open)
    {
        HasFiles = hasFiles;
        _open = open;
    }

    public static EngineKind Memory { get; } = new(hasFiles: false, static (_, _, _, _, _) => new MemoryEngine());

    public static EngineKind Lsm { get; } = LsmWith(StorageBugs.None);

    public static EngineKind Bitcask { get; } = BitcaskWith(BitcaskBugs.None);

    public bool HasFiles { get; }

    /// <summary>Where its directories are; not empty for one that uses the machine's own disk.</summary>
    public string Root { get; private init; } = "";

    /// <summary>So many steps of background work are done at a time, less one: enough for several jobs between two restarts.</summary>
    public int MostSteps { get; private init; } = 12;

    /// <summary>A crash comes within so many file operations: enough for some merges before it.</summary>
    public int MostOperations { get; private init; } = 300;

    public static EngineKind LsmWith(StorageBugs bugs) => new(
        hasFiles: true,
        (random, files, scheduler, log, directory) => LsmEngine.Open(
            TinyOptions.Random(random, files, scheduler, log) with { Bugs = bugs, Directory = directory }));

    public static EngineKind BitcaskWith(BitcaskBugs bugs) => new(
        hasFiles: true,
        (random, files, scheduler, log, directory) => BitcaskEngine.Open(
            TinyBitcask.Random(random, files, scheduler, log) with { Bugs = bugs, Directory = directory }))
    {
        MostSteps = 60,
        MostOperations = 1500,
    };

    /// <summary>RocksDB, below a directory of the machine's disk. Its background work is its own.</summary>
    public static EngineKind RocksDbIn(string root) => new(
        hasFiles: true,
        (random, _, _, log, directory) => RocksDbEngine.Open(new RocksDbOptions
        {
            Directory = root + directory,
            WriteAheadLog = log,
            MemoryBytes = 1 << random.Next(12, 20),
            MemTableBytes = 64 << 10,
            SweepEntries = 1 << random.Next(1, 9),
        }))
    {
        Root = root,
    };

    /// <summary>Opens one. <paramref name="log"/>: it makes batches durable by itself, and no owner has a log.</summary>
    public IStorageEngine Open(
        Random random,
        SimulatedFileSystem files,
        IBackgroundScheduler scheduler,
        bool log,
        string directory = "/db") => _open(random, files, scheduler, log, directory);

    /// <summary>Merges all there is to merge.</summary>
    public static void Compact(IStorageEngine engine)
    {
        switch (engine)
        {
            case LsmEngine lsm:
                lsm.Compact();
                break;
            case BitcaskEngine bitcask:
                bitcask.Compact();
                break;
            case RocksDbEngine rocksDb:
                rocksDb.Compact();
                break;
            default:
                throw new NotSupportedException($"There is nothing to compact in the {engine.Name} engine.");
        }
    }
}
