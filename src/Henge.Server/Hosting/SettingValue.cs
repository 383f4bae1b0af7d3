using System.Globalization;
using Henge.Core;

namespace Henge.Server.Hosting;

/// <summary>Reads the values of settings. Each throws <see cref="FormatException"/> with what is allowed. Pure functions.</summary>
internal static class SettingValue
{
    private static readonly (string Suffix, long Bytes)[] SizeUnits =
    [
        ("KiB", 1L << 10), ("MiB", 1L << 20), ("GiB", 1L << 30), ("TiB", 1L << 40),
        ("KB", 1000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000), ("B", 1), ("", 1),
    ];

    /// <summary>A size such as <c>64MiB</c>, <c>10MB</c> or <c>4096</c>.</summary>
    public static long Size(string text, long least, long most)
    {
        foreach ((string suffix, long unit) in SizeUnits)
        {
            if (
                text.EndsWith(suffix, StringComparison.OrdinalIgnoreCase)
                && double.TryParse(
                    text.AsSpan(0, text.Length - suffix.Length),
                    NumberStyles.AllowDecimalPoint,
                    CultureInfo.InvariantCulture,
                    out double number))
            {
                double bytes = number * unit;
                if (bytes >= least && bytes <= most)
                {
                    return (long)bytes;
                }

                break;
            }
        }

        throw new FormatException($"a size from {FormatSize(least)} to {FormatSize(most)}, such as 64KiB, 4MiB or 4096 (bytes)");
    }

    /// <summary>A whole number.</summary>
    public static int Number(string text, int least, int most) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number >= least && number <= most
            ? number
            : throw new FormatException(string.Create(CultureInfo.InvariantCulture, $"a whole number from {least} to {most}"));

    /// <summary>
    /// A duration such as <c>500ms</c>, <c>10s</c>, <c>5m</c>, <c>1h30m</c> or <c>7d</c>; a number alone is seconds, as everywhere
    /// (<see cref="TimeText"/>).
    /// </summary>
    public static TimeSpan Duration(string text, TimeSpan least, TimeSpan most) =>
        TimeText.TryParseDuration(text, out TimeSpan duration) && duration >= least && duration <= most
            ? duration
            : throw new FormatException($"a duration from {FormatDuration(least)} to {FormatDuration(most)}: {TimeText.DurationForm}");

    /// <summary>One of some words.</summary>
    public static T Choice<T>(string text, params (string Word, T Value)[] choices)
    {
        foreach ((string word, T value) in choices)
        {
            if (word.Equals(text, StringComparison.OrdinalIgnoreCase))
            {
                return value;
            }
        }

        throw new FormatException("one of " + string.Join(", ", choices.Select(choice => choice.Word)));
    }

    /// <summary>A host and a port.</summary>
    public static string Address(string text, bool zeroPort)
    {
        int colon = text.LastIndexOf(':');
        return
            colon > 0
            && ushort.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out ushort port)
            && (port > 0 || zeroPort)
            ? text
            : throw new FormatException("HOST:PORT, such as 127.0.0.1:7001");
    }

    /// <summary>The name of a node.</summary>
    public static string NodeName(string text) =>
        text.Length is > 0 and <= 64 && text.All(static c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.')
            ? text
            : throw new FormatException("a name of 1 to 64 letters, digits, dots, dashes and underscores, such as node1");

    /// <summary>The name of a zone.</summary>
    public static string Zone(string text) =>
        text.Length is > 0 and <= 64 && text.All(static c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' or '/')
            ? text
            : throw new FormatException("a name of 1 to 64 letters, digits, dots, slashes, dashes and underscores, such as eu-1a");

    /// <summary>A size in the largest unit that divides it.</summary>
    public static string FormatSize(long bytes) => bytes switch
    {
        _ when bytes >= 1L << 30 && bytes % (1L << 30) == 0 => string.Create(CultureInfo.InvariantCulture, $"{bytes >> 30}GiB"),
        _ when bytes >= 1L << 20 && bytes % (1L << 20) == 0 => string.Create(CultureInfo.InvariantCulture, $"{bytes >> 20}MiB"),
        _ when bytes >= 1L << 10 && bytes % (1L << 10) == 0 => string.Create(CultureInfo.InvariantCulture, $"{bytes >> 10}KiB"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{bytes}B"),
    };

    /// <summary>A duration in the largest unit that divides it.</summary>
    public static string FormatDuration(TimeSpan duration)
    {
        long ms = (long)duration.TotalMilliseconds;
        return ms switch
        {
            0 => "0s",
            _ when ms % 86_400_000 == 0 => string.Create(CultureInfo.InvariantCulture, $"{ms / 86_400_000}d"),
            _ when ms % 3_600_000 == 0 => string.Create(CultureInfo.InvariantCulture, $"{ms / 3_600_000}h"),
            _ when ms % 60_000 == 0 => string.Create(CultureInfo.InvariantCulture, $"{ms / 60_000}m"),
            _ when ms % 1000 == 0 => string.Create(CultureInfo.InvariantCulture, $"{ms / 1000}s"),
            _ => string.Create(CultureInfo.InvariantCulture, $"{ms}ms"),
        };
    }
}
