namespace Henge.Server.Events;

/// <summary>
/// Keeps a kind of event from filling the log: the first ones in a span of time are logged each, and at its end one line says how many more
/// there were. None is lost, and none waits for longer than the span. Thread-safe.
/// </summary>
internal sealed class EventLimit : IDisposable
{
    private readonly TimeProvider _time;
    private readonly int _most;
    private readonly TimeSpan _span;
    private readonly Action<int> _tellRest;
    private readonly ITimer _timer;
    private readonly Lock _gate = new();
    private long? _since;
    private int _taken;
    private int _rest;

    /// <param name="time">Whose time it is.</param>
    /// <param name="most">How many are logged each.</param>
    /// <param name="span">Within which time.</param>
    /// <param name="tellRest">Logs how many more there were.</param>
    public EventLimit(TimeProvider time, int most, TimeSpan span, Action<int> tellRest)
    {
        _time = time;
        _most = most;
        _span = span;
        _tellRest = tellRest;
        _timer = time.CreateTimer(
            static limit => ((EventLimit)limit!).TellRest(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Whether an event that has just come about is to be logged by itself; if not, it is counted.</summary>
    public bool IsLogged()
    {
        lock (_gate)
        {
            long now = _time.GetTimestamp();
            if (_rest == 0 && (_since is not { } since || _time.GetElapsedTime(since, now) >= _span))
            {
                (_since, _taken) = (now, 0);
            }

            if (_taken < _most)
            {
                _taken++;
                return true;
            }

            if (_rest++ == 0)
            {
                _timer.Change(Max(_span - _time.GetElapsedTime(_since!.Value, now), TimeSpan.Zero), Timeout.InfiniteTimeSpan);
            }

            return false;
        }
    }

    /// <summary>Tells of those that are counted, and is of no use any more.</summary>
    public void Dispose()
    {
        _timer.Dispose();
        TellRest();
    }

    private void TellRest()
    {
        int rest;
        lock (_gate)
        {
            (rest, _rest) = (_rest, 0);
        }

        if (rest > 0)
        {
            _tellRest(rest);
        }
    }

    private static TimeSpan Max(TimeSpan one, TimeSpan other) => one > other ? one : other;
}
