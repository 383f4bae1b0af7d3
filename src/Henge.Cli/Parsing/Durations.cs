using System.Globalization;

namespace Henge.Cli;

/// <summary>Lengths of time and moments as people write them. Pure functions.</summary>
internal static class Durations
{
    /// <summary>Reads <c>250ms</c>, <c>30s</c>, <c>5m</c>, <c>1h30m</c>, <c>7d</c>; a number alone is seconds. Throws <see cref="UsageException"/>.</summary>
    public static TimeSpan Parse(string text)
    {
        if (double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double seconds))
        {
            return ToTime(seconds * TimeSpan.TicksPerSecond, text);
        }

        double ticks = 0;
        int position = 0;
        while (position < text.Length)
        {
            int digits = position;
            while (digits < text.Length && (char.IsAsciiDigit(text[digits]) || text[digits] == '.'))
            {
                digits++;
            }

            int letters = digits;
            while (letters < text.Length && char.IsAsciiLetter(text[letters]))
            {
                letters++;
            }

            long unit = text[digits..letters] switch
            {
                "ms" => TimeSpan.TicksPerMillisecond,
                "s" => TimeSpan.TicksPerSecond,
                "m" => TimeSpan.TicksPerMinute,
                "h" => TimeSpan.TicksPerHour,
                "d" => TimeSpan.TicksPerDay,
                "w" => 7 * TimeSpan.TicksPerDay,
                _ => 0,
            };
            if (unit == 0 || !double.TryParse(text.AsSpan(position, digits - position), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double number))
            {
                throw Wrong(text);
            }

            ticks += number * unit;
            position = letters;
        }

        return text.Length == 0 ? throw Wrong(text) : ToTime(ticks, text);
    }

    /// <summary>
    /// Reads a moment: how long ago (<c>5m</c>, <c>5m-ago</c>), a date and time (<c>2026-11-20T10:00:00Z</c>; without a zone it is local time), or
    /// <c>@</c> and Unix seconds. Throws <see cref="UsageException"/>.
    /// </summary>
    public static DateTimeOffset ParseMoment(string text, DateTimeOffset now)
    {
        if (text is "now")
        {
            return now;
        }

        if (text.StartsWith('@') && double.TryParse(text.AsSpan(1), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double unixSeconds)
            && unixSeconds < 253_402_300_800)
        {
            return DateTimeOffset.FromUnixTimeMilliseconds((long)(unixSeconds * 1000));
        }

        string ago = text.EndsWith("-ago", StringComparison.Ordinal) ? text[..^4] : text.EndsWith(" ago", StringComparison.Ordinal) ? text[..^4] : text;
        if (ago.Length > 0 && char.IsAsciiLetter(ago[^1]) && !text.EndsWith('Z') && !text.Contains(':', StringComparison.Ordinal))
        {
            TimeSpan back = Parse(ago);
            return back < now - DateTimeOffset.UnixEpoch ? now - back : DateTimeOffset.UnixEpoch;
        }

        if (DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeLocal, out DateTimeOffset moment) && text.Length >= 8)
        {
            return moment;
        }

        throw new UsageException($"\"{text}\" is not a moment. Write how long ago, as 5m or 1h30m, or a date and time, as 2026-11-20T10:00:00Z.");
    }

    private static TimeSpan ToTime(double ticks, string text) =>
        ticks <= TimeSpan.MaxValue.Ticks / 2 ? TimeSpan.FromTicks((long)ticks) : throw new UsageException($"\"{text}\" is too long a time.");

    private static UsageException Wrong(string text) =>
        new($"\"{text}\" is not a length of time. Write a number with a unit: 250ms, 30s, 5m, 1h30m, 7d.");
}
