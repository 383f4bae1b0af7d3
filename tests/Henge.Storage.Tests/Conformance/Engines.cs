using Henge.Storage.Lsm;
using Henge.Storage.Lsm.Settings;
using Henge.Storage.Memory;
using Henge.Storage.RocksDb;
using Henge.Testing.Files;

namespace Henge.Storage.Tests.Conformance;

public sealed class MemoryEngineConformance : EngineConformance
{
    protected override IStorageEngine Open() => new MemoryEngine();
}

public sealed class LsmEngineConformance : EngineConformance
{
    protected override IStorageEngine Open() =>
        LsmEngine.Open(new LsmOptions { Directory = "/db", FileSystem = new SimulatedFileSystem() });
}

public sealed class LsmEngineWithoutLogConformance : EngineConformance
{
    protected override IStorageEngine Open() =>
        LsmEngine.Open(new LsmOptions { Directory = "/db", FileSystem = new SimulatedFileSystem(), WriteAheadLog = false });
}

/// <summary>Everything so small that each test meets flushes, compactions and several levels.</summary>
public sealed class TinyLsmEngineConformance : EngineConformance
{
    protected override IStorageEngine Open() => LsmEngine.Open(TinyOptions.Create(new SimulatedFileSystem()));

    protected override long StepAllocationLimitBytes => 4096;
}

/// <summary>On the machine's own disk, since RocksDB reads and writes its files itself.</summary>
public sealed class RocksDbEngineConformance : EngineConformance, IDisposable
{
    private readonly string _directory = System.IO.Directory.CreateTempSubdirectory("henge-rocksdb").FullName;

    public void Dispose() => System.IO.Directory.Delete(_directory, recursive: true);

    protected override IStorageEngine Open() =>
        RocksDbEngine.Open(new RocksDbOptions { Directory = _directory, WriteAheadLog = false });
}
