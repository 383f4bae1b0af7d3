using System.Globalization;

namespace Henge.Protocol.Grpc;

/// <summary>
/// The <c>grpc-timeout</c> header: at most eight digits and a unit (H, M, S, m, u or n; gRPC over HTTP/2, "Timeout"). Pure functions.
/// </summary>
public static class GrpcTimeout
{
    /// <summary>Longest timeout that is told apart from "none": longer ones are cut to it.</summary>
    public static readonly TimeSpan Max = TimeSpan.FromDays(1000);

    private const long LimitDigits = 99_999_999;

    /// <summary>Writes a timeout, in the finest unit that fits; never rounded to zero.</summary>
    public static string Format(TimeSpan timeout)
    {
        if (timeout <= TimeSpan.Zero)
        {
            return "1n";
        }

        long ticks = timeout.Ticks;
        (long value, char unit) = ticks switch
        {
            _ when ticks <= LimitDigits / 100 => (ticks * 100, 'n'),
            _ when ticks / TimeSpan.TicksPerMicrosecond <= LimitDigits => (Up(ticks, TimeSpan.TicksPerMicrosecond), 'u'),
            _ when ticks / TimeSpan.TicksPerMillisecond <= LimitDigits => (Up(ticks, TimeSpan.TicksPerMillisecond), 'm'),
            _ when ticks / TimeSpan.TicksPerSecond <= LimitDigits => (Up(ticks, TimeSpan.TicksPerSecond), 'S'),
            _ => (Up(ticks, TimeSpan.TicksPerHour), 'H'),
        };
        return Math.Min(value, LimitDigits).ToString(CultureInfo.InvariantCulture) + unit;
    }

    /// <summary>Reads a timeout in milliseconds, rounded up; false when it is malformed.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out long timeoutMs)
    {
        timeoutMs = 0;
        if (text.Length is < 2 or > 9 || !uint.TryParse(text[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out uint value))
        {
            return false;
        }

        long limitMs = (long)Max.TotalMilliseconds;
        switch (text[^1])
        {
            case 'H':
                timeoutMs = Math.Min(value * 3_600_000L, limitMs);
                return true;
            case 'M':
                timeoutMs = Math.Min(value * 60_000L, limitMs);
                return true;
            case 'S':
                timeoutMs = Math.Min(value * 1000L, limitMs);
                return true;
            case 'm':
                timeoutMs = value;
                return true;
            case 'u':
                timeoutMs = Up(value, 1000);
                return true;
            case 'n':
                timeoutMs = Up(value, 1_000_000);
                return true;
            default:
                return false;
        }
    }

    private static long Up(long value, long unit) => (value + unit - 1) / unit;
}
