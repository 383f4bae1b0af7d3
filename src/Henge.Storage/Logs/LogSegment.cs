using Henge.Storage.Files;

namespace Henge.Storage.Logs;

/// <summary>
/// One file of the log while it is open. The writer changes it; readers hold it while they read, so that it is not recycled under them.
/// </summary>
internal sealed class LogSegment(IFile file, LogSegmentHeader header) : IDisposable
{
    private readonly Lock _gate = new();
    private readonly List<(uint Start, uint Incarnation)> _incarnations = [];
    private int _readers;
    private bool _retired;

    internal IFile File => file;

    internal LogSegmentHeader Header => header;

    internal uint Id => header.Id;

    /// <summary>Where the next record goes; for all but the last segment the end for ever.</summary>
    internal uint End { get; set; } = LogFormat.SegmentHeaderBytes;

    /// <summary>Remembers that records from an offset on belong to an incarnation.</summary>
    internal void BeginIncarnation(uint start, uint incarnation)
    {
        lock (_gate)
        {
            _incarnations.Add((start, incarnation));
        }
    }

    /// <summary>What the checksum of a record at an offset starts from.</summary>
    internal uint SeedAt(uint offset)
    {
        lock (_gate)
        {
            for (int i = _incarnations.Count - 1; i >= 0; i--)
            {
                if (_incarnations[i].Start <= offset)
                {
                    return LogFormat.Seed(header.Salt, _incarnations[i].Incarnation);
                }
            }
        }

        return LogFormat.Seed(header.Salt, 0);
    }

    internal bool TryAcquire()
    {
        lock (_gate)
        {
            if (_retired)
            {
                return false;
            }

            _readers++;
            return true;
        }
    }

    internal void Release()
    {
        lock (_gate)
        {
            _readers--;
        }
    }

    /// <summary>Closes it to readers; false while one is at work.</summary>
    internal bool TryRetire()
    {
        lock (_gate)
        {
            return _retired = _retired || _readers == 0;
        }
    }

    public void Dispose() => file.Dispose();
}
