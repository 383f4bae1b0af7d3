namespace Henge.Storage.Lsm.Background;

/// <summary>
/// A scheduler without threads: jobs wait in queues until somebody runs them. With it an engine that is used from one thread is
/// deterministic. Thread-safe.
/// </summary>
/// <remarks>
/// Without a source of choices it runs whole jobs, in the order in which they were queued. With one, each call runs a single step of one of
/// the two kinds, chosen by it: so everything that is done to the engine in between happens in the middle of its background work.
/// </remarks>
public sealed class InlineScheduler : IBackgroundScheduler
{
    private readonly Lock _lock = new();
    private readonly List<Entry> _jobs = [];
    private readonly Queue<(BackgroundKind Kind, Action Call)> _delayed = new();
    private readonly Func<int, int>? _choose;

    /// <summary>
    /// Makes one that runs whole jobs, or single steps when given <paramref name="choose"/>: a number below its argument, from a seed.
    /// </summary>
    public InlineScheduler(Func<int, int>? choose = null) => _choose = choose;

    /// <inheritdoc/>
    public bool HasThreads => false;

    /// <summary>Jobs that wait or are under way, without those for later.</summary>
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
    public void Schedule(BackgroundKind kind, IEnumerator<BackgroundPoint> job)
    {
        lock (_lock)
        {
            _jobs.Add(new Entry(kind, job));
        }
    }

    /// <inheritdoc/>
    public void ScheduleLater(BackgroundKind kind, TimeSpan delay, Action call)
    {
        lock (_lock)
        {
            _delayed.Enqueue((kind, call));
        }
    }

    /// <inheritdoc/>
    public bool TryRunOne()
    {
        if (Take(null) is not { } entry)
        {
            return false;
        }

        bool more = Step(entry);
        while (more && _choose is null)
        {
            more = Step(entry);
        }

        return true;
    }

    /// <summary>Runs one step of the oldest job of a kind. False when there is none, or when it has come to its end.</summary>
    public bool TryStep(BackgroundKind kind, out BackgroundPoint point)
    {
        point = default;
        return Take(kind) is { } entry && Step(entry, out point);
    }

    /// <summary>Runs jobs until none wait (those for later stay), and says how many calls of <see cref="TryRunOne"/> that took.</summary>
    public int RunAll()
    {
        int count = 0;
        while (TryRunOne())
        {
            count++;
        }

        return count;
    }

    /// <summary>Makes the calls that were put off: their time has come.</summary>
    public void ReleaseLater()
    {
        while (true)
        {
            (BackgroundKind Kind, Action Call) delayed;
            lock (_lock)
            {
                if (!_delayed.TryDequeue(out delayed))
                {
                    return;
                }
            }

            delayed.Call();
        }
    }

    /// <summary>Drops all jobs, as a crash does.</summary>
    public void Clear()
    {
        Entry[] dropped;
        lock (_lock)
        {
            dropped = [.. _jobs];
            _jobs.Clear();
            _delayed.Clear();
        }

        foreach (Entry entry in dropped)
        {
            entry.Job.Dispose();
        }
    }

    /// <inheritdoc/>
    public void Pause(TimeSpan time)
    {
        // Rates mean nothing where time stands still.
    }

    /// <inheritdoc/>
    public void Dispose() => Clear();

    // The oldest job of a kind; never one whose step is under way (a step may make the engine wait for other work).
    private Entry? Take(BackgroundKind? wanted)
    {
        lock (_lock)
        {
            Entry? flush = First(BackgroundKind.Flush, wanted);
            Entry? compaction = First(BackgroundKind.Compaction, wanted);
            Entry? taken = flush is null || compaction is null ? flush ?? compaction
                : _choose is not null ? (_choose(2) == 0 ? flush : compaction)
                : _jobs.IndexOf(flush) < _jobs.IndexOf(compaction) ? flush : compaction;
            if (taken is not null)
            {
                taken.IsRunning = true;
            }

            return taken;
        }
    }

    private Entry? First(BackgroundKind kind, BackgroundKind? wanted)
    {
        Entry? first = wanted is null || wanted == kind ? _jobs.Find(entry => entry.Kind == kind) : null;
        return first is { IsRunning: true } ? null : first;
    }

    private bool Step(Entry entry) => Step(entry, out _);

    private bool Step(Entry entry, out BackgroundPoint point)
    {
        bool more = false;
        entry.IsRunning = true;
        try
        {
            more = entry.Job.MoveNext();
            point = more ? entry.Job.Current : default;
            return more;
        }
        finally
        {
            lock (_lock)
            {
                entry.IsRunning = false;
                if (!more)
                {
                    _jobs.Remove(entry);
                    entry.Job.Dispose();
                }
            }
        }
    }

    private sealed class Entry(BackgroundKind kind, IEnumerator<BackgroundPoint> job)
    {
        public BackgroundKind Kind { get; } = kind;

        public IEnumerator<BackgroundPoint> Job { get; } = job;

        public bool IsRunning { get; set; }
    }
}
