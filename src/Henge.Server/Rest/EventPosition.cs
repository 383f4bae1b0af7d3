using System.Globalization;
using System.IO.Hashing;
using Henge.Core;
using Henge.Server.Operations;

namespace Henge.Server.Rest;

/// <summary>
/// Where a stream of server-sent events stands, as the id of an event: <c>TOKEN</c>, the watch's resume token in base64, and behind it
/// <c>.VERSION.HASH</c> for each version (a transaction's) of which only a part was given: the hash is that of the last key given. The
/// events of a version go out in the order of their keys, so that a reader that resumes within one gets the rest of it, and nothing twice.
/// Immutable.
/// </summary>
/// <param name="Token">The resume token: behind everything that was given whole.</param>
/// <param name="Begun">The versions of which only a part was given.</param>
internal sealed record EventPosition(byte[] Token, IReadOnlyList<(Core.Version Version, ulong KeyHash)> Begun)
{
    private const string Name = "Last-Event-ID";

    // One is begun at a time; more come only of being cut off again before the rest has been seen.
    private const int LimitBegun = 16;

    /// <summary>The id.</summary>
    public override string ToString() =>
        RestJson.ToToken(Token)
        + string.Concat(Begun.Select(static b => string.Create(CultureInfo.InvariantCulture, $".{b.Version}.{b.KeyHash}")));

    /// <summary>The hash of a key.</summary>
    public static ulong HashOf(ReadOnlySpan<byte> key) => XxHash64.HashToUInt64(key);

    /// <summary>Reads an id. Throws <see cref="HengeException"/> (InvalidArgument).</summary>
    public static EventPosition Parse(string id)
    {
        string[] parts = id.Split('.');
        if (parts.Length % 2 == 0 || parts.Length > 1 + (2 * LimitBegun))
        {
            throw Wrong();
        }

        var begun = new (Core.Version, ulong)[parts.Length / 2];
        for (int i = 0; i < begun.Length; i++)
        {
            begun[i] = (
                KvValidation.Version(parts[1 + (2 * i)], Name),
                ulong.TryParse(parts[2 + (2 * i)], NumberStyles.None, CultureInfo.InvariantCulture, out ulong hash) ? hash : throw Wrong());
        }

        return new EventPosition(RestJson.FromToken(Name, parts[0]), begun);
    }

    private static HengeException Wrong() =>
        KvValidation.Invalid($"'{Name}' is not an id that an earlier event had. Send it back as it was.");
}
