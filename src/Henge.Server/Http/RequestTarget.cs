using System.Buffers.Text;
using System.Text;
using System.Text.Unicode;
using Henge.Core;
using Henge.Server.Operations;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Henge.Server.Http;

/// <summary>
/// The target of a request, parsed once: what route it is and which key it names come from the same segments. Takes the origin form, the
/// absolute form and the asterisk form of RFC 9112, section 3.2; segments of dots are removed, percent-encoded or not, as RFC 3986 has it
/// (sections 5.2.4 and 6.2.2). Bytes that are no UTF-8, empty segments and encoded slashes within a key stay as they are, unlike in the
/// framework's path. Immutable.
/// </summary>
internal sealed class RequestTarget
{
    private readonly string[] _segments;
    private readonly string[] _names;

    private RequestTarget(string[] segments, string query)
    {
        _segments = segments;
        _names = Array.ConvertAll(segments, NameOf);
        Query = query;
        Path = segments is ["*"] ? "*" : "/" + string.Join('/', _names);
    }

    /// <summary>
    /// The path for comparing with routes, decoded segment by segment; a segment that holds an encoded slash, or is no text, stays encoded.
    /// </summary>
    public string Path { get; }

    /// <summary>What stands behind the first question mark, as it was sent; may be empty.</summary>
    public string Query { get; }

    /// <summary>The target of a request. Throws as <see cref="Parse"/> does.</summary>
    public static RequestTarget Of(HttpContext context)
    {
        if (context.Features.Get<RequestTarget>() is { } known)
        {
            return known;
        }

        RequestTarget target = Parse(context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget);
        context.Features.Set(target);
        return target;
    }

    /// <summary>
    /// Parses a target. Throws <see cref="HengeException"/> (InvalidArgument) for what is none, and for percent signs without two digits
    /// behind them.
    /// </summary>
    public static RequestTarget Parse(string target)
    {
        if (target == "*")
        {
            return new RequestTarget(["*"], "");
        }

        ReadOnlySpan<char> rest = target;
        if (!rest.StartsWith('/'))
        {
            int authority = rest.IndexOf("://", StringComparison.Ordinal);
            if (authority <= 0 || rest[..authority].ContainsAny("/?#"))
            {
                throw KvValidation.Invalid(
                    "The target of the request is neither a path nor a URL. Begin it with a slash, or with http://.");
            }

            rest = rest[(authority + 3)..];
            int end = rest.IndexOfAny("/?");
            rest = end < 0 ? "/" : rest[end..];
        }

        int question = rest.IndexOf('?');
        string query = question < 0 ? "" : rest[(question + 1)..].ToString();
        ReadOnlySpan<char> path = question < 0 ? rest : rest[..question];
        return new RequestTarget(RemoveDots(path.IsEmpty ? "" : path[1..].ToString()), query);
    }

    /// <summary>
    /// The bytes that stand behind a path's segments, decoded; null when the path does not begin with them, or ends there. For
    /// <c>/v1/kv/a%2Fb</c> and <c>/v1/kv/a/b</c> behind <c>/v1/kv</c>: <c>a/b</c>.
    /// </summary>
    public byte[]? Behind(string root)
    {
        string[] wanted = root[1..].Split('/');
        if (_segments.Length <= wanted.Length || !_names.AsSpan(0, wanted.Length).SequenceEqual(wanted))
        {
            return null;
        }

        string tail = string.Join('/', _segments[wanted.Length..]);
        return tail.Length == 0 ? null : PercentDecode(tail);
    }

    /// <summary>
    /// The bytes that a percent-encoded text stands for (RFC 3986, section 2.1); unlike the framework's decoders it keeps bytes that are no
    /// UTF-8. Throws <see cref="HengeException"/> (InvalidArgument).
    /// </summary>
    /// <param name="text">The text.</param>
    /// <param name="plusIsSpace">In queries, a plus sign stands for a space.</param>
    public static byte[] PercentDecode(string text, bool plusIsSpace = false)
    {
        byte[] raw = Encoding.UTF8.GetBytes(text), bytes = new byte[raw.Length];
        int length = 0;
        for (int i = 0; i < raw.Length; i++)
        {
            if (raw[i] != '%')
            {
                bytes[length++] = plusIsSpace && raw[i] == '+' ? (byte)' ' : raw[i];
            }
            else if (i + 2 < raw.Length && Utf8Parser.TryParse(raw.AsSpan(i + 1, 2), out byte value, out int used, 'x') && used == 2)
            {
                bytes[length++] = value;
                i += 2;
            }
            else
            {
                throw KvValidation.Invalid(
                    "A percent sign in a URL must be followed by two hexadecimal digits; a percent sign itself is %25.");
            }
        }

        return bytes[..length];
    }

    private static string[] RemoveDots(string path)
    {
        string[] given = path.Split('/');
        List<string> kept = new(given.Length);
        for (int i = 0; i < given.Length; i++)
        {
            string name = NameOf(given[i]);
            if (name is not ("." or ".."))
            {
                kept.Add(given[i]);
                continue;
            }

            if (name == ".." && kept.Count > 0)
            {
                kept.RemoveAt(kept.Count - 1);
            }

            if (i == given.Length - 1)
            {
                kept.Add("");
            }
        }

        return [.. kept];
    }

    private static string NameOf(string segment)
    {
        if (!segment.Contains('%', StringComparison.Ordinal))
        {
            return segment;
        }

        byte[] bytes = PercentDecode(segment);
        return Utf8.IsValid(bytes) && !bytes.AsSpan().Contains((byte)'/') ? Encoding.UTF8.GetString(bytes) : segment;
    }
}
