namespace Henge.Core;

/// <summary>
/// Gives versions: <c>max(clock, last + 1)</c>. Versions rise strictly whatever the clock does; a clock that jumps back
/// only makes the counter run. Holds no state of its own, since the last version belongs to the shard's log.
/// Thread-safe if its <see cref="TimeProvider"/> is.
/// </summary>
public sealed class HybridClock(TimeProvider time)
{
    /// <summary>The version of this moment, by the clock alone.</summary>
    public Version Now => Version.FromTime(time.GetUtcNow());

    /// <summary>The version for the next write after <paramref name="last"/>.</summary>
    public Version NextAfter(Version last)
    {
        Version now = Now;
        return now > last ? now : last.Next;
    }
}
