using System.Globalization;

namespace Henge.Server.Runtime;

/// <summary>
/// The clocks of a node's host. Tests of real processes can put the wall clock off by an environment variable; it is not for anything else.
/// Thread-safe.
/// </summary>
internal static class NodeClock
{
    /// <summary>
    /// Not among the variables of users, which begin with HENGE_. Milliseconds that the wall clock is off, or a file that holds them, so
    /// that a test can make it jump.
    /// </summary>
    public const string OffsetVariable = "TESTING_HENGE_CLOCK_OFFSET_MS";

    /// <summary>The system's clock, or what a test has made of it.</summary>
    public static TimeProvider Create() =>
        Environment.GetEnvironmentVariable(OffsetVariable) is { Length: > 0 } offset ? new OffsetClock(offset) : MonotonicClock.Instance;

    private sealed class OffsetClock(string offset) : MonotonicClock
    {
        private readonly TimeSpan _fixed = long.TryParse(offset, CultureInfo.InvariantCulture, out long ms)
            ? TimeSpan.FromMilliseconds(ms)
            : TimeSpan.Zero;
        private readonly string? _file = long.TryParse(offset, CultureInfo.InvariantCulture, out _) ? null : offset;
        private long _readAt = long.MinValue;
        private long _readMs;

        public override DateTimeOffset GetUtcNow() =>
            System.GetUtcNow() + (_file is null ? _fixed : TimeSpan.FromMilliseconds(Read(_file)));

        private long Read(string file)
        {
            long now = Environment.TickCount64;
            if (now - Volatile.Read(ref _readAt) > 50)
            {
                Volatile.Write(ref _readAt, now);
                Volatile.Write(
                    ref _readMs,
                    File.Exists(file) && long.TryParse(File.ReadAllText(file), CultureInfo.InvariantCulture, out long ms) ? ms : 0);
            }

            return Volatile.Read(ref _readMs);
        }
    }
}
