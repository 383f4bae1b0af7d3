namespace Henge.Node.Tests.Clusters;

/// <summary>One node's clocks, moved by hand: the monotonic one by the harness alone, the wall clock also by jumps.</summary>
public sealed class HarnessTime : TimeProvider
{
    private static readonly DateTimeOffset Beginning = new(2026, 6, 1, 0, 0, 0, TimeSpan.Zero);
    private long _nowMs;

    /// <summary>How far the wall clock is off.</summary>
    public long SkewMs { get; set; }

    /// <summary>The monotonic clock.</summary>
    public long NowMs => _nowMs;

    public override long TimestampFrequency => 1000;

    public override long GetTimestamp() => _nowMs;

    public override DateTimeOffset GetUtcNow() => Beginning.AddMilliseconds(_nowMs + SkewMs);

    public void Advance(long milliseconds) => _nowMs += milliseconds;
}
