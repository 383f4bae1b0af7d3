using Henge.Storage.Files;
using Henge.Storage.Lsm.Background;

namespace Henge.Storage.Lsm.Levels;

/// <summary>
/// Files that the manifest has dropped and nothing can reach any more. They are deleted in the background. A file that cannot be
/// deleted stays, with a message: the next start finds it unlisted and tries again. Thread-safe.
/// </summary>
internal sealed class ObsoleteFiles(IFileSystem files, string directory, IBackgroundScheduler scheduler, Action<string>? log)
{
    private readonly Lock _lock = new();
    private readonly Queue<string> _names = new();
    private bool _scheduled;
    private bool _stopped;

    public void Add(string name)
    {
        lock (_lock)
        {
            _names.Enqueue(name);
            if (_scheduled || _stopped)
            {
                return;
            }

            _scheduled = true;
        }

        scheduler.Schedule(BackgroundKind.Compaction, DeleteAll());
    }

    /// <summary>Ends the background work; what still waits is deleted now, since everything that could reach it is closed.</summary>
    public void Stop()
    {
        lock (_lock)
        {
            _stopped = true;
        }

        while (DeleteOne())
        {
            // All of them.
        }
    }

    private IEnumerator<BackgroundPoint> DeleteAll()
    {
        while (DeleteOne())
        {
            yield return BackgroundPoint.Deleted;
        }
    }

    private bool DeleteOne()
    {
        string? name;
        lock (_lock)
        {
            if (!_names.TryDequeue(out name))
            {
                _scheduled = false;
                return false;
            }
        }

        try
        {
            files.Delete(Path.Combine(directory, name));
        }
        catch (IOException error)
        {
            log?.Invoke($"Could not delete {name}, which is not needed any more: {error.Message}");
        }

        return true;
    }
}
