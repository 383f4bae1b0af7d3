namespace Henge.Client.Tests.Cli;

/// <summary>
/// Time that passes only where a client waits between attempts, and there at once. No attempt is ever late, so what a command says after
/// its time is up does not depend on how busy the machine is. Thread-safe.
/// </summary>
internal sealed class WaitingTime : TimeProvider
{
    private long _ticks;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override long GetTimestamp() => Volatile.Read(ref _ticks);

    public override DateTimeOffset GetUtcNow() => DateTimeOffset.UnixEpoch.AddTicks(GetTimestamp());

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        // Task.Delay's own state is its task; everything else is a limit on how long an attempt may take.
        if (state is not Task)
        {
            return base.CreateTimer(callback, state, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }

        Interlocked.Add(ref _ticks, dueTime.Ticks);
        return base.CreateTimer(callback, state, TimeSpan.Zero, period);
    }
}
