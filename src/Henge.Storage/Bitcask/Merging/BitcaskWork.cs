using Henge.Core;
using Henge.Storage.Bitcask.Segments;
using Henge.Storage.Bitcask.State;
using Henge.Storage.Files;
using Henge.Storage.Lsm.Background;

namespace Henge.Storage.Bitcask.Merging;

/// <summary>
/// Background work of one engine: decides when, runs it one at a time for each kind, and deals with what goes wrong. Syncs are of the one
/// kind; hints, surveys, merges and rebuilt indexes of the other. Thread-safe.
/// </summary>
internal sealed class BitcaskWork
{
    private const long FloorStepMs = 10_000;
    private const int MostPasses = 3;
    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(1);
    private readonly BitcaskState _state;
    private readonly BatchWriter _writer;
    private readonly MergeJob _merge;
    private readonly MergePicker _picker;
    private readonly Survey _survey;
    private readonly IndexRebuild _rebuild;
    private readonly Lock _jobsLock = new();
    private readonly List<BackgroundJob> _jobs = [];
    private int _syncScheduled;
    private int _mergeScheduled;
    private int _merging;
    private long _syncs;
    private long _floorConsideredMs;
    private ulong _epochSeen;
    private bool _moreToDo;
    private bool _stopped;

    public BitcaskWork(BitcaskState state, BatchWriter writer)
    {
        _state = state;
        _writer = writer;
        _merge = new MergeJob(state, writer);
        _picker = new MergePicker(state);
        _survey = new Survey(state, writer);
        _rebuild = new IndexRebuild(state, writer);
        writer.SyncDue = ScheduleSync;
        writer.MergeDue = ScheduleMerge;
    }

    public event Action? Flushed;

    public long BytesMerged => _merge.BytesWritten;

    public long Merges => _merge.Count;

    public long Syncs => Interlocked.Read(ref _syncs);

    /// <summary>Makes durable what is there, in the background, and says so.</summary>
    public void ScheduleSync()
    {
        if (Interlocked.Exchange(ref _syncScheduled, 1) == 0)
        {
            Schedule(BackgroundKind.Flush, RunSync(), EndSync);
        }
    }

    public void ScheduleMerge()
    {
        if (Interlocked.Exchange(ref _mergeScheduled, 1) == 0)
        {
            Schedule(BackgroundKind.Compaction, RunMerge(), EndMerge);
        }
    }

    /// <summary>The history floor was raised: each time that much history has gone, segments may have become worth a merge.</summary>
    public void ConsiderFloor(Core.Version floor)
    {
        if (floor.Milliseconds - Volatile.Read(ref _floorConsideredMs) >= FloorStepMs)
        {
            Volatile.Write(ref _floorConsideredMs, floor.Milliseconds);
            ScheduleMerge();
        }
    }

