using Henge.Core;
using Henge.Storage;
using Henge.Storage.Files;
using Henge.Storage.Lsm;
using Henge.Storage.Lsm.Settings;
using Henge.Storage.Memory;
using Henge.Storage.RocksDb;

namespace Henge.Server.Runtime;

/// <summary>The engines that a node can keep its data in, as a node has them: without a log of their own.</summary>
public static class NodeEngines
{
    /// <summary>Their names.</summary>
    public static IReadOnlyList<string> Names { get; } = ["lsm", "memory", "rocksdb"];

    /// <summary>
    /// Opens an engine. Throws <see cref="HengeException"/>: InvalidArgument for a name that there is not, and what engines throw.
    /// </summary>
    /// <param name="name">Its name.</param>
    /// <param name="files">The disk; RocksDB uses the machine's own.</param>
    /// <param name="directory">Where its files are.</param>
    /// <param name="memoryBytes">Its memory.</param>
    /// <param name="place">The node's place among the cluster's, from 0 on.</param>
    public static IStorageEngine Open(string name, IFileSystem files, string directory, long memoryBytes, int place = 0) => name switch
    {
        "lsm" => LsmEngine.Open(new LsmOptions
        {
            Directory = directory,
            FileSystem = files,
            WriteAheadLog = false,

            // What is lost comes back from other members (docs/decisions/0166).
            OpenDamagedTables = true,
            MemoryBytes = memoryBytes,

            // Replicas take in the same writes: with memtables of one size all would flush at the same moment, and every write wait for
            // that (docs/decisions/0116).
            MemTableEighths = 8 - (place % 3),
        }),
        "memory" => new MemoryEngine(),
        "rocksdb" => RocksDbEngine.Open(new RocksDbOptions
        {
            Directory = directory,
            WriteAheadLog = false,
            MemoryBytes = memoryBytes,
        }),
        _ => throw new HengeException(
            ErrorCode.InvalidArgument,
            $"There is no engine '{name}'; there are {string.Join(", ", Names)}."),
    };
}
