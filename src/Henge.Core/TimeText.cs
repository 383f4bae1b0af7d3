using System.Buffers;
using System.Globalization;

namespace Henge.Core;

/// <summary>
/// Lengths of time and moments as people write them: the one form that settings, the command line and the REST API take. Numbers are digits
/// with at most one point: no sign, no exponent, no NaN or Infinity. Pure functions.
/// </summary>
public static class TimeText
{
    private static readonly SearchValues<char> OfNumber = SearchValues.Create("0123456789.");

    /// <summary>What a length of time looks like, for messages.</summary>
    public const string DurationForm = "a number with a unit, such as 250ms, 30s, 5m, 1h30m, 7d or 2w; a number alone is seconds";

    /// <summary>What a moment looks like, for messages.</summary>
    public const string MomentForm = "how long ago, as 5m or 1h30m, a date and time, as 2026-11-20T10:00:00Z, or @ and Unix seconds";

    /// <summary>
    /// Reads <c>250ms</c>, <c>30s</c>, <c>5m</c>, <c>1h30m</c>, <c>7d</c>, <c>2w</c>; a number alone is seconds. Upper and lower case are
    /// the same. False for anything else, and for more than <see cref="TimeSpan.MaxValue"/> (29,000 years).
    /// </summary>
    public static bool TryParseDuration(ReadOnlySpan<char> text, out TimeSpan duration)
    {
        duration = default;
        double ticks = 0;
        bool alone = true;
        do
        {
            int digits = text.IndexOfAnyExcept(OfNumber);
            digits = digits < 0 ? text.Length : digits;
            if (!TryParseNumber(text[..digits], out double number))
            {
                return false;
            }

            text = text[digits..];
            int letters = text.IndexOfAny(OfNumber);
            letters = letters < 0 ? text.Length : letters;
            if (!TryParseUnit(text[..letters], alone && letters == text.Length, out long unit))
            {
                return false;
            }

            ticks += number * unit;
            text = text[letters..];
            alone = false;
        }
        while (!text.IsEmpty);

        // As a double, the largest number of ticks is rounded up, so "less" and not "at most".
        if (!(ticks < TimeSpan.MaxValue.Ticks))
        {
            return false;
        }

        duration = TimeSpan.FromTicks((long)ticks);
        return true;
    }

    /// <summary>
    /// Reads a moment: <c>now</c>, how long ago with a unit (<c>5m</c>, <c>5m-ago</c>), <c>@</c> and Unix seconds, or a date and time. How
    /// long ago reaches at most to the year 1970.
    /// </summary>
    /// <param name="text">The text.</param>
    /// <param name="now">The moment that "ago" counts from.</param>
    /// <param name="local">A date without a zone is local time; else UTC.</param>
    /// <param name="moment">The moment.</param>
    public static bool TryParseMoment(string text, DateTimeOffset now, bool local, out DateTimeOffset moment)
    {
        moment = now;
        if (text.Equals("now", StringComparison.OrdinalIgnoreCase))
        {
            return true;
        }

        if (text.StartsWith('@'))
        {
            if (!TryParseNumber(text.AsSpan(1), out double seconds) || seconds > DateTimeOffset.MaxValue.ToUnixTimeSeconds())
            {
                return false;
            }

            moment = DateTimeOffset.FromUnixTimeMilliseconds((long)(seconds * 1000));
            return true;
        }

        ReadOnlySpan<char> ago = text;
        if (ago.EndsWith("-ago", StringComparison.OrdinalIgnoreCase) || ago.EndsWith(" ago", StringComparison.OrdinalIgnoreCase))
        {
            ago = ago[..^4];
        }

        // A number alone could be seconds ago, Unix seconds or a year: it is none of them.
        if (ago.Length > 0 && char.IsAsciiLetter(ago[^1]) && TryParseDuration(ago, out TimeSpan back))
        {
            moment = back < now - DateTimeOffset.UnixEpoch ? now - back : DateTimeOffset.UnixEpoch;
            return true;
        }

        DateTimeStyles zone = local ? DateTimeStyles.AssumeLocal : DateTimeStyles.AssumeUniversal;
        return text.Length >= 8
            && ago.Length == text.Length
            && DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, zone, out moment);
    }

    private static bool TryParseNumber(ReadOnlySpan<char> text, out double number)
    {
        number = 0;
        return text.ContainsAnyInRange('0', '9') && !text.ContainsAnyExcept(OfNumber)
            && double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out number) && double.IsFinite(number);
    }

    private static bool TryParseUnit(ReadOnlySpan<char> text, bool alone, out long ticks)
    {
        Span<char> lower = stackalloc char[2];
        ticks = text.Length > lower.Length ? 0 : lower[..text.ToLowerInvariant(lower)] switch
        {
            "ms" => TimeSpan.TicksPerMillisecond,
            "s" => TimeSpan.TicksPerSecond,
            "m" => TimeSpan.TicksPerMinute,
            "h" => TimeSpan.TicksPerHour,
            "d" => TimeSpan.TicksPerDay,
            "w" => 7 * TimeSpan.TicksPerDay,
            "" when alone => TimeSpan.TicksPerSecond,
            _ => 0,
        };
        return ticks != 0;
    }
}
