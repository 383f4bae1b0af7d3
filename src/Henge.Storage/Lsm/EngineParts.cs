using Henge.Storage.Files;

namespace Henge.Storage.Lsm;

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
