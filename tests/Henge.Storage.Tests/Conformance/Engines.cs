using Henge.Storage.Lsm;
using Henge.Storage.Lsm.Settings;
using Henge.Storage.Memory;
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
