using Henge.Core;
using Henge.Storage.Files;
using Henge.Storage.Lsm.Background;
using Henge.Storage.Lsm.Buffers;
using Henge.Storage.Lsm.Levels;
using Henge.Storage.Lsm.State;

namespace Henge.Storage.Lsm.Compactions;

/// <summary>A table could not be written or synced. What is on the disk is not known any more, so the engine stops.</summary>
internal sealed class TableWriteException(Exception inner) : IOException($"A table could not be written: {inner.Message}", inner);

/// <summary>
/// Flushes and compactions of one engine: decides when, runs them one at a time for each kind, and deals with what goes wrong. What they do
/// is in <see cref="FlushJob"/> and <see cref="CompactionJob"/>. Thread-safe.
/// </summary>
internal sealed class BackgroundWork
{
    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(1);
    private readonly EngineState _state;
    private readonly EngineParts _parts;
    private readonly CompactionPicker _picker;
    private readonly FlushJob _flush;
    private readonly CompactionJob _compaction;
    private readonly DamagedTables _damaged = new();
    private readonly Lock _jobsLock = new();
    private readonly List<BackgroundJob> _jobs = [];
    private int _flushScheduled;
    private int _compactionScheduled;
    private int _compacting;
    private Compaction? _picked;
    private LevelSet? _pickedFrom;
    private bool _flushed;
    private bool _stopped;

    public BackgroundWork(EngineState state, EngineLog? log)
    {
        _state = state;
        _parts = state.Parts;
        _picker = new CompactionPicker(_parts.Options);
        _flush = new FlushJob(state, log);
        _compaction = new CompactionJob(state);
    }

    public event Action? Flushed;

    public long BytesWritten => _flush.BytesWritten + _compaction.BytesWritten;

    public long Flushes => _flush.Count;

    public long Compactions => _compaction.Count;

    /// <summary>Compactions whose result was thrown away, since what they had worked on was gone.</summary>
    public long DiscardedCompactions => _compaction.Discarded;

    public void ScheduleFlush()
    {
        if (Interlocked.Exchange(ref _flushScheduled, 1) == 0)
        {
            Schedule(BackgroundKind.Flush, RunFlush(), EndFlush);
        }
    }

    public void ScheduleCompaction()
    {
        if (Interlocked.Exchange(ref _compactionScheduled, 1) == 0)
        {
            Schedule(BackgroundKind.Compaction, RunCompaction(), EndCompaction);
        }
    }

    /// <summary>Compacts everything into the last level that holds data, on the caller's thread.</summary>
    public void CompactAll()
    {
        // One that is under way ends first.
        if (!_state.WaitUntil(() => Interlocked.CompareExchange(ref _compacting, 1, 0) == 0))
        {
            throw new HengeException(ErrorCode.Internal, "Another compaction does not end.");
        }

        try
        {
            bool more = true;
            while (more)
            {
                _state.ThrowIfUnusable();
                more = false;
                foreach (BackgroundPoint point in _compaction.Run(levels => _picker.PickFull(levels, _damaged.Contains)))
                {
                    more |= point is BackgroundPoint.Installed or BackgroundPoint.Discarded;
                }
            }
        }
        catch (TableWriteException error)
        {
            _state.Fail(error);
            throw;
        }
        finally
        {
            Volatile.Write(ref _compacting, 0);
            _state.Pulse();
        }

        ScheduleCompaction();
    }

    /// <summary>The engine is closed: waits for steps that are under way, and gives up the jobs.</summary>
    public void Stop()
    {
        BackgroundJob[] jobs;
        lock (_jobsLock)
        {
            _stopped = true;
            jobs = [.. _jobs];
            _jobs.Clear();
        }

        foreach (BackgroundJob job in jobs)
        {
            job.Dispose();
        }
    }

