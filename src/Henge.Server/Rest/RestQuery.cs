using System.Globalization;
using Henge.Core;
using Henge.Node.Api;
using Microsoft.AspNetCore.Http;

namespace Henge.Server.Rest;

/// <summary>Reads parameters of a request. Errors (InvalidArgument) name the parameter and what it may be; an unknown parameter is an error too.</summary>
internal readonly struct RestQuery
{
    private readonly IQueryCollection _query;

    public RestQuery(HttpRequest request, params ReadOnlySpan<string> known)
    {
        _query = request.Query;
        foreach (string name in _query.Keys)
        {
            if (!known.Contains(name))
            {
                throw new HengeException(ErrorCode.InvalidArgument, $"There is no parameter '{name}' here; there are: {string.Join(", ", known.ToArray())}.");
            }
        }
    }

    public string? Text(string name) => _query.TryGetValue(name, out Microsoft.Extensions.Primitives.StringValues values) ? values[^1] : null;

    public bool Flag(string name) => Text(name) is { } text && (text is "" or "true" or "1" ? true : text is "false" or "0" ? false
        : throw new HengeException(ErrorCode.InvalidArgument, $"'{name}' is a switch: true or false."));

    public int Number(string name, int fallback, int least, int most) =>
        Text(name) is not { } text ? fallback
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int value) && value >= least && value <= most ? value
        : throw new HengeException(ErrorCode.InvalidArgument, $"'{name}' must be a whole number from {least} to {most}.");

    /// <summary>The version to read at, from <c>version</c> or <c>at</c>; zero: now.</summary>
    public Core.Version ReadVersion(IHengeNode node)
    {
        if (Text("version") is { } version)
        {
            return ulong.TryParse(version, NumberStyles.None, CultureInfo.InvariantCulture, out ulong value) && value <= Core.Version.MaxValue
                ? new Core.Version(value)
                : throw new HengeException(ErrorCode.InvalidArgument, $"'version' must be a whole number up to {Core.Version.MaxValue}.");
        }

        return Text("at") is { } at ? Moment(at, node) : default;
    }

    /// <summary>A time to live: <c>30s</c>, <c>5m</c>, <c>500ms</c>; 0 when there is none.</summary>
    public long TtlMs(string name) => Text(name) is not { } text ? 0
        : TryDuration(text, out long ms) && ms > 0 ? ms
        : throw new HengeException(ErrorCode.InvalidArgument, $"'{name}' must be a duration such as 500ms, 30s, 5m, 2h or 1d; a bare number means seconds.");

    private static Core.Version Moment(string text, IHengeNode node)
    {
        string duration = text.EndsWith("-ago", StringComparison.Ordinal) ? text[..^4] : text;
        if (TryDuration(duration, out long ms))
        {
            return Core.Version.FromMilliseconds(Math.Max(1, node.Now.Milliseconds - ms));
        }

        return DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out DateTimeOffset time)
            ? Core.Version.FromTime(time)
            : throw new HengeException(ErrorCode.InvalidArgument, "'at' must be a moment such as 2026-01-31T12:00:00Z, or how long ago it was, such as 5m.");
    }

    private static bool TryDuration(string text, out long ms)
    {
        (string unit, long factor)[] units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("", 1000)];
        foreach ((string unit, long factor) in units)
        {
            if (text.EndsWith(unit, StringComparison.Ordinal) && double.TryParse(text.AsSpan(0, text.Length - unit.Length), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double value))
            {
                ms = (long)Math.Min(value * factor, long.MaxValue / 2);
                return true;
            }
        }

        ms = 0;
        return false;
    }
}
