namespace Henge.Simulation.World;

/// <summary>A node's clocks: a wall clock that jumps and drifts, and a monotonic one that only drifts.</summary>
public sealed class SimClock(SimWorld world) : TimeProvider
{
    private static readonly DateTimeOffset Began = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private long _baseWorldNs, _baseNs;
    private int _driftPerMillion;

    /// <summary>How far the wall clock is off, in milliseconds.</summary>
    public long SkewMs { get; set; }

    /// <summary>Sets how much faster (or slower) than the world both clocks run, in millionths.</summary>
    public void SetDrift(int perMillion)
    {
        (_baseNs, _baseWorldNs) = (MonotonicNs, world.NowNs);
        _driftPerMillion = perMillion;
    }

    /// <inheritdoc/>
    public override long TimestampFrequency => 1_000_000_000;

    private long MonotonicNs => _baseNs + world.NowNs - _baseWorldNs + ((world.NowNs - _baseWorldNs) / 1_000_000 * _driftPerMillion);

    /// <inheritdoc/>
    public override long GetTimestamp() => MonotonicNs;

    /// <inheritdoc/>
    public override DateTimeOffset GetUtcNow() => Began.AddTicks(MonotonicNs / 100).AddMilliseconds(SkewMs);

    /// <inheritdoc/>
    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        throw new SimulationException("The core asked for a timer: time must come in by ticks.");
}