    /// <summary>Merges every segment that has anything dead in it, on the caller's thread.</summary>
    public void MergeAll()
    {
        // A job that is under way ends first.
        if (!_state.WaitUntil(() => Interlocked.CompareExchange(ref _merging, 1, 0) == 0))
        {
            throw new HengeException(ErrorCode.Internal, "Another merge does not end.");
        }

        try
        {
            _picker.Reconsider();
            for (int i = 0; i < MostPasses && MergeAllOnce(); i++)
            {
                // A tombstone goes only once what it hides has gone.
            }
        }
        finally
        {
            Volatile.Write(ref _merging, 0);
            _state.Pulse();
        }

        ScheduleMerge();
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

    private bool MergeAllOnce()
    {
        foreach (BackgroundPoint _ in WriteHints().Concat(_survey.Run()))
        {
            _state.ThrowIfUnusable();
        }

        List<Segment> all = _picker.PickAll();
        foreach (BackgroundPoint _ in all.Count == 0 ? [] : _merge.Run(all))
        {
            _state.ThrowIfUnusable();
        }

        return all.Count > 0;
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

        _state.Scheduler.Schedule(kind, job);
    }

    private IEnumerator<BackgroundPoint> RunSync()
    {
        Interlocked.Exchange(ref _syncScheduled, 0);
        if (_state.IsClosed)
        {
            yield break;
        }

        _writer.Sync();
        Interlocked.Increment(ref _syncs);
        yield return BackgroundPoint.LogSynced;
    }

    private void EndSync(Exception? error)
    {
        switch (error)
        {
            case null:
                Flushed?.Invoke();
                break;
            case ObjectDisposedException:
                break;
            case DiskFullException:
                _state.Scheduler.ScheduleLater(BackgroundKind.Flush, RetryDelay, ScheduleSync);
                break;
            default:
                _state.Fail(error);
                break;
        }
    }

    private IEnumerator<BackgroundPoint> RunMerge()
    {
        Interlocked.Exchange(ref _mergeScheduled, 0);
        _moreToDo = false;
        if (_state.IsClosed || Interlocked.CompareExchange(ref _merging, 1, 0) != 0)
        {
            // MergeAll is running, and schedules the next one at its end.
            yield break;
        }

        try
        {
            foreach (BackgroundPoint point in OneJob())
            {
                yield return point;
            }

            _state.DiskIsFull = false;
        }
        finally
        {
            Volatile.Write(ref _merging, 0);
            _state.Pulse();
        }
    }

    private IEnumerable<BackgroundPoint> OneJob()
    {
        if (_state.AppliedEpoch is var epoch && epoch != _epochSeen)
        {
            _epochSeen = epoch;
            _picker.Reconsider();
        }

        IEnumerable<BackgroundPoint> steps = WriteHints();
        if (_rebuild.FindDue() is { } keyspace)
        {
            _moreToDo = true;
            steps = steps.Concat(_rebuild.Run(keyspace));
        }
        else if (_survey.IsDue)
        {
            _moreToDo = true;
            steps = steps.Concat(_survey.Run());
        }
        else if (_picker.Pick() is { Count: > 0 } segments)
        {
            _moreToDo = true;
            steps = steps.Concat(_merge.Run(segments));
        }

        return steps;
    }

    private IEnumerable<BackgroundPoint> WriteHints()
    {
        foreach (Segment segment in _state.ListedSegments.Where(static s => s.IsSealed && !s.HasHint).OrderBy(static s => s.Id).ToList())
        {
            if (_picker.IsExcluded(segment) || segment.LiveBytes == 0)
            {
                continue;
            }

            _merge.Reading = segment;
            HintFile.Write(_state.Store, segment);
            _merge.Reading = null;
            yield return BackgroundPoint.Writing;
        }
    }

    private void EndMerge(Exception? error)
    {
        switch (error)
        {
            case null when !_moreToDo:
            case ObjectDisposedException:
                return;
            case null:
                break;
            case DiskFullException full:
                PauseForFullDisk(full);
                return;
            case HengeException { Code: ErrorCode.Corruption } or IOException when _merge.Reading is { } segment && !_state.HasFailed:
                Exclude(segment, error);
                break;
            default:
                _state.Fail(error);
                return;
        }

        // One job each, so that deletions have their turn in between.
        ScheduleMerge();
    }

    // Reads of what is not damaged go on; the segment stays until somebody restores it, or drops what is damaged.
    private void Exclude(Segment segment, Exception error)
    {
        _picker.Exclude(segment);
        _merge.Reading = null;
        if (error is HengeException { Code: ErrorCode.Corruption } damage && damage != _merge.Noted)
        {
            _state.Damage.AddAll(segment, _survey.KeyspacesIn(segment), damage);
        }

        _state.Options.Log?.Invoke($"{segment.File.Path} cannot be merged, and is left as it is: {error.Message}");
    }

    private void PauseForFullDisk(DiskFullException error)
    {
        if (!_state.DiskIsFull)
        {
            _state.Options.Log?.Invoke($"The disk under {_state.Directory} is full; merges wait for room: {error.Message}");
        }

        _state.DiskIsFull = true;
        _merge.Reading = null;
        _state.Scheduler.ScheduleLater(BackgroundKind.Compaction, RetryDelay, ScheduleMerge);
    }
}
