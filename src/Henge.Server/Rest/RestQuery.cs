using System.Globalization;
using System.Text;
using System.Text.Unicode;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Server.Http;
using Henge.Server.Operations;

namespace Henge.Server.Rest;

/// <summary>
/// Reads the parameters of a request from its query as it was sent. Errors (InvalidArgument) name the parameter and what it may be; an
/// unknown parameter, or one that stands there twice, is an error too. Bytes are percent-encoded (<c>prefix=%ff</c>), or base64 in a
/// parameter with 64 behind its name (<c>prefix64=_w</c>).
/// </summary>
internal sealed class RestQuery
{
    private readonly Dictionary<string, byte[]> _values = [];

    /// <summary>The parameters of a range, for the list of those that are known.</summary>
    public static IReadOnlyList<string> RangeNames { get; } = ["prefix", "prefix64", "start", "start64", "end", "end64"];

    public RestQuery(RequestTarget target, params ReadOnlySpan<string> known)
    {
        foreach (string pair in target.Query.Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            int equals = pair.IndexOf('=', StringComparison.Ordinal);
            string name = Encoding.UTF8.GetString(RequestTarget.PercentDecode(equals < 0 ? pair : pair[..equals], plusIsSpace: true));
            if (!known.Contains(name))
            {
                throw KvValidation.Invalid($"There is no parameter '{name}' here; there are: {string.Join(", ", known.ToArray())}.");
            }

            if (!_values.TryAdd(name, equals < 0 ? [] : RequestTarget.PercentDecode(pair[(equals + 1)..], plusIsSpace: true)))
            {
                throw KvValidation.Invalid($"'{name}' is given twice.");
            }
        }
    }

    /// <summary>A parameter that is text; null when it is not there.</summary>
    public string? Text(string name) => !_values.TryGetValue(name, out byte[]? value) ? null
        : Utf8.IsValid(value) ? Encoding.UTF8.GetString(value)
        : throw KvValidation.Invalid($"'{name}' is not UTF-8 text.");

    /// <summary>A parameter that is bytes, percent-encoded or base64 in <paramref name="name"/>64; null when neither is there.</summary>
    public byte[]? Bytes(string name)
    {
        _values.TryGetValue(name, out byte[]? plain);
        if (Text(name + "64") is not { } encoded)
        {
            return plain;
        }

        return plain is null
            ? RestJson.FromBase64(name + "64", encoded)
            : throw KvValidation.Invalid($"Both '{name}' and '{name}64' are set. Set one of them.");
    }

    public bool Flag(string name) => Text(name) is { } text && (text is "" or "true" or "1" ? true : text is "false" or "0" ? false
        : throw KvValidation.Invalid($"'{name}' is a switch: true or false."));

    public uint Number(string name, uint fallback) =>
        Text(name) is not { } text ? fallback
        : uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out uint value) ? value
        : throw KvValidation.Invalid($"'{name}' must be a whole number from 0 to {uint.MaxValue}.");

    /// <summary>The version to read at, from <c>version</c> or <c>at</c>; zero: now.</summary>
    public Core.Version ReadVersion(IHengeNode node)
    {
        if (Text("version") is { } version)
        {
            return Text("at") is null
                ? KvValidation.Version(version, "version")
                : throw KvValidation.Invalid("Both 'version' and 'at' are set. Set one of them.");
        }

        if (Text("at") is not { } at)
        {
            return default;
        }

        return TimeText.TryParseMoment(at, node.Now.ToTime(), local: false, out DateTimeOffset moment)
            ? KvValidation.Moment(moment.ToUnixTimeMilliseconds(), node)
            : throw KvValidation.Invalid($"'at' must be a moment: {TimeText.MomentForm}.");
    }

    /// <summary>A time to live; never when there is none.</summary>
    public Expiry Ttl(string name) => Text(name) is not { } text ? Expiry.Never
        : TimeText.TryParseDuration(text, out TimeSpan ttl) ? KvValidation.Ttl((ulong)ttl.TotalMilliseconds)
        : throw KvValidation.Invalid($"'{name}' must be a length of time: {TimeText.DurationForm}.");

    /// <summary>How a read is made sure of.</summary>
    public ReadConsistency Consistency() => Text("consistency") switch
    {
        null => ReadConsistency.Default,
        "linearizable" => ReadConsistency.Linearizable,
        "lease" => ReadConsistency.Lease,
        "stale" => ReadConsistency.Stale,
        _ => throw KvValidation.Invalid("'consistency' is linearizable, lease or stale."),
    };
}
