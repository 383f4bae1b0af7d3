namespace Henge.Storage.Lsm;

/// <summary>
/// The scheduler of tests and simulations: jobs wait in a queue until somebody runs them, on whichever thread asks. With it, an engine
/// that is used from one thread is deterministic.
/// </summary>
public sealed class InlineScheduler : IBackgroundScheduler
{
    private readonly Lock _lock = new();
    private readonly Queue<Action> _jobs = new();
    private readonly Queue<Action> _later = new();

    /// <inheritdoc/>
    public bool HasThreads => false;

    /// <summary>Jobs that wait, without those for later.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
            {
                return _jobs.Count;
            }
        }
    }

    /// <inheritdoc/>
    public void Schedule(BackgroundKind kind, Action job)
    {
        lock (_lock)
        {
            _jobs.Enqueue(job);
        }
    }

    /// <inheritdoc/>
    public void ScheduleLater(BackgroundKind kind, TimeSpan delay, Action job)
    {
        lock (_lock)
        {
            _later.Enqueue(job);
        }
    }

    /// <inheritdoc/>
    public bool TryRunOne()
    {
        Action? job;
        lock (_lock)
        {
            if (!_jobs.TryDequeue(out job))
            {
                return false;
            }
        }

        job();
        return true;
    }

    /// <summary>Runs jobs until none wait (those for later stay), and says how many there were.</summary>
    public int RunAll()
    {
        int count = 0;
        while (TryRunOne())
        {
            count++;
        }

        return count;
    }

    /// <summary>Moves the jobs for later to the others: their time has come.</summary>
    public void ReleaseLater()
    {
        lock (_lock)
        {
            while (_later.TryDequeue(out Action? job))
            {
                _jobs.Enqueue(job);
            }
        }
    }

    /// <summary>Drops all jobs, as a crash does.</summary>
    public void Clear()
    {
        lock (_lock)
        {
            _jobs.Clear();
            _later.Clear();
        }
    }

    /// <inheritdoc/>
    public void Pause(TimeSpan time)
    {
        // Rates mean nothing where time stands still.
    }

    /// <inheritdoc/>
    public void Dispose() => Clear();
}
