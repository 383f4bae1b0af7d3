namespace Henge.Simulation.World;

/// <summary>
/// A node's clocks: a wall clock that jumps and drifts, and a monotonic one that only drifts. Both go on while the machine is suspended, as
/// they must.
/// </summary>
public sealed class SimClock(SimWorld world) : TimeProvider
{
    private static readonly DateTimeOffset Began = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private long _baseWorldNs, _baseNs;
    private int _driftPerMillion;
    private long _suspendedNs, _suspendedSinceNs = -1;

    /// <summary>How far the wall clock is off, in milliseconds.</summary>
    public long SkewMs { get; set; }

    /// <summary>Sets how much faster (or slower) than the world both clocks run, in millionths.</summary>
    public void SetDrift(int perMillion)
    {
        (_baseNs, _baseWorldNs) = (MonotonicNs, world.NowNs);
        _driftPerMillion = perMillion;
    }

    /// <summary>A deliberate bug: the monotonic clock does not count suspended time, as Linux's CLOCK_MONOTONIC.</summary>
    public bool StopsInSuspend { get; set; }

    /// <summary>The machine is suspended, or wakes up.</summary>
    public void Suspend(bool suspended)
    {
        if (suspended && _suspendedSinceNs < 0)
        {
            _suspendedSinceNs = MonotonicNs;
        }
        else if (!suspended && _suspendedSinceNs >= 0)
        {
            _suspendedNs += MonotonicNs - _suspendedSinceNs;
            _suspendedSinceNs = -1;
        }
    }

    /// <inheritdoc/>
    public override long TimestampFrequency => 1_000_000_000;

    private long MonotonicNs => _baseNs + world.NowNs - _baseWorldNs + ((world.NowNs - _baseWorldNs) / 1_000_000 * _driftPerMillion);

    /// <inheritdoc/>
    public override long GetTimestamp() =>
        StopsInSuspend ? (_suspendedSinceNs < 0 ? MonotonicNs : _suspendedSinceNs) - _suspendedNs : MonotonicNs;

    /// <inheritdoc/>
    public override DateTimeOffset GetUtcNow() => Began.AddTicks(MonotonicNs / 100).AddMilliseconds(SkewMs);

    /// <inheritdoc/>
    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        throw new SimulationException("The core asked for a timer: time must come in by ticks.");
}
