using System.Globalization;

namespace Henge.Node.Clocks;

/// <summary>How far clocks are apart, for people. Pure functions.</summary>
internal static class ClockText
{
    /// <summary>A length of time in its largest unit.</summary>
    public static string Of(TimeSpan time) => Math.Abs(time.TotalMilliseconds) switch
    {
        < 10_000 => string.Create(CultureInfo.InvariantCulture, $"{time.TotalMilliseconds:F0} ms"),
        < 600_000 => string.Create(CultureInfo.InvariantCulture, $"{time.TotalSeconds:F0} s"),
        < 7_200_000 => string.Create(CultureInfo.InvariantCulture, $"{time.TotalMinutes:F0} min"),
        < 2 * 86_400_000L => string.Create(CultureInfo.InvariantCulture, $"{time.TotalHours:F1} h"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{time.TotalDays:F0} days"),
    };
}
