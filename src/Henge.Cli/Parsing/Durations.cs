using Henge.Cli.Outcome;
using Henge.Core;

namespace Henge.Cli.Parsing;

/// <summary>
/// Lengths of time and moments as people write them (<see cref="TimeText"/>), with the errors of the command line. Pure functions.
/// </summary>
internal static class Durations
{
    /// <summary>
    /// Reads <c>250ms</c>, <c>30s</c>, <c>5m</c>, <c>1h30m</c>, <c>7d</c>; a number alone is seconds. Throws <see cref="UsageException"/>.
    /// </summary>
    public static TimeSpan Parse(string text) => TimeText.TryParseDuration(text, out TimeSpan duration)
        ? duration
        : throw new UsageException($"\"{text}\" is not a length of time. Write {TimeText.DurationForm}.");

    /// <summary>
    /// Reads a moment: how long ago (<c>5m</c>, <c>5m-ago</c>), a date and time (<c>2026-11-20T10:00:00Z</c>; without a zone it is local
    /// time), or <c>@</c> and Unix seconds. Throws <see cref="UsageException"/>.
    /// </summary>
    public static DateTimeOffset ParseMoment(string text, DateTimeOffset now) =>
        TimeText.TryParseMoment(text, now, local: true, out DateTimeOffset moment)
            ? moment
            : throw new UsageException($"\"{text}\" is not a moment. Write {TimeText.MomentForm}.");
}
