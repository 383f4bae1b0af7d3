using Henge.Storage.Files;
using Henge.Storage.Lsm.Background;
using Henge.Storage.Lsm.Cache;
using Henge.Storage.Lsm.Levels;
using Henge.Storage.Lsm.Settings;

namespace Henge.Storage.Lsm.State;

/// <summary>What the rooms of one engine share.</summary>
internal sealed record EngineParts(
    LsmOptions Options,
    IFileSystem Files,
    IBackgroundScheduler Scheduler,
    BlockCache Cache,
    ObsoleteFiles Obsolete,
    TableStore Store)
{
    public string Directory => Options.Directory;

    public void Log(string message) => Options.Log?.Invoke(message);
}
