namespace Henge.Storage.Lsm.Background;

/// <summary>The scheduler of production: one dedicated thread for each kind of work. Thread-safe.</summary>
public sealed class ThreadScheduler : IBackgroundScheduler
{
    private readonly Lane[] _lanes;

    /// <summary>Starts the threads; <paramref name="name"/> goes into their names.</summary>
    public ThreadScheduler(string name = "henge") =>
        _lanes = [new Lane(name + "-flush"), new Lane(name + "-compaction")];

    /// <inheritdoc/>
    public bool HasThreads => true;

    /// <inheritdoc/>
    public void Schedule(BackgroundKind kind, IEnumerator<BackgroundPoint> job) =>
        _lanes[(int)kind].Add(() => RunToEnd(job), TimeSpan.Zero);

    /// <inheritdoc/>
    public void ScheduleLater(BackgroundKind kind, TimeSpan delay, Action call) => _lanes[(int)kind].Add(call, delay);

    /// <inheritdoc/>
    public bool TryRunOne() => false;

    /// <inheritdoc/>
    public void Pause(TimeSpan time) => Thread.Sleep(time);

    /// <summary>Ends the threads after the jobs that are running; queued ones are dropped.</summary>
    public void Dispose()
    {
        foreach (Lane lane in _lanes)
        {
            lane.Stop();
        }
    }

    private static void RunToEnd(IEnumerator<BackgroundPoint> job)
    {
        using (job)
        {
            while (job.MoveNext())
            {
                // Other threads go on beside it anyway.
            }
        }
    }

    private sealed class Lane
    {
        private readonly object _lock = new();
        private readonly PriorityQueue<Action, (long DueMs, long Order)> _jobs = new();
        private readonly Thread _thread;
        private long _order;
        private bool _stopping;

        public Lane(string name)
        {
            _thread = new Thread(Run) { Name = name, IsBackground = true };
            _thread.Start();
        }

        public void Add(Action job, TimeSpan delay)
        {
            lock (_lock)
            {
                if (!_stopping)
                {
                    // Jobs without delay keep their order, and come before all that are late.
                    long due = delay <= TimeSpan.Zero ? 0 : Environment.TickCount64 + (long)delay.TotalMilliseconds;
                    _jobs.Enqueue(job, (due, _order++));
                    Monitor.Pulse(_lock);
                }
            }
        }

        public void Stop()
        {
            lock (_lock)
            {
                _stopping = true;
                Monitor.Pulse(_lock);
            }

            if (Thread.CurrentThread != _thread)
            {
                _thread.Join();
            }
        }

        private void Run()
        {
            while (Take() is { } job)
            {
                job();
            }
        }

        private Action? Take()
        {
            lock (_lock)
            {
                while (!_stopping)
                {
                    if (!_jobs.TryPeek(out Action? job, out (long DueMs, long Order) key))
                    {
                        Monitor.Wait(_lock);
                        continue;
                    }

                    long waitMs = key.DueMs - Environment.TickCount64;
                    if (waitMs > 0)
                    {
                        Monitor.Wait(_lock, (int)Math.Min(waitMs, 60_000));
                        continue;
                    }

                    _jobs.Dequeue();
                    return job;
                }

                return null;
            }
        }
    }
}
