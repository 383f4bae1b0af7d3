using System.Diagnostics;
using System.Threading.Tasks.Sources;

namespace Henge.Bench.Load;

/// <summary>
/// Wakes lanes when their operations are due, from a thread of its own. Timers of .NET read a clock that on Linux moves by the kernel's
/// tick, often 4 ms, and a latency is counted from when an operation was due: what a lane oversleeps would be taken for the target's. Late
/// by about a millisecond at most. Thread-safe.
/// </summary>
internal sealed class LoadClock : IDisposable
{
    private readonly object _gate = new();
    private readonly PriorityQueue<LoadAlarm, long> _waiting = new();
    private readonly List<LoadAlarm> _due = [];
    private readonly Thread _thread;
    private bool _stopped;

    public LoadClock()
    {
        _thread = new Thread(Run) { IsBackground = true, Name = "load-clock" };
        _thread.Start();
    }

    /// <summary>Rings an alarm at a moment of <see cref="Stopwatch"/>, or when the clock is stopped.</summary>
    public void Add(LoadAlarm alarm, long dueAt)
    {
        lock (_gate)
        {
            if (!_stopped)
            {
                _waiting.Enqueue(alarm, dueAt);
                if (_waiting.Peek() == alarm)
                {
                    Monitor.Pulse(_gate);
                }

                return;
            }
        }

        alarm.Ring();
    }

    /// <summary>Rings all alarms, and from now on each as soon as it is set: the run is over.</summary>
    public void Stop()
    {
        lock (_gate)
        {
            _stopped = true;
            Monitor.Pulse(_gate);
        }
    }

    /// <summary>Stops it and waits for its thread.</summary>
    public void Dispose()
    {
        Stop();
        _thread.Join();
    }

    private void Run()
    {
        bool stopped = false;
        while (!stopped)
        {
            lock (_gate)
            {
                stopped = _stopped;
                long now = stopped ? long.MaxValue : Stopwatch.GetTimestamp();
                while (_waiting.TryPeek(out LoadAlarm? alarm, out long dueAt) && dueAt <= now)
                {
                    _waiting.Dequeue();
                    _due.Add(alarm);
                }

                if (_due.Count == 0 && !stopped)
                {
                    int waitMs = _waiting.TryPeek(out _, out long next)
                        ? (int)Math.Clamp((next - now) * 1000 / Stopwatch.Frequency, 1, 1000)
                        : Timeout.Infinite;
                    Monitor.Wait(_gate, waitMs);
                }
            }

            foreach (LoadAlarm alarm in _due)
            {
                alarm.Ring();
            }

            _due.Clear();
        }
    }
}

/// <summary>The alarm of one lane, used again and again.</summary>
internal sealed class LoadAlarm(LoadClock clock) : IValueTaskSource
{
    private ManualResetValueTaskSourceCore<bool> _core = new() { RunContinuationsAsynchronously = true };

    /// <summary>Waits until a moment of <see cref="Stopwatch"/>.</summary>
    public ValueTask UntilAsync(long dueAt)
    {
        if (dueAt <= Stopwatch.GetTimestamp())
        {
            return ValueTask.CompletedTask;
        }

        _core.Reset();
        clock.Add(this, dueAt);
        return new ValueTask(this, _core.Version);
    }

    /// <summary>The moment has come.</summary>
    public void Ring() => _core.SetResult(true);

    void IValueTaskSource.GetResult(short token) => _core.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _core.GetStatus(token);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);
}