    private void Schedule(BackgroundKind kind, IEnumerator<BackgroundPoint> steps, Action<Exception?> ended)
    {
        BackgroundJob? job = null;
        job = new BackgroundJob(steps, error =>
        {
            lock (_jobsLock)
            {
                _jobs.Remove(job!);
            }

            ended(error);
        });
        lock (_jobsLock)
        {
            if (_stopped)
            {
                return;
            }

            _jobs.Add(job);
        }

        _parts.Scheduler.Schedule(kind, job);
    }

    private IEnumerator<BackgroundPoint> RunFlush()
    {
        Interlocked.Exchange(ref _flushScheduled, 0);
        _flushed = false;
        while (!_state.IsClosed && _state.GetSealed() is { Length: > 0 } waiting)
        {
            ulong epoch = waiting[0].Epoch;
            foreach (BackgroundPoint point in _flush.Run([.. waiting.TakeWhile(buffer => buffer.Epoch == epoch)], waiting))
            {
                _flushed |= point == BackgroundPoint.Installed;
                yield return point;
            }
        }

        _state.DiskIsFull = false;
    }

    private void EndFlush(Exception? error)
    {
        switch (error)
        {
            case null:
                break;
            case ObjectDisposedException:
                return;
            case DiskFullException full:
                PauseForFullDisk(full, BackgroundKind.Flush, ScheduleFlush);
                break;
            default:
                _state.Fail(error);
                break;
        }

        if (_flushed)
        {
            Flushed?.Invoke();
            ScheduleCompaction();
        }
    }

    private IEnumerator<BackgroundPoint> RunCompaction()
    {
        Interlocked.Exchange(ref _compactionScheduled, 0);
        _picked = null;
        if (_state.IsClosed || Interlocked.CompareExchange(ref _compacting, 1, 0) != 0)
        {
            // CompactAll is running, and schedules the next one at its end.
            yield break;
        }

        try
        {
            foreach (BackgroundPoint point in _compaction.Run(Pick))
            {
                yield return point;
            }

            _state.DiskIsFull = false;
        }
        finally
        {
            Volatile.Write(ref _compacting, 0);
            _state.Pulse();
        }
    }

    private void EndCompaction(Exception? error)
    {
        switch (error)
        {
            case null when _picked is null:
            case ObjectDisposedException:
                return;
            case null:
                break;
            case DiskFullException full:
                PauseForFullDisk(full, BackgroundKind.Compaction, ScheduleCompaction);
                return;
            case HengeException { Code: ErrorCode.Corruption } when _picked is not null:
            case IOException and not TableWriteException when _picked is not null && !_state.HasFailed:
                ExcludeDamaged(_picked, _pickedFrom!, error);
                break;
            default:
                _state.Fail(error);
                return;
        }

        // One job each, so that deletions have their turn in between.
        ScheduleCompaction();
    }

    private Compaction? Pick(LevelSet levels)
    {
        if (_damaged.Forget(levels))
        {
            _state.CompactionProblem = null;
            _state.Pulse();
        }

        _pickedFrom = levels;
        return _picked = _picker.Pick(levels, _state.Floor, _damaged.Contains);
    }

    // Reads of undamaged parts go on; the tables stay where they are until somebody restores them, or drops what is damaged.
    private void ExcludeDamaged(Compaction compaction, LevelSet levels, Exception error)
    {
        _damaged.Add(compaction, levels);
        _state.CompactionProblem = error;
        _parts.Log($"A compaction of {compaction} cannot be done, and its tables are left as they are: {error.Message}");
        _state.Pulse();
    }

    private void PauseForFullDisk(DiskFullException error, BackgroundKind kind, Action again)
    {
        if (!_state.DiskIsFull)
        {
            _parts.Log($"The disk under {_parts.Directory} is full; reads go on, and writes do while memory lasts: {error.Message}");
        }

        _state.DiskIsFull = true;
        _state.Pulse();
        _parts.Scheduler.ScheduleLater(kind, RetryDelay, again);
    }
}
